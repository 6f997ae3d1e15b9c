"""Windows of event time, of five minutes mostly; the clock jumps, and begins on 2023-11-14 at 22:13:20 UTC."""

import json
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
import trio
from disks import append
from worlds import EPOCH, collector, interval_trigger, rows_trigger, running, settled

from collector.config import CollectorServiceConfig
from collector.config.periods import DAY
from collector.errors import EvaluationError
from collector.formats.frames import Frame
from collector.pipeline.closing import PAUSE

LENGTH = 300
WINDOWS = {"type": "EventTimeTrigger", "period": "5m", "lateness": "1m"}
FIRST = int(EPOCH) - int(EPOCH) % LENGTH  # 22:10
SPILLED = CollectorServiceConfig(spill_rows=1)


def windowed(**others):
    return collector(trigger=WINDOWS | others, timestamp_column="ts")


async def post(w, *moments):
    """Post a row for each moment, in windows after 22:10; what isn't a number is its text."""
    first = w.count
    w.count += len(moments)
    times = [FIRST + one * LENGTH if isinstance(one, int | float) else one for one in moments]
    body = {"n": list(range(first, w.count)), "ts": times}
    await append(w.journal, "main", Frame("json", json.dumps(body).encode(), len(moments)))


async def until(windows):
    """Wait until so many windows after 22:10, and until all is done that is due then."""
    await trio.sleep(FIRST + windows * LENGTH - EPOCH - trio.current_time() + 1)
    await settled()


async def windows_of(w, *states):
    batches = await w.journal.batches("main", *(states or ("delivered",)))
    return [tuple((at - FIRST) / LENGTH for at in batch.window) for batch in batches]


async def test_a_window_is_closed_when_its_end_and_the_time_for_late_rows_have_passed(world, autojump_clock):
    async with world(autojump_clock) as w, running(pipeline := w.pipeline(windowed())):
        await settled()
        assert pipeline.status().next_time == FIRST + LENGTH + 60
        await post(w, 0.5, 0.9)
        await until(1.1)
        assert w.workspace.rows == []
        await post(w, 0.99)  # late, and waited for
        await until(1.2)
        assert (w.workspace.rows, await windows_of(w)) == ([[0, 1, 2]], [(0, 1)])
        assert pipeline.status().next_time == FIRST + 2 * LENGTH + 60


@pytest.mark.parametrize("service", [CollectorServiceConfig(), SPILLED], ids=["at the end", "at once"])
async def test_rows_of_later_windows_wait_in_batches_of_their_own(world, autojump_clock, service):
    """In whichever order they come, and whenever they are spilled."""
    async with world(autojump_clock) as w, running(w.pipeline(windowed(), service)):
        await post(w, 1.5, 0.8)
        await post(w, 1.2, 2.0)
        await until(1.5)
        await until(2.5)
        assert w.workspace.rows == [[1], [0, 2]]
        assert w.journal.waiting("main").rows == 1
        await until(3.5)
        assert await windows_of(w) == [(0, 1), (1, 2), (2, 3)]


async def test_late_rows_go_to_the_next_window_and_are_counted(world, autojump_clock):
    async with world(autojump_clock) as w, running(pipeline := w.pipeline(windowed())):
        await until(1.5)
        await post(w, 0.9, 1.1, -50)
        await until(2.5)
        assert (w.workspace.rows, await windows_of(w)) == ([[0, 1, 2]], [(1, 2)])
        assert pipeline.counts.late_rows == 2


async def test_what_has_no_time_or_one_of_beyond_tomorrow_counts_as_of_its_arrival(world, autojump_clock):
    async with world(autojump_clock) as w, running(pipeline := w.pipeline(windowed())):
        await post(w, "never", None, 290, 0.1, 287)  # 288 of them are a day
        await until(1.5)
        assert (w.workspace.rows, pipeline.counts.late_rows) == ([[0, 1, 2, 3]], 0)
        assert (await pipeline.flush()).start == FIRST + 287 * LENGTH


async def test_without_rows_windows_go_by(world, autojump_clock):
    async with world(autojump_clock) as w, running(pipeline := w.pipeline(windowed())):
        await until(5.5)
        assert (await windows_of(w), pipeline.status().next_time) == ([], FIRST + 6 * LENGTH + 60)


async def test_what_was_due_while_the_service_was_down_is_made_up_for_window_by_window(world, autojump_clock):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(windowed(), SPILLED)):
            await post(w, 0.5)
            await settled()
        await post(w, 0.6, 1.5)  # as if it came just before the end
        await trio.sleep(4 * LENGTH)
        async with running(pipeline := w.pipeline(windowed(), SPILLED)):
            await settled()
            assert w.workspace.rows == [[0, 1], [2]]
        assert (await windows_of(w), pipeline.counts.late_rows) == ([(0, 1), (1, 2)], 0)


async def test_a_day_is_one_of_its_zone(world, autojump_clock):
    """In Kathmandu it is 03:58 on the 15th."""
    config = windowed(period="1d", timezone="Asia/Kathmandu", lateness=0)
    async with world(autojump_clock) as w, running(pipeline := w.pipeline(config)):
        await settled()
        due = datetime(2023, 11, 15, 18, 15, tzinfo=UTC).timestamp()
        assert pipeline.status().next_time == due
        await post(w, (due - FIRST) / LENGTH - 0.1, (due - FIRST) / LENGTH + 0.1)
        await pipeline.flush()
        await settled()
        assert [batch.window[1] for batch in await w.journal.batches("main", "delivered")] == [due, due + DAY]


async def test_a_flush_makes_a_batch_of_each_window_which_stays_open(world, autojump_clock):
    async with world(autojump_clock) as w, running(pipeline := w.pipeline(windowed())):
        await post(w, 1.5, 0.5)
        batch = await pipeline.flush()
        await settled()
        assert (batch.rows, batch.start) == (1, FIRST + LENGTH)
        assert w.workspace.rows == [[1], [0]]
        await post(w, 0.7)
        await until(1.5)
        assert (w.workspace.rows[2:], pipeline.counts.late_rows) == ([[2]], 0)
        assert await pipeline.flush() is None


async def test_rows_that_wait_go_with_a_change_of_the_trigger(world, autojump_clock):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(collector(trigger=rows_trigger(100)), SPILLED)):
            await post(w, 5.5)
            await settled()
        async with running(w.pipeline(windowed(), SPILLED)):
            await post(w, 0.5, 1.5)
            await until(1.5)
            assert w.workspace.rows == [[0, 1]]
        async with running(w.pipeline(collector(trigger=rows_trigger(2)), SPILLED)):
            await post(w, 0.5)
            await settled()
            assert w.workspace.rows[1] == [2, 3]


async def test_rows_that_wait_in_shorter_windows_are_of_the_longer_ones_that_the_trigger_has_now(world, autojump_clock):
    """Also what another trigger left, whose clock stands in the middle of a window."""
    async with world(autojump_clock) as w:
        async with running(w.pipeline(collector(trigger=interval_trigger(9999)), SPILLED)):
            await post(w, 0.5)
            await settled()
        async with running(w.pipeline(windowed(), SPILLED)):
            await post(w, 0.9, 1.5, 2.5, 3.5)
            await settled()
        async with running(w.pipeline(windowed(period="15m"), SPILLED)):
            await post(w, 1.1)
            await until(4.5)
            assert (w.workspace.rows, await windows_of(w)) == (
                [[0, 1], [2, 3, 4, 5]],
                [(-2, 1), (1, 4)],
            )  # from 22:00, and from 22:15


async def test_rows_that_cant_be_written_keep_windows_open_until_they_can(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(windowed())):
        await post(w, 0.5)
        w.workers.part_failures = [EvaluationError("no memory")]
        await until(1.2)
        assert w.workspace.rows == []
        await trio.sleep(PAUSE)
        await settled()
        assert w.workspace.rows == [[0]]


async def test_a_clock_that_was_far_ahead_leaves_no_windows_closed(world, autojump_clock):
    async with world(autojump_clock) as w:
        await w.journal.set_clock("main", EPOCH + 400 * DAY)
        async with running(pipeline := w.pipeline(windowed())):
            await post(w, 0.5)
            await until(1.5)
            assert (w.workspace.rows, pipeline.counts.late_rows) == ([[0]], 0)


async def test_a_part_has_the_rows_of_one_window_in_their_order(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(windowed(), CollectorServiceConfig(spill_rows=5))):
        await post(w, 1.5, 0.5, 1.6, 0.6, 2.5)
        await settled()
        read = [pq.read_table(w.data_dir.path / part)["n"].to_pylist() for part in w.data_dir.parts()]
        assert sorted(read) == [[0, 2], [1, 3], [4]]
        assert w.journal.waiting("main").rows == 5
