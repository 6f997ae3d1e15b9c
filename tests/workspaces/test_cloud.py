"""Evidently Cloud's logins and datasets, by a real HTTP server of the test's own."""

import pytest
import trio
from worlds import FakeWorkers, worker_died

from collector.dashboard import marked
from collector.errors import DeliveryError, DeliveryRefused, SnapshotTooLarge
from collector.workspaces.workspace import open_workspaces
from workspaces.sending import LEGACY_SEND, PROJECT, SEND, UPLOAD, cloud, dataset, delivering

LOGIN = ("GET", "/api/users/login")

# Logins


async def test_cloud_takes_a_key_as_it_is(service, snapshot):
    """Keys of Evidently Cloud begin with ``sk_`` and have two dots in them; older tokens have to log in."""
    async with delivering(snapshot) as deliver:
        await deliver(cloud(service, "sk_a.b.c"))
    assert service.requests[0].headers["authorization"] == "Bearer sk_a.b.c"
    assert service.asked() == [f"{SEND[0]} {SEND[1]}"]


async def test_cloud_logs_in_once_with_an_old_token(service, snapshot):
    service.answers[LOGIN] = (200, b"the-jwt", {})
    async with delivering(snapshot) as deliver:
        for _ in range(2):
            await deliver(cloud(service, "old"))
    login, *others = service.requests
    assert (login.method, login.path) == LOGIN
    assert login.headers["x-evidently-token"] == "old"
    assert {request.headers["cookie"] for request in others} == {"app.at=the-jwt"}


async def test_cloud_logs_in_again_when_its_login_expired(service, snapshot):
    service.answers[LOGIN] = [(200, b"first", {}), (200, b"second", {})]
    service.answers[SEND] = [service.answers[SEND], (401, {}, {}), service.answers[SEND]]
    async with delivering(snapshot) as deliver:
        for _ in range(2):
            await deliver(cloud(service, "old"))
    assert service.requests[-1].headers["cookie"] == "app.at=second"


async def test_cloud_that_refuses_a_fresh_login_too_is_not_asked_for_ever(service, snapshot):
    service.answers[LOGIN] = (200, b"jwt", {})
    service.answers[SEND] = (401, {}, {})
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryRefused):
            await deliver(cloud(service, "old"))
    assert service.asked() == ["GET /api/users/login", f"{SEND[0]} {SEND[1]}"] * 2


async def test_cloud_without_a_key_says_so(service, snapshot):
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryRefused, match="Evidently Cloud needs a key"):
            await deliver(cloud(service, None))


async def test_two_accounts_in_cloud_have_two_logins(service, snapshot):
    service.answers[LOGIN] = [(200, b"jwt of a", {}), (200, b"jwt of b", {})]
    async with delivering(snapshot) as deliver:
        for secret in ("a", "b"):
            await deliver(cloud(service, secret))
    cookies = [request.headers["cookie"] for request in service.requests if request.path == SEND[1]]
    assert cookies == ["app.at=jwt of a", "app.at=jwt of b"]


# Datasets


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


async def test_a_worker_that_dies_while_it_links_datasets_is_a_delivery_error(service, snapshot, tmp_path):
    class Dying(FakeWorkers):
        async def link_datasets(self, snapshot, ids):  # noqa: ARG002  (as in Workers)
            await trio.lowlevel.checkpoint()
            raise worker_died()

    async with delivering(snapshot, Dying()) as deliver:
        with pytest.raises(DeliveryError):
            await deliver(cloud(service), "legacy", datasets=[dataset(tmp_path)])


# Dashboards


async def test_cloud_gets_the_panels_in_a_tab_of_their_own(service, tmp_path):
    path = f"/api/v2/dashboards/{PROJECT}"
    panel = marked("main", "Rows", {"title": "Rows", "plot_params": {}})
    person = {"id": "t", "title": "Mine", "panels": []}
    read = [(200, {"tabs": [person], "panels": []}, {}), (200, {"tabs": [person], "panels": [panel]}, {})]
    service.answers |= {("GET", path): read, ("POST", path): (200, None, {})}
    async with open_workspaces(FakeWorkers(), tmp_path) as workspaces:
        await workspaces.open_workspace(cloud(service)).show({"collector": "main", "panels": [panel]}, is_asked=False)
    written = service.requests[1].json()
    assert written["tabs"][0] == person
    assert (written["tabs"][1]["title"], written["tabs"][1]["panels"]) == ("main", [panel["id"]])
    assert service.requests[1].headers["authorization"] == "Bearer sk_a.b.c"
