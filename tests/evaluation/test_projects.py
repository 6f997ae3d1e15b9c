"""Projects in directory workspaces, and the files that are put there, watched by real Evidently services meanwhile."""

import json
import os
import shutil
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from evidently.legacy.ui.workspace import Workspace as LegacyWorkspace
from evidently.sdk.panels import text_panel
from evidently.ui.workspace import Workspace
from machine import PATIENCE
from uis import served

from collector.dashboard import marked
from collector.evaluation.projects import project_file
from collector.workspaces import directory_files

from .conftest import LEGACY_DRIFT, MODERN_DRIFT, PROJECT

CONFIGS = {"modern": MODERN_DRIFT, "legacy": LEGACY_DRIFT}
WORKSPACES = {"modern": Workspace, "legacy": LegacyWorkspace}
LISTS = {"modern": "snapshots", "legacy": "reports"}
BATCH = "018f0000-0000-7000-8000-000000000001"


@pytest.fixture(params=["modern", "legacy"])
def generation(request):
    return request.param


@pytest.fixture(scope="module")
def watching_ui(tmp_path_factory):
    """Run a service that nobody posts to: a file that it writes itself may end its watching, as it grows."""
    with served("ui", tmp_path_factory.mktemp("ui") / "workspace") as ui:
        yield ui


@pytest.fixture(scope="module")
def watching_legacy_ui(tmp_path_factory):
    with served("legacy_ui", tmp_path_factory.mktemp("legacy_ui") / "workspace") as ui:
        yield ui


@pytest.fixture
def service(generation, request):
    return request.getfixturevalue("watching_ui" if generation == "modern" else "watching_legacy_ui")


@pytest.fixture(scope="module")
def snapshots():
    """Keep the snapshot of each generation, so that it is computed but once."""
    return {}


@pytest.fixture
def deliver(generation, evaluate, iris, tmp_path, snapshots):
    if generation not in snapshots:
        evaluate(CONFIGS[generation], iris[:60], iris[60:])
        snapshots[generation] = (tmp_path / "snapshot.json").read_bytes()
    (tmp_path / "snapshot.json").write_bytes(snapshots[generation])

    def run(root, batch_id=BATCH, project_id=None, project_name=None, replaces=(), meanwhile=None):
        return written(
            {
                "directory": str(root),
                "generation": generation,
                "project_id": project_id,
                "project_name": project_name,
                "collector": "main",
                "snapshot_path": str(tmp_path / "snapshot.json"),
                "snapshot_id": batch_id,
                "replaces": list(replaces),
            },
            meanwhile,
        )

    return run


def written(delivery, meanwhile=None):
    """Write a snapshot, in two steps where there is no project yet, as Workers has two processes do."""
    found = directory_files.write_snapshot(delivery)
    if isinstance(found, str):
        return found
    if meanwhile is not None:
        meanwhile()
    return directory_files.write_snapshot(delivery, project_file(found))


def test_a_running_ui_shows_new_projects_and_their_snapshots_by_itself(service, generation, deliver):
    for number in range(2):
        project = deliver(service.directory, project_name=f"{generation}-{number}")
        (shown,) = service.wait_for(f"/api/projects/{project}/{LISTS[generation]}", lambda seen: len(seen) == 1)
        assert shown["metadata"]["collector"] == "main"
        assert service.get(f"/api/projects/{project}/{shown['id']}/data")["widgets"]
        assert service.get(f"/api/projects/{project}/info")["name"] == f"{generation}-{number}"


def test_a_second_snapshot_shows_and_a_rewritten_one_stays_one(service, generation, deliver, evaluate, iris):
    project = deliver(service.directory, project_name=f"{generation}-two")
    deliver(service.directory, project_name=f"{generation}-two")
    evaluate(CONFIGS[generation], iris[:50], iris[60:])  # a legacy snapshot brings its own, new id
    deliver(service.directory, "018f0000-0000-7000-8000-000000000002", project_name=f"{generation}-two")
    shown = service.wait_for(f"/api/projects/{project}/{LISTS[generation]}", lambda seen: len(seen) == 2)
    assert sorted(one["metadata"]["rows"] for one in shown) == ["50", "60"]


def test_a_project_that_evidently_created_gets_the_snapshot(generation, deliver, tmp_path):
    """By the code that its services have, too."""
    created = WORKSPACES[generation](str(tmp_path / "w")).create_project("theirs").id
    assert deliver(tmp_path / "w", project_name="theirs") == str(created)
    assert snapshots_in(tmp_path / "w", generation) == {"theirs": 1}


def test_a_ui_that_starts_later_reads_it_all(generation, deliver, tmp_path):
    """A stray file would stop the legacy one."""
    deliver(tmp_path / "w", project_name="later")
    assert not list((tmp_path / "w").rglob(".*"))
    assert snapshots_in(tmp_path / "w", generation) == {"later": 1}


def snapshots_in(directory, generation):
    """Count the snapshots of each project as the services do at their start, with their own code."""
    workspace = WORKSPACES[generation](str(directory))
    if generation == "legacy":
        return {one.name: len(one.list_snapshots()) for one in workspace.list_projects()}
    return {one.name: len(workspace.list_runs(one.id)) for one in workspace.list_projects()}


def test_a_missing_project_is_created_under_the_given_id_with_the_collectors_name(deliver, tmp_path):
    wanted = "834EC9A0-ee58-4e64-816b-c593b0b6c45c"
    assert deliver(tmp_path / "w", project_id=wanted) == wanted.lower()
    metadata = json.loads((tmp_path / "w" / wanted.lower() / "metadata.json").read_text())
    assert (metadata["id"], metadata["name"]) == (wanted.lower(), "main")


def test_an_existing_project_is_left_as_it_is(deliver, tmp_path):
    project = deliver(tmp_path / "w", project_name="named")
    before = (tmp_path / "w" / project / "metadata.json").read_bytes()
    deliver(tmp_path / "w", project_id=project)
    assert (tmp_path / "w" / project / "metadata.json").read_bytes() == before


def test_a_known_project_is_found_again_without_reading_the_others(deliver, tmp_path, monkeypatch):
    for name in ("one", "two", "three"):
        projects = [deliver(tmp_path / "w", project_name=name) for _ in range(2)]  # it is created, then found
    read, name_of = [], directory_files._name_of  # noqa: SLF001
    monkeypatch.setattr(directory_files, "_name_of", lambda folder: read.append(folder.name) or name_of(folder))
    assert deliver(tmp_path / "w", project_name="three") == projects[0]
    assert set(read) == {projects[0]}


def test_a_known_project_that_was_renamed_gets_no_more_snapshots_of_its_old_name(generation, deliver, tmp_path):
    before = [deliver(tmp_path / "w", project_name="named") for _ in range(2)]
    metadata = tmp_path / "w" / before[0] / "metadata.json"
    metadata.write_text(metadata.read_text().replace('"named"', '"renamed"'))
    other = WORKSPACES[generation](str(tmp_path / "w")).create_project("named").id
    assert deliver(tmp_path / "w", project_name="named") == str(other)


def test_an_id_that_is_no_uuid_is_refused_and_nothing_is_written(deliver, tmp_path):
    with pytest.raises(ValueError, match=r"project_id '\.\./x' isn't a UUID; give one, or a project_name instead"):
        deliver(tmp_path / "w", project_id="../x")
    assert list((tmp_path / "w").iterdir()) == []


def test_racing_writers_make_one_project_of_a_name(generation, deliver, tmp_path):
    """Both have looked for the project, and found none, before either creates it."""
    both = threading.Barrier(2, timeout=PATIENCE)

    def race(batch):
        return deliver(tmp_path / "w", batch, project_name="raced", meanwhile=both.wait)

    with ThreadPoolExecutor(2) as threads:
        projects = list(threads.map(race, [BATCH, "018f0000-0000-7000-8000-000000000002"]))
    assert len(set(projects)) == len(list(Path(tmp_path / "w").iterdir())) == 1
    written = list((tmp_path / "w" / projects[0] / "snapshots").iterdir())
    assert len(written) == (2 if generation == "modern" else 1)


def refuse(*_):
    raise PermissionError("no links here")


def test_a_file_system_without_links_gets_the_files_too(deliver, tmp_path, monkeypatch):
    monkeypatch.setattr(directory_files.os, "link", refuse)
    project = deliver(tmp_path / "w", project_name="x")
    assert len(list((tmp_path / "w" / project / "snapshots").iterdir())) == 1


def test_without_links_a_running_ui_still_sees_snapshots_of_projects_that_it_knows(
    service, deliver, evaluate, iris, monkeypatch
):
    generation = "modern" if service.command == "ui" else "legacy"
    project = deliver(service.directory, project_name=f"{generation}-linkless")
    service.wait_for(f"/api/projects/{project}/{LISTS[generation]}", lambda seen: len(seen) == 1)
    monkeypatch.setattr(directory_files.os, "link", refuse)
    evaluate(CONFIGS[generation], iris[:50], iris[60:])
    deliver(service.directory, "018f0000-0000-7000-8000-000000000002", project_name=f"{generation}-linkless")
    service.wait_for(f"/api/projects/{project}/{LISTS[generation]}", lambda seen: len(seen) == 2)


def test_a_batch_that_was_evaluated_again_takes_the_place_of_its_first_snapshot(watching_ui, evaluate, iris, tmp_path):
    delivery = {
        "directory": str(watching_ui.directory),
        "generation": "modern",
        "project_id": None,
        "project_name": "again",
        "collector": "main",
        "snapshot_path": str(tmp_path / "snapshot.json"),
        "snapshot_id": "018f0000-0000-7000-8000-000000000001",
        "replaces": [],
    }
    for rows in (60, 50):
        evaluate(MODERN_DRIFT, iris[:rows], iris[60:])
        path = f"/api/projects/{written(delivery)}/snapshots"
        watching_ui.wait_for(path, lambda seen, rows=rows: [one["metadata"]["rows"] for one in seen] == [str(rows)])


def pipe(metadata):
    metadata.unlink()
    os.mkfifo(metadata)


def loop(metadata):
    metadata.unlink()
    metadata.symlink_to(metadata)


def folder(metadata):
    metadata.unlink()
    metadata.mkdir()


DAMAGES = {
    "empty": lambda metadata: os.truncate(metadata, 0),
    "garbage": lambda metadata: metadata.write_bytes(b"\xff\xfe{"),
    "deep": lambda metadata: metadata.write_text("[" * 100_000),
    "another form": lambda metadata: metadata.write_text("[1]"),
    "large number": lambda metadata: metadata.write_text("1" * 5_000),
    "pipe": pipe,
    "loop": loop,
    "link to nowhere": lambda metadata: (metadata.unlink(), metadata.symlink_to("nowhere")),
    "folder": folder,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("how", ["by its name", "by its id"])
def test_nothing_is_delivered_into_a_project_whose_file_is_damaged(generation, deliver, tmp_path, damage, how):
    root = tmp_path / "w"
    project = deliver(root, project_name="x")
    named = {"project_name": "x"} if how == "by its name" else {"project_id": project}
    DAMAGES[damage](root / project / "metadata.json")
    with pytest.raises(ValueError, match=r"metadata.json is damaged \(.+\); restore it, or move its folder away"):
        deliver(root, "018f0000-0000-7000-8000-000000000002", **named)
    (root / project).rename(tmp_path / "away")
    assert deliver(root, "018f0000-0000-7000-8000-000000000002", **named) == project


@pytest.mark.parametrize("damage", DAMAGES)
def test_another_projects_damaged_file_hinders_nobody(deliver, tmp_path, damage):
    root = tmp_path / "w"
    DAMAGES[damage](root / deliver(root, project_name="other") / "metadata.json")
    project = deliver(root, project_name="x")
    assert len(list((root / project / "snapshots").iterdir())) == 1


@pytest.mark.parametrize("in_the_way", [".", "snapshots"])
def test_a_file_in_the_place_of_a_directory_is_named(deliver, tmp_path, in_the_way):
    root = tmp_path / "w"
    project = deliver(root, project_name="x")
    path = root if in_the_way == "." else root / project / in_the_way
    shutil.rmtree(path)
    path.touch()
    with pytest.raises(ValueError, match=f"{path} isn't a directory; move it out of the way"):
        deliver(root, project_name="x")


@pytest.mark.parametrize("where", ["in the same project", "beside it"])
def test_a_directory_with_the_other_generations_snapshots_is_left_as_it_is(generation, deliver, tmp_path, where):
    """With both, ``evidently ui`` and ``legacy_ui`` answer 500 for every project."""
    root, other = tmp_path / "w", {"modern": '{"id": "x"}', "legacy": '{"report": {}}'}[generation]
    project = "018f0000-0000-7000-8000-00000000000a"
    snapshots = root / (project if where == "in the same project" else str(uuid.uuid4())) / "snapshots"
    snapshots.mkdir(parents=True)
    (snapshots / f"{uuid.uuid4()}.json").write_text(other)
    with pytest.raises(ValueError, match=r"holds (legacy|modern) snapshots, and no UI .* give this collector another"):
        deliver(root, project_id=project)
    assert len(list(root.rglob("*.json"))) == 1


def test_the_generations_in_a_directory_are_told_by_its_snapshots(generation, deliver, tmp_path):
    assert directory_files.generations_in(tmp_path / "missing") == set()
    deliver(tmp_path / "w", project_name="x")
    (tmp_path / "w" / str(uuid.uuid4())).symlink_to(tmp_path / "w" / "nowhere")
    assert directory_files.generations_in(tmp_path / "w") == {generation}


def test_somebody_elses_file_is_no_project(deliver, tmp_path):
    (tmp_path / "w" / "other").mkdir(parents=True)
    (tmp_path / "w" / "other" / "metadata.json").write_text("not json")
    assert uuid.UUID(deliver(tmp_path / "w", project_name="x"))


# Dashboards


@pytest.fixture
def place(tmp_path):
    """A project in a directory, without snapshots."""
    root = tmp_path / "workspace"
    (root / PROJECT / "snapshots").mkdir(parents=True)
    (root / PROJECT / "metadata.json").write_text(json.dumps({"id": PROJECT, "name": "shop"}), encoding="utf-8")
    return {"directory": str(root), "project_id": None, "project_name": "shop", "collector": "main"}


def tab(*titles):
    panel = {"subtitle": None, "size": "half", "values": [], "plot_params": {"plot_type": "text"}}
    return {"collector": "main", "panels": [marked("main", title, panel | {"title": title}) for title in titles]}


def show(place, *titles, is_asked=False):
    return directory_files.write_dashboard(place, tab(*titles), is_asked=is_asked)


@pytest.fixture
def dashboard(place):
    return Path(place["directory"]) / PROJECT / "dashboard.json"


def titles_in(path):
    return [panel["title"] for panel in json.loads(path.read_bytes())["panels"]]


def test_a_dashboard_is_put_beside_the_projects_file(place, dashboard):
    assert show(place, "a", "b")
    assert json.loads(dashboard.read_bytes()) == {"tabs": [], "panels": tab("a", "b")["panels"]}
    assert dashboard.stat().st_mode & 0o777 == 0o644  # the UI may run as another user
    assert sorted(path.name for path in dashboard.parent.parent.rglob("*.tmp")) == []


def test_evidently_reads_the_dashboard_and_a_panel_added_by_its_client_stays(place, dashboard):
    show(place, "a")
    project = Workspace(place["directory"]).get_project(PROJECT)
    project.dashboard.add_panel(text_panel(title="mine"), tab="My tab")
    assert not show(place, "b")
    assert show(place, "b", is_asked=True)
    assert [panel.title for panel in project.dashboard.model().panels] == ["b", "mine"]
    assert [tab.title for tab in project.dashboard.model().tabs] == ["My tab"]


def test_a_dashboard_that_appears_meanwhile_is_not_written_over(place, dashboard, monkeypatch):
    """Between the look and the write, a UI or another program writes one."""
    appear = vars(directory_files)["_appear"]

    def race(*args, **others):
        monkeypatch.setattr(directory_files, "_appear", appear)
        dashboard.write_text(json.dumps({"tabs": [], "panels": [{"id": "1", "title": "mine"}]}), encoding="utf-8")
        appear(*args, **others)

    monkeypatch.setattr(directory_files, "_appear", race)
    assert not show(place, "a")
    assert titles_in(dashboard) == ["mine"]


def test_a_panel_that_is_added_while_ours_is_written_stays(place, dashboard, monkeypatch):
    show(place, "old")
    replace = vars(directory_files)["_replace"]

    def race(*args):
        monkeypatch.setattr(directory_files, "_replace", replace)
        body = json.loads(dashboard.read_bytes())
        dashboard.write_text(json.dumps({**body, "panels": [{"id": "1", "title": "mine"}, *body["panels"]]}))
        replace(*args)

    monkeypatch.setattr(directory_files, "_replace", race)
    assert show(place, "new", is_asked=True)
    assert titles_in(dashboard) == ["mine", "new"]


def test_a_dashboard_that_is_being_written_is_read_when_it_is_whole(place, dashboard, monkeypatch):
    """The UI writes it in place."""
    show(place, "old")
    whole = dashboard.read_bytes()
    dashboard.write_bytes(whole[:10])
    monkeypatch.setattr(directory_files, "time", SimpleNamespace(sleep=lambda _: dashboard.write_bytes(whole)))
    assert show(place, "new")
    assert titles_in(dashboard) == ["new"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"panels": 1}'], ids=["cut", "list", "other"])
def test_a_file_that_is_no_dashboard_is_not_written_over(place, dashboard, body, monkeypatch):
    monkeypatch.setattr(directory_files, "_PAUSES", (0.01,))
    dashboard.write_bytes(body)
    with pytest.raises(ValueError, match=r"is damaged|a dashboard of Evidently"):
        show(place, "a", is_asked=True)
    assert dashboard.read_bytes() == body


def test_a_dashboard_that_would_be_too_large_stays_as_it_is_and_is_never_called_damaged(place, dashboard, monkeypatch):
    show(place, "old")
    before = dashboard.read_bytes()
    monkeypatch.setattr(directory_files, "_MAX_DASHBOARD", len(before) + 10)
    with pytest.raises(ValueError, match=r"would be \d+ MB, more than a UI can show; give some .* project_name"):
        show(place, "old", "new")
    assert dashboard.read_bytes() == before


def test_a_project_that_is_gone_gets_no_dashboard(place, dashboard):
    (dashboard.parent / "metadata.json").unlink()
    with pytest.raises(ValueError, match="has no project 'shop' any more"):
        show(place, "a")


@pytest.mark.parametrize("before", [0, 100_000])
def test_a_snapshot_comes_in_the_place_of_those_that_it_replaces(deliver, tmp_path, before):
    """They name their batch in their metadata, whichever names their files have; doing it again changes nothing."""
    root = tmp_path / "workspace"
    folder = root / deliver(root, project_id=PROJECT) / "snapshots"
    [own] = folder.iterdir()
    old = folder / "018f0000-0000-7000-8000-00000000000b.json"
    other = folder / "018f0000-0000-7000-8000-00000000000c.json"
    for path, batch in ((old, "b-old"), (other, "b-other")):
        told = {"name": before * "x", "metadata": {"batch_id": batch}, "widgets": [before * "x"]}
        path.write_text(json.dumps(told), encoding="utf-8")
    for _ in range(2):
        deliver(root, project_id=PROJECT, replaces=["b-old", "018f0000-0000-7000-8000-000000000001"])
        assert set(folder.iterdir()) == {own, other}
