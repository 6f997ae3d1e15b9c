"""Halves whose other half doesn't come: they go after their time, and are counted and told."""

import trio
from structlog.testing import capture_logs
from worlds import collector, running, settled

from collector.config import Idempotency
from collector.pipeline.expiring import TOLD_EVERY
from collector.store.records import Logged

WAIT = 60


async def keep(w, number, *, is_request=True):
    body = b'{"n":[1]}' if is_request else b'{"y":[1]}'
    one = Logged("main", f"{number} {is_request}", body, 1, ("n" if is_request else "y",), str(number), is_request)
    await w.journal.halves.order([one], Idempotency(), (), lambda *_: None).wait()


def taking(w, **kserve):
    return w.pipeline(collector(input={"kserve": {"wait": WAIT} | kserve}))


async def test_a_half_goes_after_its_time_and_is_counted(world, autojump_clock):
    async with world(autojump_clock) as w:
        pipeline = taking(w)
        async with running(pipeline):
            await keep(w, 1)
            await keep(w, 2, is_request=False)
            await trio.sleep(WAIT - 1)
            assert w.journal.halves.waiting("main") == 2
            await trio.sleep(WAIT / 4 + 2)
            await settled()
            assert w.journal.halves.waiting("main") == 0
            assert pipeline.counts.logged["expired"] == 2
            assert w.journal.buffered_bytes("main") == 0


async def test_after_a_restart_a_half_has_all_its_time_again(world, autojump_clock):
    """Its other half may have been sent while nobody was there to take it, and is sent again."""
    async with world(autojump_clock) as w:
        await keep(w, 1)
        for _ in range(3):
            async with running(taking(w)):
                await trio.sleep(WAIT - 1)
        assert w.journal.halves.waiting("main") == 1


async def test_halves_that_came_before_the_config_changed_go_too(world, autojump_clock):
    async with world(autojump_clock) as w:
        await keep(w, 1)
        async with running(w.pipeline(collector())):
            await trio.sleep(2)
            await settled()
            assert w.journal.halves.waiting("main") == 0


async def test_that_halves_expire_is_told_once_an_hour_with_how_many(world, autojump_clock):
    async with world(autojump_clock) as w:
        with capture_logs() as told:
            async with running(taking(w)):
                for number in range(5):
                    await keep(w, number)
                    await trio.sleep(2 * WAIT)
                await trio.sleep(TOLD_EVERY)
                await keep(w, 9, is_request=False)
                await trio.sleep(2 * WAIT)
                await settled()
    found = [(one["requests"], one["responses"]) for one in told if "no response in time" in one["event"]]
    assert found == [(1, 0), (4, 1)]


async def test_without_such_events_nothing_runs(world, autojump_clock):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(collector())) as _:
            await settled()
            names = {task.name for task in tasks_below(trio.lowlevel.current_root_task())}
        assert not any("Expiring" in name for name in names)


def tasks_below(task):
    yield task
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from tasks_below(child)
