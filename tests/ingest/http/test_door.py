import httpx
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from collector.ingest.http.door import PATIENCE, Door
from collector.status.counts import Counts


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture
async def door():
    return Door(Counts(), 10)


@pytest.fixture
async def http(door):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://collector") as client:
        yield client


async def test_while_it_starts_the_service_lives_and_is_not_ready(http):
    live, ready = await http.get("/livez"), await http.get("/readyz")
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.headers["content-type"]) == (503, "application/problem+json")
    assert "starting" in ready.json()["detail"]
    assert int(ready.headers["retry-after"]) > 0


async def test_while_it_starts_each_check_is_told_to_who_asks(http):
    live, ready = await http.get("/livez?verbose"), await http.get("/readyz?verbose=1")
    assert live.text == "[+]ping ok\nlivez check passed\n"
    assert (ready.status_code, ready.text.splitlines()[-1]) == (503, "readyz check failed")
    assert ready.text.startswith("[-]startup failed: the service is starting")


async def test_a_request_that_comes_early_is_answered_once_the_service_has_started(door, http, autojump_clock):
    answers = []

    async def ask():
        answers.append(await http.post("/main/data", content=b"{}"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert answers == []
        door.open(hello)
    assert (answers[0].status_code, answers[0].text) == (200, "hello")


async def test_a_request_does_not_wait_for_long(http, autojump_clock):
    started = trio.current_time()
    answer = await http.post("/main/data", content=b"{}")
    assert trio.current_time() - started == pytest.approx(PATIENCE, abs=0.1)
    assert (answer.status_code, answer.json()["status_code"]) == (503, 503)


async def test_an_open_door_has_no_answers_of_its_own(door, http):
    door.open(hello)
    assert (await http.get("/livez")).text == "hello"


async def test_connections_over_the_limit_that_holds_are_counted():
    counts = Counts()
    door = Door(counts, 10)
    assert [door.admits(9), door.admits(10)] == [True, False]
    door.open_front(lambda: None, lambda: 5)
    assert [door.admits(4), door.admits(5)] == [True, False]
    assert counts.refused_connections == 2


async def test_a_usual_post_waits_until_it_can_be_told_who_answers_it(door, autojump_clock):
    told = []

    async def ask():
        told.append(await door.wait_front_door())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert (told, door.is_starting) == ([], True)
        door.open_front(lambda: "front", lambda: 5)
    assert (told, door.is_starting) == (["front"], False)


async def test_a_usual_post_does_not_wait_for_long(door, autojump_clock):
    started = trio.current_time()
    assert await door.wait_front_door() is None
    assert trio.current_time() - started == pytest.approx(PATIENCE, abs=0.1)
