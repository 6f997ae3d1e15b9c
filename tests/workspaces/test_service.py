"""Delivery to a real HTTP server of the test's own."""

from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from worlds import FakeWorkers, collector

from collector.dashboard import marked
from collector.errors import DeliveryError, DeliveryRefused
from collector.workspaces.http import Connections
from collector.workspaces.workspace import open_workspaces
from workspaces.sending import LEGACY_SEND, LIST, MAKE, PROJECT, SEARCH, SEND, by_name, delivering, to

# The modern service


async def test_a_snapshot_that_is_kept_with_a_500_is_found_and_not_sent_for_ever(service, snapshot):
    """Evidently on SQLite keeps a snapshot with a NaN, can't enter its values for dashboards, and answers 500."""
    service.answers[SEND] = (500, {"status_code": 500, "detail": "Internal Server Error"}, {})
    service.answers[LIST] = (200, [{"id": "made there", "metadata": {"batch_id": "batch-1"}}], {})
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryError):
            await deliver(to(service))
        await deliver(to(service), is_doubtful=deliver.kept[-1]["is_doubtful"])
    assert service.asked() == [f"{SEND[0]} {SEND[1]}", f"{LIST[0]} {LIST[1]}"]


async def test_an_address_that_no_service_has_is_told(tmp_path):
    """Also of a config that nobody has checked before the service started."""
    async with open_workspaces(FakeWorkers(), tmp_path) as workspaces:
        [problem] = await workspaces.open_workspace(collector(api_url="ftp://host/workspace")).problems(())
    assert str(problem).startswith("api_url: 'ftp://host/workspace' isn't the address of a service")


async def test_a_snapshot_is_not_put_beside_those_that_it_was_to_replace_and_cannot(service, snapshot):
    """At the second try the project is known, and may have been deleted: it is looked for again."""
    service.answers[LIST] = (200, [{"id": "there", "metadata": {"batch_id": "old"}}], {})
    service.answers["DELETE", f"/api/projects/{PROJECT}/there"] = (405, {"detail": "Method Not Allowed"}, {})
    async with delivering(snapshot, replaces=("old",)) as deliver:
        for _ in range(2):
            with pytest.raises(DeliveryRefused):
                await deliver(by_name(service))
    assert f"{SEND[0]} {SEND[1]}" not in service.asked()


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


async def test_of_snapshots_of_one_batch_the_later_go(service):
    def listed(id_, batch_id, **metadata):
        return {"id": id_, "metadata": {"collector": "main", "batch_id": batch_id, "report": "main"} | metadata}

    others = [listed("b7", "twice", collector="other"), listed("b8", "twice", segment="x"), {"id": "b9"}]
    found = [listed("b3", "once"), listed("b5", "twice"), listed("b4", "twice"), listed("b6", "twice"), *others]
    service.answers[LIST] = (200, found, {})
    for gone in ("b5", "b6"):
        service.answers["DELETE", f"/api/projects/{PROJECT}/{gone}"] = (200 if gone == "b5" else 404, None, {})
    async with open_workspaces(FakeWorkers(), Path()) as workspaces:
        assert await workspaces.open_workspace(to(service)).remove_twins() == 2
    assert service.asked()[1:] == [f"DELETE /api/projects/{PROJECT}/{gone}" for gone in ("b5", "b6")]


async def test_doubt_is_kept_before_anything_is_sent(service, snapshot, monkeypatch):
    asked = []

    async def request(*_args, **_arguments):
        await trio.lowlevel.checkpoint()
        asked.append(deliver.kept[-1]["is_doubtful"])
        raise DeliveryError("lost", is_ambiguous=True)

    monkeypatch.setattr(Connections, "exchange", request)
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryError):
            await deliver(to(service))
    assert asked == [True]
    assert deliver.kept[-1]["is_doubtful"]


async def test_the_snapshots_of_a_batch_that_is_replaced_go_before_the_new_one_comes(service, snapshot):
    """Once: a try that follows, and looks whether the new one is there already, would take that for one of them."""
    service.answers[LIST] = (200, [{"id": name, "metadata": {"batch_id": name}} for name in ("old", "other")], {})
    service.answers[SEND] = (500, {}, {})
    gone = ("DELETE", f"/api/projects/{PROJECT}/old")
    service.answers[gone] = (200, None, {})
    async with delivering(snapshot, replaces=("old", "batch-1")) as deliver:
        with pytest.raises(DeliveryError):
            await deliver(to(service))
        assert service.asked() == [" ".join(one) for one in (LIST, gone, SEND)]
        assert deliver.kept[-1]["is_cleared"]
        service.answers[SEND] = (200, {"snapshot_id": "made there"}, {})
        await deliver(to(service))
    assert service.asked() == [" ".join(one) for one in (LIST, gone, SEND, LIST, SEND)]


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


# Answers that aren't what the routes give


@pytest.mark.parametrize("answer", [b"<html>Welcome to nginx!</html>", {"hello": "world"}, b"null"])
async def test_another_server_under_that_address_is_a_delivery_error(service, snapshot, answer):
    service.answers[SEND] = (200, answer, {})
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryError):
            await deliver(to(service))


# Secrets


async def test_a_secret_that_the_environment_lost_is_refused(service, snapshot, monkeypatch):
    monkeypatch.delenv("NOT_THERE", raising=False)
    async with delivering(snapshot) as deliver:
        with pytest.raises(DeliveryRefused, match="no variable NOT_THERE"):
            await deliver(to(service, api_secret="${NOT_THERE}"))


async def test_a_service_gets_its_secret(service, snapshot):
    async with delivering(snapshot) as deliver:
        await deliver(to(service, api_secret="s3cret"))
    assert service.requests[0].headers["evidently-secret"] == "s3cret"


async def test_a_secret_may_come_from_the_environment(service, snapshot, monkeypatch):
    monkeypatch.setenv("THE_SECRET", "from the environment")
    async with delivering(snapshot) as deliver:
        await deliver(to(service, api_secret="${THE_SECRET}"))
    assert service.requests[0].headers["evidently-secret"] == "from the environment"


async def test_without_a_secret_none_is_sent(service, snapshot):
    async with delivering(snapshot) as deliver:
        await deliver(to(service))
    assert "evidently-secret" not in service.requests[0].headers


@pytest.mark.parametrize("secret", ["s3cret\n", "s3crét"], ids=["a file's line end", "not ASCII"])
async def test_a_secret_that_no_header_can_carry_is_refused_and_not_told(service, snapshot, secret):
    async with delivering(snapshot) as deliver:
        with pytest.raises(
            DeliveryRefused, match="api_secret: has characters that an HTTP header can't have"
        ) as raised:
            await deliver(to(service, api_secret=secret))
    assert secret.strip() not in str(raised.value)
    assert service.requests == []


# Dashboards

DASHBOARD = f"/api/v2/dashboards/{PROJECT}"
EMPTY = {"tabs": [], "panels": []}
PANEL = {"title": "Rows", "subtitle": None, "size": "half", "values": [], "plot_params": {"plot_type": "line"}}
TAB = {"collector": "main", "panels": [marked("main", "Rows", PANEL)]}
MINE = {"id": "mine", **PANEL}


@asynccontextmanager
async def showing(config):
    async with open_workspaces(FakeWorkers(), Path()) as workspaces:
        yield workspaces.open_workspace(config)


async def test_a_dashboard_is_read_written_and_read_again(service):
    read = [(200, EMPTY, {}), (200, {"tabs": [], "panels": TAB["panels"]}, {})]
    service.answers |= {("GET", DASHBOARD): read, ("POST", DASHBOARD): (200, None, {})}
    async with showing(to(service, api_secret="s3cret")) as workspace:
        assert await workspace.show(TAB, is_asked=False)
    assert service.asked() == [f"GET {DASHBOARD}", f"POST {DASHBOARD}", f"GET {DASHBOARD}"]
    assert service.requests[1].json() == {"tabs": [], "panels": TAB["panels"]}
    assert service.requests[1].headers["evidently-secret"] == "s3cret"


async def test_a_panel_that_a_person_adds_at_the_same_time_stays(service):
    """Whoever writes last takes the other's away: what is read again says so."""
    both = {"tabs": [], "panels": [MINE, *TAB["panels"]]}
    read = [(200, EMPTY, {}), (200, {"tabs": [], "panels": [MINE]}, {}), (200, both, {})]
    service.answers |= {("GET", DASHBOARD): read, ("POST", DASHBOARD): (200, None, {})}
    async with showing(to(service)) as workspace:
        assert await workspace.show(TAB, is_asked=True)
    assert [one.json() for one in service.requests if one.method == "POST"][-1] == both


async def test_a_persons_dashboard_is_not_written(service):
    service.answers[("GET", DASHBOARD)] = (200, {"tabs": [], "panels": [MINE]}, {})
    async with showing(to(service)) as workspace:
        assert not await workspace.show(TAB, is_asked=False)
    assert service.asked() == [f"GET {DASHBOARD}"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((404, {"detail": "Not Found"}, {}), "answered 404"),
        ((401, {}, {}), "refuses this api_secret"),
        ((200, [1, 2], {}), "not as an Evidently service does"),
        ((200, {"name": "no dashboard"}, {}), "what is there isn't a dashboard of Evidently's"),
    ],
    ids=["none", "secret", "list", "object"],
)
async def test_a_service_without_dashboards_says_why(service, answer, says):
    service.answers[("GET", DASHBOARD)] = answer
    async with showing(to(service)) as workspace:
        with pytest.raises(DeliveryError, match=says):
            await workspace.show(TAB, is_asked=False)


async def test_two_collectors_of_one_project_wait_for_each_other(service):
    """Else the one who wrote last would have taken away what the other has just put there."""
    held = dict(EMPTY)

    def read(_request):
        return 200, held, {}

    def write(request):
        held.update(request.json())
        return 200, None, {}

    service.answers |= {("GET", DASHBOARD): read, ("POST", DASHBOARD): write}
    other = {"collector": "other", "panels": [marked("other", "Rows", PANEL)]}
    async with open_workspaces(FakeWorkers(), Path()) as workspaces, trio.open_nursery() as nursery:
        for tab in (TAB, other):
            workspace = workspaces.open_workspace(to(service))
            nursery.start_soon(partial(workspace.show, tab, is_asked=False))
    assert len(held["panels"]) == 2
    assert [line.split()[0] for line in service.asked()] == ["GET", "POST", "GET"] * 2


async def test_a_segment_is_looked_for_by_its_name_too(service, snapshot):
    """The whole and the segments of a batch have its id in their metadata."""
    whole, other = ({"id": name, "metadata": {"batch_id": "batch-1", "segment": name}} for name in ("", "fr"))
    mine = {"id": "mine", "metadata": {"batch_id": "batch-1", "segment": "de"}}
    for found, sent in (([whole, other], 1), ([whole, other, mine], 0)):
        service.requests.clear()
        service.answers[LIST] = (200, found, {})
        async with delivering(snapshot) as deliver:
            await deliver(to(service), is_doubtful=True, segment="de")
        assert sum(request.method == "POST" for request in service.requests) == sent
