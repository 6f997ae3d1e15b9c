"""Snapshots in workspaces: Evidently's two services and a directory, read back as their users see them."""

import json
import shutil
import socket

import numpy as np
import pytest
from evidently import Report
from evidently.legacy.metric_preset import DataDriftPreset as LegacyDataDriftPreset
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.test_preset import DataDriftTestPreset
from evidently.legacy.test_suite import TestSuite as LegacySuite
from evidently.legacy.utils import NumpyEncoder
from evidently.presets import DataDriftPreset
from machine import Stopwatch
from uis import UI, UI_SECRET

from collector.config import ReportConfig

from .conftest import NEVER, PATIENCE, collector_config, free_port, rows_trigger, service_config, wait_until

# Evidently warns when it is called directly, as it is here to compare with.
pytestmark = pytest.mark.filterwarnings("ignore")

MODERN = {"metrics": ["DataDriftPreset"]}
LEGACY = {  # counts rows, and no more
    "metrics": [{"type": "evidently:metric:DatasetSummaryMetric"}],
    "tests": [],
    "options": {},
    "metadata": {},
    "tags": [],
}


@pytest.fixture(scope="module")
def reference(iris):
    return iris.head(90)


@pytest.fixture(scope="module")
def current(iris):
    return iris.tail(60)


@pytest.fixture(scope="module")
def watching_ui(tmp_path_factory):
    """Run an ``evidently ui`` that makes no project itself.

    Evidently's own thread that watches the directory now and then reads a project before the service has written it,
    and ends of that.
    """
    ui = UI("ui", tmp_path_factory.mktemp("watched") / "workspace")
    try:
        yield ui.wait_up()
    finally:
        ui.close()


@pytest.fixture
def to_ui(daemon, modern_ui):
    """Add a collector that delivers to ``evidently ui``; returns its id."""

    def create(collector_id, **others):
        others = {"api_url": modern_ui.url, "api_secret": UI_SECRET, "project_name": collector_id} | others
        return daemon.create(collector_id, **others)

    return create


def simple(value):
    return json.loads(json.dumps(value, cls=NumpyEncoder), parse_constant=str)


def values(run):
    """Return the metrics of a modern run, by the id that stands for a metric and its parameters."""
    return {one["id"]: one["value"] for one in run["metrics"]}


def deliver_one(daemon, ui, name, report, current, reference):
    """Have one batch evaluated and delivered to a new project; return the snapshot as the service gives it."""
    project = ui.make_project(name)
    where = {"api_url": ui.url, "api_secret": ui.secret, "project_id": project}
    daemon.create(name, trigger=rows_trigger(len(current)), report=report.model_dump(), **where)
    daemon.client.set_reference(name, reference)
    daemon.client.send_data(name, current)
    [entry] = daemon.wait_for_logs(name, 1)
    [listed] = ui.list_snapshots(project)
    assert listed["metadata"]["batch_id"] == entry["batch_id"]
    assert listed["metadata"]["rows"] == str(len(current))
    return ui.download(project, listed["id"])


def test_a_modern_drift_preset_has_the_values_that_evidently_gives_directly(daemon, modern_ui, current, reference):
    report = Report([DataDriftPreset()])
    direct = report.run(current, reference)
    read_back = deliver_one(daemon, modern_ui, "modern", ReportConfig.from_report(report), current, reference)
    assert values(read_back) == values(simple(direct.dict()))
    [drifted] = [value for name, value in values(read_back).items() if isinstance(value, dict) and "share" in value]
    assert daemon.logs("modern")[0]["drift_share"] == drifted["share"] > 0


def test_a_legacy_drift_preset_has_the_values_that_evidently_gives_directly(daemon, legacy_ui, current, reference):
    direct = LegacyReport([LegacyDataDriftPreset()])
    direct.run(current_data=current, reference_data=reference)
    read_back = deliver_one(daemon, legacy_ui, "legacy", ReportConfig.from_report(direct), current, reference)
    assert read_back["metrics"] == simple(direct.as_dict())["metrics"]
    assert read_back["metrics"][0]["result"]["number_of_columns"] == current.shape[1]


def test_a_legacy_test_preset_has_the_values_that_evidently_gives_directly(daemon, legacy_ui, current, reference):
    direct = LegacySuite([DataDriftTestPreset()])
    direct.run(current_data=current, reference_data=reference)
    read_back = deliver_one(daemon, legacy_ui, "suite", ReportConfig.from_test_suite(direct), current, reference)
    assert read_back["tests"] == simple(direct.as_dict())["tests"]
    failed = simple(direct.as_dict())["summary"]["failed_tests"]
    assert daemon.logs("suite")[0]["tests"]["failed"] == failed > 0


def test_two_collectors_of_one_project_name_share_one_new_project(daemon, modern_ui, to_ui, iris):
    for name in ("first", "second"):
        to_ui(name, project_name="shared by two")
    for name in ("first", "second"):
        daemon.client.send_data(name, iris.head(2))
    for name in ("first", "second"):
        daemon.wait_for_logs(name, 1)
    [project] = modern_ui.projects("shared by two")
    assert {one["metadata"]["collector"] for one in modern_ui.list_snapshots(project)} == {"first", "second"}


@pytest.mark.parametrize("kind", ["modern", "legacy"])
def test_a_project_is_found_by_its_name_whatever_is_in_it(daemon, modern_ui, legacy_ui, kind, iris):
    ui, report = (modern_ui, None) if kind == "modern" else (legacy_ui, LEGACY)
    name = f"Zoë's {kind} 50% & more?"
    project = ui.make_project(name)
    ui.make_project(name + "!")
    collector = daemon.create(f"found-{kind}", report=report, api_url=ui.url, api_secret=UI_SECRET, project_name=name)
    daemon.client.send_data(collector, iris.head(2))
    daemon.wait_for_logs(collector, 1)
    assert ui.projects(name) == [project]
    assert len(ui.list_snapshots(project)) == 1


def test_a_named_project_that_was_deleted_is_made_again(daemon, legacy_ui, iris):
    where = {"api_url": legacy_ui.url, "api_secret": UI_SECRET, "project_name": "again"}
    daemon.create("again", report=LEGACY, **where)
    daemon.client.send_data("again", iris.head(2))
    daemon.wait_for_logs("again", 1)
    [old] = legacy_ui.projects("again")
    legacy_ui.http.delete(f"/api/projects/{old}").raise_for_status()
    daemon.client.send_data("again", iris.head(3))
    daemon.wait_for_logs("again", 2)
    [new] = legacy_ui.projects("again")
    assert [one["metadata"]["rows"] for one in legacy_ui.list_snapshots(new)] == ["3"]


def test_a_wrong_secret_is_said_and_the_snapshot_goes_once_it_is_right(daemon, modern_ui, to_ui, iris):
    to_ui("secretive", api_secret="wrong")
    daemon.client.send_data("secretive", iris.head(2))
    [entry] = daemon.wait_for_logs("secretive", 1, ok=False)
    assert "403" in entry["error"]  # what the service answers to a wrong one
    assert "api_secret" in entry["error"]
    assert "wrong'" not in daemon.log
    daemon.wait_for_status("secretive", lambda one: one["state"] == "undelivered")
    to_ui("secretive")
    daemon.wait_for_logs("secretive", 1)
    [project] = modern_ui.projects("secretive")
    assert len(modern_ui.list_snapshots(project)) == 1


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"report": LEGACY}, "legacy_ui"),  # the modern service doesn't take legacy snapshots
        ({"project_name": None, "project_id": "018f0000-0000-7000-8000-0000000000ff"}, "project_name"),
    ],
)
def test_a_workspace_that_says_no_is_explained(daemon, modern_ui, to_ui, others, said, iris):
    collector = to_ui(f"refused-{said}", **others)
    daemon.client.send_data(collector, iris.head(2))
    [entry] = daemon.wait_for_logs(collector, 1, ok=False)
    assert said in entry["error"]


def test_a_directory_workspace_is_seen_by_a_running_ui(make_daemon, watching_ui, iris):
    """It stands in the config file, as a path or an address: a client may name none outside the file's directory."""
    forms = {"path": str(watching_ui.directory), "url": watching_ui.directory.as_uri()}
    named = {name: collector_config(api_url=url, project_name=f"dropped by {name}") for name, url in forms.items()}
    daemon = make_daemon(service_config(named)).start()
    for form in forms:
        for rows in (2, 3):
            daemon.client.send_data(form, iris.head(rows))
        daemon.wait_for_logs(form, 2)
        [project] = wait_until(lambda form=form: watching_ui.projects(f"dropped by {form}"))
        wait_until(lambda project=project: len(watching_ui.list_snapshots(project)) == 2, "both snapshots")
        assert {one["metadata"]["rows"] for one in watching_ui.list_snapshots(project)} == {"2", "3"}


@pytest.mark.slow  # faults/test_delivery.py has one that is down, among others, with a shelf in place of the UI
def test_a_snapshot_waits_for_a_service_that_is_down_and_arrives_once(daemon, tmp_path, iris):
    port = free_port()
    daemon.create("waits-for-ui", api_url=f"http://127.0.0.1:{port}", project_name="waits-for-ui")
    daemon.client.send_data("waits-for-ui", iris.head(2))
    [entry] = daemon.wait_for_logs("waits-for-ui", 1, ok=False)
    assert "can't be reached" in entry["error"]
    ui = UI("ui", tmp_path / "late" / "workspace", port=port)
    try:
        ui.wait_up()
        daemon.wait_for_logs("waits-for-ui", 1)  # the longest pause is a minute
        [project] = ui.projects("waits-for-ui")
        assert [one["metadata"]["rows"] for one in ui.list_snapshots(project)] == ["2"]
    finally:
        ui.close()
    assert len(daemon.logs("waits-for-ui", ok=False)) == 1
    daemon.wait_for_status(
        "waits-for-ui", lambda one: (one["outbox"], one["last_error"], one["state"]) == (0, "", "waiting")
    )


@pytest.mark.parametrize(("fault", "posts"), [("lose", 1), (502, 2)])
def test_a_doubtful_answer_neither_doubles_nor_loses_a_snapshot(
    daemon, modern_ui, to_ui, make_proxy, fault, posts, iris
):
    def first_time(method, path, _):
        is_first = not any(path == one[1] for one in proxy.seen if one[0] == "POST")
        return fault if method == "POST" and "snapshots" in path and is_first else None

    proxy = make_proxy(modern_ui.url, first_time)
    collector = to_ui(f"doubtful-{fault}", api_url=proxy.url)
    daemon.client.send_data(collector, iris.head(2))
    daemon.wait_for_logs(collector, 1)
    daemon.client.send_data(collector, iris.head(3))
    daemon.wait_for_logs(collector, 2)
    [project] = modern_ui.projects(collector)
    assert sorted(one["metadata"]["rows"] for one in modern_ui.list_snapshots(project)) == ["2", "3"]
    asked = [(method, status) for method, path, _, status in proxy.seen if "snapshots" in path]
    assert asked[:2] == [("POST", fault), ("GET", 200)]
    assert len([one for one in asked if one[0] == "POST"]) == posts + 1  # the last is of the second batch


def test_a_lost_answer_does_not_double_a_legacy_snapshot(daemon, legacy_ui, make_proxy, iris):
    def first_time(method, path, _):
        return "lose" if method == "POST" and "snapshots" in path and "lose" not in (s[3] for s in proxy.seen) else None

    proxy = make_proxy(legacy_ui.url, first_time)
    daemon.create("legacy-lost", report=LEGACY, api_url=proxy.url, api_secret=UI_SECRET, project_name="legacy-lost")
    daemon.client.send_data("legacy-lost", iris.head(2))
    daemon.wait_for_logs("legacy-lost", 1)
    [project] = legacy_ui.projects("legacy-lost")
    assert len(legacy_ui.list_snapshots(project)) == 1
    assert [one[3] for one in proxy.seen if "snapshots" in one[1]] == ["lose", 201]


@pytest.mark.slow  # likewise
def test_a_lost_answer_followed_by_a_crash_does_not_double_a_snapshot(make_daemon, modern_ui, make_proxy, iris):
    """The daemon is killed after the service took the snapshot and before it knew."""
    is_lossy = True

    def while_lossy(method, path, _):
        return "lose" if is_lossy and method == "POST" and "snapshots" in path else None

    proxy = make_proxy(modern_ui.url, while_lossy)
    daemon = make_daemon({"autosave": True}).start()
    daemon.create("crash", api_url=proxy.url, api_secret=UI_SECRET, project_name="crash")
    daemon.client.send_data("crash", iris.head(2))
    wait_until(lambda: any(one[3] == "lose" for one in proxy.seen), "the loss")
    daemon.kill()
    is_lossy = False
    daemon.start()
    daemon.wait_for_logs("crash", 1)
    [project] = modern_ui.projects("crash")
    assert len(modern_ui.list_snapshots(project)) == 1
    daemon.stop()


def without_widgets(body):
    return {name: value for name, value in body.items() if name not in {"widgets", "tests_widgets"}}


def test_a_snapshot_over_the_body_limit_goes_without_widgets_and_keeps_its_values(
    daemon, modern_ui, to_ui, make_proxy, current, reference
):
    limit = 100_000  # the drift of five columns weighs some 70 kB a column, without its widgets a few kB in all
    proxy = make_proxy(modern_ui.url, lambda _, __, body: 413 if len(body) > limit else None)
    to_ui("heavy", api_url=proxy.url, trigger=rows_trigger(len(current)), report=MODERN)
    daemon.client.set_reference("heavy", reference)
    daemon.client.send_data("heavy", current)
    daemon.wait_for_logs("heavy", 1)
    sent = [(len(body), status) for method, path, body, status in proxy.seen if method == "POST" and "snap" in path]
    assert [status for _, status in sent] == [413, 201]
    assert sent[0][0] > limit > sent[1][0]
    [project] = modern_ui.projects("heavy")
    [listed] = modern_ui.list_snapshots(project)
    read_back = values(modern_ui.download(project, listed["id"]))
    assert read_back == values(simple(Report([DataDriftPreset()]).run(current, reference).dict()))


def test_a_legacy_snapshot_over_the_body_limit_is_said_and_stops_nothing(daemon, legacy_ui, make_proxy, iris):
    proxy = make_proxy(legacy_ui.url, lambda _, path, __: 413 if "snapshots" in path else None)
    daemon.create("heavy-legacy", report=LEGACY, api_url=proxy.url, api_secret=UI_SECRET, project_name="heavy-legacy")
    daemon.client.send_data("heavy-legacy", iris.head(2))
    [entry] = daemon.wait_for_logs("heavy-legacy", 1, ok=False)
    assert "413" in entry["error"]
    daemon.client.send_data("heavy-legacy", iris.head(3))
    status = daemon.wait_for_status("heavy-legacy", lambda one: one["failed"] == 2)
    assert "413" in status["last_error"]


def test_a_workspace_that_never_answers_delays_no_other(daemon, modern_ui, to_ui, iris):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hung = to_ui("hung", api_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        daemon.client.send_data(hung, iris.head(2))
        silent.settimeout(PATIENCE)
        connection, _ = silent.accept()
        with connection:
            other = to_ui("beside-hung")
            with Stopwatch() as stopwatch:
                daemon.client.send_data(other, iris.head(2))
                daemon.wait_for_logs(other, 1)
            assert stopwatch.seconds < 15
    daemon.client.delete_collector(hung)


def test_a_reference_file_that_is_replaced_is_read_again(daemon, iris):
    """``cache_reference: false``: the second batch is the new reference itself, so nothing drifts."""
    setosa, virginica = iris.head(50), iris.tail(50)
    setosa.to_parquet(daemon.directory / "reference.parquet")
    report = {"metrics": [{"type": "DriftedColumnsCount", "columns": list(iris.columns[:4])}]}
    others = {"reference_path": "reference.parquet", "cache_reference": False}
    daemon.create("reread", trigger=rows_trigger(NEVER), report=report, **others)
    shares = []
    for reference in (setosa, virginica):
        reference.to_parquet(daemon.directory / "new.parquet")
        shutil.move(daemon.directory / "new.parquet", daemon.directory / "reference.parquet")
        daemon.client.send_data("reread", virginica)
        daemon.client.flush("reread")
        shares.append(daemon.wait_for_logs("reread", len(shares) + 1)[-1]["drift_share"])
    assert np.allclose(shares, [1, 0])
