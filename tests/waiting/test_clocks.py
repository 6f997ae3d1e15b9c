"""The clocks tell when the wall clock is set and when the machine was suspended, and of nothing else."""

import time

import pytest
import trio
from worlds import Skew

from collector.waiting.clocks import INTERVAL, TOLERANCE, Clocks

DAY = 86_400


@pytest.fixture
def skew():
    return Skew()


async def told_within(clocks, seconds, change):
    """Run the watch, make a change, and tell whether it said so within so many seconds."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clocks.watch)
        await trio.sleep(10 * INTERVAL)
        change()
        began = trio.current_time()
        with clocks.until(clocks.now() + seconds):
            await trio.sleep_forever()
        nursery.cancel_scope.cancel()
    assert (trio.current_time() < began + seconds) == bool(clocks.changes)
    return bool(clocks.changes)


@pytest.mark.parametrize("seconds", [DAY, -DAY, 1, -1])
async def test_a_wall_clock_that_is_set_is_told_with_its_seconds(skew, autojump_clock, seconds):
    clocks = Clocks(skew.wall, skew.passed)
    assert await told_within(clocks, 2 * INTERVAL, lambda: setattr(skew, "set_by", seconds))
    assert clocks.set_by == pytest.approx(seconds)


async def test_a_machine_that_was_suspended_is_told_and_its_clock_was_not_set(skew, autojump_clock):
    clocks = Clocks(skew.wall, skew.passed)
    assert await told_within(clocks, 2 * INTERVAL, lambda: setattr(skew, "suspended", DAY))
    assert clocks.set_by == 0


async def test_a_clock_that_ntp_slews_is_not_told(skew, autojump_clock):
    clocks = Clocks(lambda: skew.wall() + trio.current_time() * 500e-6, skew.passed)  # NTP's fastest: 500 ppm
    assert not await told_within(clocks, 10 * TOLERANCE / 500e-6, lambda: None)
    assert clocks.set_by == 0


async def test_the_real_clocks_agree():
    clocks = Clocks()
    assert clocks.now() == pytest.approx(time.time(), abs=1)
    with trio.move_on_after(2.5 * INTERVAL):
        await clocks.watch()
    assert clocks.set_by == 0
