"""Directories, written by fake workers."""

import pytest
from worlds import FakeWorkers, collector, worker_died

from collector.errors import DeliveryError, DeliveryRefused
from collector.workspaces.workspace import open_workspaces
from workspaces.sending import delivering


async def test_a_directory_is_written_by_a_worker(snapshot):
    workers = FakeWorkers()
    async with delivering(snapshot, workers) as deliver:
        await deliver(collector("main", api_url="workspace"))
    assert workers.written == [
        {
            "directory": str(snapshot.parent / "workspace"),
            "generation": "modern",
            "project_id": None,
            "project_name": "project",
            "collector": "main",
            "snapshot_path": str(snapshot),
            "snapshot_id": "batch-1",
            "replaces": [],
        }
    ]


WRONG = pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (PermissionError(13, "Permission denied"), DeliveryRefused, "can't be written: .*Permission denied"),
        (ValueError("project_id 'x' is no UUID"), DeliveryRefused, "is no UUID"),
        (worker_died(), DeliveryError, "the worker process died"),
    ],
    ids=["permission", "value", "died"],
)


@WRONG
async def test_a_directory_that_cannot_be_written_says_why(snapshot, raised, kind, says):
    workers = FakeWorkers()
    workers.failures = [raised]
    async with delivering(snapshot, workers) as deliver:
        with pytest.raises(DeliveryError, match=says) as caught:
            await deliver(collector(api_url="workspace"))
    assert type(caught.value) is kind


# Dashboards

TAB = {"collector": "main", "panels": []}


async def test_a_dashboard_is_written_by_a_worker(tmp_path):
    workers = FakeWorkers()
    async with open_workspaces(workers, tmp_path) as workspaces:
        workspace = workspaces.open_workspace(collector("main", api_url="workspace"))
        assert await workspace.show(TAB, is_asked=True)
    directory = str(tmp_path / "workspace")
    place = {"directory": directory, "project_id": None, "project_name": "project", "collector": "main"}
    assert workers.shown == [(place, TAB, True)]


@WRONG
async def test_a_dashboard_that_cannot_be_written_says_why(tmp_path, raised, kind, says):
    workers = FakeWorkers()
    workers.failures = [raised]
    async with open_workspaces(workers, tmp_path) as workspaces:
        with pytest.raises(DeliveryError, match=says) as caught:
            await workspaces.open_workspace(collector(api_url="workspace")).show(TAB, is_asked=False)
    assert type(caught.value) is kind


# Generations that no UI could show together

MODERN = {"metrics": ["DataDriftPreset"]}
LEGACY = {"metrics": [], "tests": [{"type": "evidently:test:X"}], "options": {}, "metadata": {}, "tags": []}


async def problems(workers, base, config, *others):
    async with open_workspaces(workers, base) as workspaces:
        return [str(problem) for problem in await workspaces.open_workspace(config).problems(others)]


async def test_a_project_that_can_be_in_no_directory_is_told(tmp_path):
    """Also of a config that nobody has checked before the service started."""
    config = collector(api_url="workspace", project_name=None, project_id="no-uuid")
    [told] = await problems(FakeWorkers(), tmp_path, config)
    assert told.startswith("project_id: a project in a directory has a UUID")


@pytest.mark.parametrize(("found", "is_told"), [(set(), False), ({"modern"}, False), ({"legacy"}, True)])
async def test_snapshots_of_the_other_generation_that_lie_there_are_told(tmp_path, found, is_told):
    workers = FakeWorkers()
    workers.generations = {"workspace": found}
    told = await problems(workers, tmp_path, collector(api_url="workspace", report_config=MODERN))
    assert bool(told) == is_told
    assert all(
        f"api_url: {tmp_path / 'workspace'} holds legacy snapshots; no UI can show those and modern ones" in one
        for one in told
    )


@pytest.mark.parametrize("url", ["workspace", "./workspace/", "other/../workspace", "link", "file://{base}/workspace"])
async def test_another_collector_of_the_other_generation_in_the_same_directory_is_told(tmp_path, url):
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to("workspace")
    mine = collector("main", api_url="workspace", report_config=LEGACY)
    rival = collector("rival", api_url=url.format(base=tmp_path), report_config=MODERN)
    (told,) = await problems(FakeWorkers(), tmp_path, mine, mine, rival)
    assert "is where the modern snapshots of 'rival' go" in told


async def test_what_lies_there_decides_who_goes_on(tmp_path):
    """Else neither of two would."""
    workers = FakeWorkers()
    workers.generations = {"workspace": {"legacy"}}
    mine = collector("main", api_url="workspace", report_config=LEGACY)
    rival = collector("rival", api_url="workspace", report_config=MODERN)
    assert await problems(workers, tmp_path, mine, rival) == []


async def test_others_elsewhere_or_of_the_same_generation_do_no_harm(tmp_path):
    mine = collector("main", api_url="workspace", report_config=LEGACY)
    elsewhere = collector("a", api_url="other", report_config=MODERN)
    service = collector("b", api_url="http://workspace", report_config=MODERN)
    same = collector("c", api_url="workspace", report_config=LEGACY)
    assert await problems(FakeWorkers(), tmp_path, mine, elsewhere, service, same) == []
