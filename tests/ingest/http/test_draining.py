from contextlib import aclosing

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from collector.errors import NotReady
from collector.ingest.http.draining import BODY_GRACE, Draining


async def test_requests_are_refused_from_its_beginning_on():
    draining = Draining()
    draining.check()
    assert not draining.has_begun
    draining.begin()
    assert draining.has_begun
    with pytest.raises(NotReady, match="the service is stopping"):
        draining.check()


async def test_its_beginning_is_waited_for():
    draining = Draining()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(draining.wait_begun)
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        draining.begin()


def _fail_within(draining):
    with draining.request():
        raise KeyError


async def test_idle_is_when_the_last_request_has_left_even_by_an_error():
    draining = Draining()
    idle = trio.Event()

    async def wait():
        await draining.wait_idle()
        idle.set()

    async with trio.open_nursery() as nursery:
        with draining.request():
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            with pytest.raises(KeyError):
                _fail_within(draining)
            await wait_all_tasks_blocked()
            assert not idle.is_set()
        await idle.wait()


async def test_one_who_waits_goes_on_waiting_for_a_request_that_came_meanwhile():
    draining = Draining()
    idle = trio.Event()

    async def wait():
        await draining.wait_idle()
        idle.set()

    async with trio.open_nursery() as nursery:
        with draining.request():
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
        with draining.request():  # before the one who waits has run
            await wait_all_tasks_blocked()
            assert not idle.is_set()


async def test_without_requests_it_is_idle_at_once():
    with assert_checkpoints():
        await Draining().wait_idle()


async def chunks_then_nothing():
    yield b"a"
    await trio.sleep_forever()


@pytest.mark.parametrize("begins_first", [True, False])
async def test_a_body_that_still_comes_when_the_service_has_to_stop_is_refused(autojump_clock, begins_first):
    draining = Draining()
    started = trio.current_time()
    if begins_first:
        draining.begin()
    async with aclosing(chunks_then_nothing()) as chunks:
        body = draining.body(chunks)
        assert await anext(body) == b"a"
        async with trio.open_nursery() as nursery:
            if not begins_first:
                nursery.start_soon(begin_once_all_wait, draining)
            with pytest.raises(NotReady, match="nothing of the request was kept"):
                await anext(body)
    assert trio.current_time() - started == pytest.approx(BODY_GRACE)


async def begin_once_all_wait(draining):
    await wait_all_tasks_blocked()
    draining.begin()


async def test_a_body_is_whole_while_the_service_runs(autojump_clock):
    async def chunks():
        yield b"a"
        await trio.sleep(2 * BODY_GRACE)
        yield b"b"

    assert [chunk async for chunk in Draining().body(chunks())] == [b"a", b"b"]
