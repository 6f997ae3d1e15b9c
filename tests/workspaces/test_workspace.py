"""Delivery to a real HTTP server of the test's own, and to directories by fake workers."""

from contextlib import asynccontextmanager

import pytest
import trio
from worlds import FakeService, FakeWorkers, collector, fill, outcome_of, worker_died

from collector.errors import DeliveryError, DeliveryRefused, SnapshotTooLarge
from collector.store.records import Batch
from collector.workspaces import workspace as module
from collector.workspaces.workspace import Progress, open_delivery

PROJECT = "018f0000-0000-7000-8000-00000000000a"
SEARCH = ("GET", "/api/projects/search/project")
MAKE = ("POST", "/api/v2/projects")
SEND = ("POST", f"/api/v2/snapshots/{PROJECT}")
LIST = ("GET", f"/api/projects/{PROJECT}/snapshots")
LEGACY_SEND = ("POST", f"/api/projects/{PROJECT}/snapshots")
UPLOAD = ("POST", "/api/datasets")


@pytest.fixture
def service():
    with FakeService() as service:
        service.answers = {
            SEARCH: (200, [], {}),
            MAKE: (200, PROJECT, {}),
            SEND: (200, {"snapshot_id": "made there"}, {}),
            LIST: (200, [], {}),
            LEGACY_SEND: (200, {}, {}),
            UPLOAD: (200, {"dataset_id": "d1"}, {}),
        }
        yield service


@pytest.fixture
def snapshot(tmp_path):
    return fill(tmp_path / "snapshot.json", '{"a": "snapshot"}')


@asynccontextmanager
async def delivering(snapshot, workers=None):
    """Give what delivers the snapshot of a batch, going on from what was kept at the try before."""
    kept = []

    async def keep(progress):
        await trio.lowlevel.checkpoint()
        kept.append(progress)

    async with open_delivery(workers or FakeWorkers(), snapshot.parent) as delivery:

        async def deliver(config, generation="modern", *, is_doubtful=False, datasets=()):
            outcome = outcome_of([], generation) | {"datasets": list(datasets)}
            batch = Batch("batch-1", config.id, "evaluated", 0, 0, 0, outcome=outcome)
            progress = Progress(keep, **(kept[-1] if kept else {"is_doubtful": is_doubtful}))
            await delivery.deliver(config, batch, snapshot, progress)

        deliver.kept = kept
        yield deliver


def to(service, **fields):
    return collector(api_url=service.url, project_id=PROJECT, project_name=None, **fields)


def by_name(service, **fields):
    return collector(api_url=service.url, project_name="project", **fields)


def cloud(service):
    return to(service, is_cloud=True, api_secret="sk_a.b.c", save_datasets=True)


def dataset(tmp_path, role="current"):
    """Describe a dataset as collector.workers.exchange.DatasetFile does."""
    rows = tmp_path / f"{role}.parquet"
    rows.write_bytes(b"PAR1 rows of " + role.encode())
    return {
        "role": role,
        "name": role,
        "path": str(rows),
        "url": "/api/datasets",
        "filename": "data.parquet",
        "form": {"name": role},
        "params": {"subtype": role},
    }


# The modern service


async def test_a_modern_snapshot_is_sent_as_it_is(service, snapshot):
    async with delivering(snapshot) as deliver:
        await deliver(to(service))
    (request,) = service.requests
    assert (request.method, request.path) == SEND
    assert (request.json(), request.headers["content-type"]) == ({"a": "snapshot"}, "application/json")


async def test_a_doubtful_snapshot_that_is_there_is_not_sent_again(service, snapshot):
    service.answers[LIST] = (200, [{"id": "made there", "metadata": {"batch_id": "batch-1"}}], {})
    async with delivering(snapshot) as deliver:
        await deliver(to(service), is_doubtful=True)
    assert service.asked() == [f"{LIST[0]} {LIST[1]}"]


async def test_a_doubtful_snapshot_that_is_not_there_is_sent(service, snapshot):
    service.answers[LIST] = (200, [{"id": "x", "metadata": {"batch_id": "batch-0"}}, {"id": "y", "metadata": {}}], {})
    async with delivering(snapshot) as deliver:
        await deliver(to(service), is_doubtful=True)
    assert service.asked() == [f"{LIST[0]} {LIST[1]}", f"{SEND[0]} {SEND[1]}"]


async def test_doubt_is_kept_before_anything_is_sent(service, snapshot, monkeypatch):
    asked = []

    async def request(*_args, **_arguments):
        await trio.lowlevel.checkpoint()
        asked.append(deliver.kept[-1]["is_doubtful"])
        raise DeliveryError("lost", is_ambiguous=True)

    monkeypatch.setattr(module.Services, "send", request)
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryError):
            await deliver(to(service))
    assert asked == [True]
    assert deliver.kept[-1]["is_doubtful"]


@pytest.mark.parametrize(("answer", "is_doubtful"), [((500, {}, {}), True), (None, True), ((404, {}, {}), False)])
async def test_doubt_stays_only_after_a_failure_that_leaves_it_open(service, snapshot, answer, is_doubtful):
    service.answers[SEND] = answer
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryError):
            await deliver(to(service))
    assert deliver.kept[-1]["is_doubtful"] == is_doubtful


# Projects


async def test_a_project_is_found_by_its_name(service, snapshot):
    service.answers[SEARCH] = (200, [{"id": "x", "name": "project 2"}, {"id": PROJECT, "name": "project"}], {})
    async with delivering(snapshot) as deliver:
        await deliver(by_name(service))
    assert service.asked() == [f"{SEARCH[0]} {SEARCH[1]}", f"{SEND[0]} {SEND[1]}"]


@pytest.mark.parametrize("made", [PROJECT, {"id": PROJECT}])
async def test_a_project_that_is_missing_is_made(service, snapshot, made):
    service.answers[MAKE] = (200, made, {})
    async with delivering(snapshot) as deliver:
        await deliver(by_name(service))
    assert service.asked()[1:] == [f"{MAKE[0]} {MAKE[1]}", f"{SEND[0]} {SEND[1]}"]
    assert service.requests[1].json() == {"name": "project"}


async def test_a_name_is_quoted_in_the_path(service, snapshot):
    service.answers[("GET", "/api/projects/search/a%2Fb%20%C3%A9")] = (200, [{"id": PROJECT, "name": "a/b é"}], {})
    async with delivering(snapshot) as deliver:
        await deliver(collector(api_url=service.url, project_name="a/b é"))
    assert service.asked()[-1] == f"{SEND[0]} {SEND[1]}"


async def test_a_project_is_looked_for_once(service, snapshot):
    async with delivering(snapshot) as deliver:
        await deliver(by_name(service))
        await deliver(by_name(service))
    assert service.asked().count(f"{SEARCH[0]} {SEARCH[1]}") == 1


async def test_two_collectors_of_one_name_make_one_project(service, snapshot):
    async with delivering(snapshot) as deliver, trio.open_nursery() as nursery:
        nursery.start_soon(deliver, by_name(service))
        nursery.start_soon(deliver, by_name(service))
    assert service.asked().count(f"{MAKE[0]} {MAKE[1]}") == 1


async def test_a_project_that_was_deleted_is_looked_for_again(service, snapshot):
    """The refusal says to make it there, and its new id is another."""
    async with delivering(snapshot) as deliver:
        await deliver(by_name(service))
        service.answers[SEND] = (404, {"detail": "project not found"}, {})
        with pytest.raises(DeliveryRefused):
            await deliver(by_name(service))
        service.answers[SEARCH] = (200, [{"id": "another", "name": "project"}], {})
        service.answers["POST", "/api/v2/snapshots/another"] = (200, {"snapshot_id": "made there"}, {})
        await deliver(by_name(service))


# The legacy service


async def test_a_legacy_snapshot_goes_to_the_legacy_route(service, snapshot):
    async with delivering(snapshot) as deliver:
        await deliver(to(service), "legacy")
    assert service.asked() == [f"{LEGACY_SEND[0]} {LEGACY_SEND[1]}"]


async def test_a_doubtful_legacy_snapshot_is_just_sent_again(service, snapshot):
    async with delivering(snapshot) as deliver:
        await deliver(to(service), "legacy", is_doubtful=True)
    assert service.asked() == [f"{LEGACY_SEND[0]} {LEGACY_SEND[1]}"]


async def test_a_legacy_project_is_made_by_the_legacy_route(service, snapshot):
    service.answers["POST", "/api/projects"] = (200, PROJECT, {})
    async with delivering(snapshot) as deliver:
        await deliver(by_name(service), "legacy")
    assert service.asked()[1] == "POST /api/projects"


async def test_a_redirected_legacy_snapshot_is_not_delivered(service, snapshot):
    service.answers[LEGACY_SEND] = (301, b"", {"Location": "https://elsewhere"})
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryError):
            await deliver(to(service), "legacy")


# Datasets, in Cloud


async def test_modern_datasets_follow_their_snapshot_and_name_it(service, snapshot, tmp_path):
    async with delivering(snapshot) as deliver:
        await deliver(cloud(service), datasets=[dataset(tmp_path)])
    sent, uploaded = service.requests
    assert (sent.path, uploaded.path) == (SEND[1], UPLOAD[1])
    assert uploaded.query == {"subtype": "current", "project_id": PROJECT, "snapshot_id": "made there"}
    assert b"PAR1 rows of current" in uploaded.body
    assert b'filename="data.parquet"' in uploaded.body
    assert uploaded.headers["content-type"].startswith("multipart/form-data")


@pytest.mark.parametrize("answer", [{"dataset_id": "d1"}, {"dataset": {"id": "d1"}}])
async def test_legacy_datasets_go_first_and_are_linked(service, snapshot, tmp_path, answer):
    service.answers[UPLOAD] = (200, answer, {})
    workers = FakeWorkers()
    async with delivering(snapshot, workers) as deliver:
        await deliver(cloud(service), "legacy", datasets=[dataset(tmp_path)])
    assert service.asked() == ["POST /api/datasets", f"{LEGACY_SEND[0]} {LEGACY_SEND[1]}"]
    assert (service.requests[0].query["project_id"], workers.linked) == (PROJECT, [{"current": "d1"}])


@pytest.mark.parametrize("status", [400, 404, 413, 429, 500, 503])
async def test_after_a_refused_dataset_its_snapshot_is_not_sent_again(service, snapshot, tmp_path, status):
    service.answers[UPLOAD] = [(status, {}, {}), (200, {"dataset_id": "d1"}, {})]
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryError) as caught:
            await deliver(cloud(service), datasets=[dataset(tmp_path)])
        assert not isinstance(caught.value, SnapshotTooLarge)  # it isn't the snapshot that is to lose its plots
        await deliver(cloud(service), datasets=[dataset(tmp_path)])
    assert service.asked() == [f"{SEND[0]} {SEND[1]}", "POST /api/datasets", "POST /api/datasets"]
    assert service.requests[-1].query["snapshot_id"] == "made there"


@pytest.mark.parametrize("generation", ["modern", "legacy"])
async def test_a_dataset_that_was_sent_is_not_sent_again(service, snapshot, tmp_path, generation):
    service.answers[UPLOAD] = [(200, {"dataset_id": "d1"}, {}), (503, {}, {}), (200, {"dataset_id": "d2"}, {})]
    both = [dataset(tmp_path), dataset(tmp_path, "reference")]
    workers = FakeWorkers()
    async with delivering(snapshot, workers) as deliver:
        with pytest.raises(DeliveryError):
            await deliver(cloud(service), generation, datasets=both)
        await deliver(cloud(service), generation, datasets=both)
    roles = [request.query["subtype"] for request in service.requests if request.path == UPLOAD[1]]
    assert roles == ["current", "reference", "reference"]
    assert workers.linked == ([{"current": "d1", "reference": "d2"}] if generation == "legacy" else [])


# Answers that aren't what the routes give


@pytest.mark.parametrize("answer", [b"<html>Welcome to nginx!</html>", {"hello": "world"}, b"null"])
async def test_another_server_under_that_address_is_a_delivery_error(service, snapshot, answer):
    service.answers[SEND] = (200, answer, {})
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryError):
            await deliver(to(service))


# Directories


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
            "batch_id": "batch-1",
        }
    ]


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (PermissionError(13, "Permission denied"), DeliveryRefused, "can't be written: .*Permission denied"),
        (ValueError("project_id 'x' is no UUID"), DeliveryRefused, "is no UUID"),
        (worker_died(), DeliveryError, "the worker process died"),
    ],
)
async def test_a_directory_that_cannot_be_written_says_why(snapshot, raised, kind, says):
    workers = FakeWorkers()
    workers.failures = [raised]
    async with delivering(snapshot, workers) as deliver:
        with pytest.raises(DeliveryError, match=says) as caught:
            await deliver(collector(api_url="workspace"))
    assert type(caught.value) is kind


async def test_a_secret_that_the_environment_lost_is_refused(service, snapshot, monkeypatch):
    monkeypatch.delenv("NOT_THERE", raising=False)
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryRefused, match="no variable NOT_THERE"):
            await deliver(to(service, api_secret="${NOT_THERE}"))


async def test_a_worker_that_dies_while_it_links_datasets_is_a_delivery_error(service, snapshot, tmp_path):
    class Dying(FakeWorkers):
        async def link_datasets(self, snapshot, ids):  # noqa: ARG002  (as in Workers)
            await trio.lowlevel.checkpoint()
            raise worker_died()

    async with delivering(snapshot, Dying()) as deliver:
        with pytest.raises(DeliveryError):
            await deliver(cloud(service), "legacy", datasets=[dataset(tmp_path)])
