import threading

import trio
from trio.testing import wait_all_tasks_blocked

from collector.waiting.bell import Bell, set_when_cancelled


async def test_a_ring_that_nobody_waits_for_is_kept(autojump_clock):
    bell = Bell()
    bell.ring()
    with trio.fail_after(1):
        await bell.wait()


async def test_many_rings_before_a_wait_are_one(autojump_clock):
    bell = Bell()
    bell.ring()
    bell.ring()
    await bell.wait()
    with trio.move_on_after(1) as scope:
        await bell.wait()
    assert scope.cancelled_caught


async def test_a_ring_wakes_the_one_who_waits():
    bell = Bell()
    heard = []

    async def listen():
        await bell.wait()
        heard.append("ring")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        assert heard == []
        bell.ring()
    assert heard == ["ring"]


async def test_a_cancelled_wait_leaves_the_ring_to_the_next(autojump_clock):
    bell = Bell()
    bell.ring()
    with trio.CancelScope() as scope:
        scope.cancel()
        await bell.wait()
    with trio.fail_after(1):
        await bell.wait()


async def test_what_a_thread_looks_at_is_set_when_its_task_is_cancelled():
    event = threading.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(set_when_cancelled, event)
        await wait_all_tasks_blocked()
        assert not event.is_set()
        nursery.cancel_scope.cancel()
    assert event.is_set()
