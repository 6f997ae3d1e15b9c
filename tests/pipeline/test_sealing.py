"""When batches are sealed: triggers on a real journal and, where time matters, in fake time."""

import uuid

import pytest
import trio
from worlds import (
    EPOCH,
    collector,
    delivered,
    either_trigger,
    interval_trigger,
    report_raised,
    rows_trigger,
    running,
    settled,
    states,
)

from collector.config import CollectorServiceConfig
from collector.store.records import Whole, labelled_id


async def test_rows_trigger_counts_rows_and_not_posts(world):
    async with world() as w, running(w.pipeline(collector(trigger=rows_trigger(5)))):
        await w.post(4)
        await settled()
        assert w.workspace.rows == []
        await w.post(1)
        await settled()
        assert w.workspace.rows == [[0, 1, 2, 3, 4]]


async def test_a_batch_is_shown_as_soon_as_its_rows_no_longer_wait(world, monkeypatch):
    """Else who waits until nothing is on its way took a collector for idle whose batch wasn't counted yet."""

    async def never(*_):
        await trio.sleep_forever()

    async with world() as w, running(pipeline := w.pipeline(collector(trigger=rows_trigger(5)))):
        await settled()
        monkeypatch.setattr(w.journal, "batches", never)
        await w.post(5)
        await settled()
        status = pipeline.status()
        assert (status.rows_waiting, status.sealed, status.sealed_rows) == (0, 1, 5)


async def test_rows_trigger_takes_a_large_post_whole(world):
    async with world() as w, running(w.pipeline(collector(trigger=rows_trigger(5)))):
        await w.post(50)
        await settled()
        assert w.workspace.rows == [list(range(50))]


async def test_rows_trigger_cuts_a_backlog_where_a_post_ends(world):
    """Posts of 2 rows and a trigger of 3: a batch is two posts, the fifth waits."""
    async with world() as w:
        for _ in range(5):
            await w.post(2)
        async with running(w.pipeline(collector(trigger=rows_trigger(3)))):
            await settled()
            assert w.workspace.rows == [[0, 1, 2, 3], [4, 5, 6, 7]]
            assert w.journal.waiting("main").rows == 2


async def test_rows_trigger_cuts_a_backlog_that_is_large_enough_to_spill(world):
    async with world() as w:
        for _ in range(20):
            await w.post(10)
        service = CollectorServiceConfig(spill_rows=50)
        async with running(w.pipeline(collector(trigger=rows_trigger(10)), service)):
            await settled()
        assert [len(rows) for rows in w.workspace.rows] == [10] * 20


async def test_a_whole_batch_is_evaluated_beside_the_open_one(world):
    async with world() as w, running(pipeline := w.pipeline(collector(trigger=rows_trigger(5)))):
        await w.post(2)
        taken = await pipeline.take_whole(whole("a"), w.frame(3))
        await settled()
        assert (w.workspace.rows, w.journal.waiting("main").rows) == ([[2, 3, 4]], 2)
        [batch] = await w.journal.batches("main", "delivered")
        assert (batch.id, batch.window) == (taken.batch, (100.0, 200.0))
        assert w.workers.evaluated[0]["sealed"] == "1970-01-01T00:03:20.000+00:00"
        assert pipeline.status().rows_accepted == 5
        await w.post(3)
        await settled()
        assert w.workspace.rows[1] == [0, 1, 5, 6, 7]


async def test_history_waits_for_what_is_new_and_leaves_no_trace_in_the_trend(world):
    async with world() as w:
        w.workers.hold = trio.Event()
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        heard = []
        w.journal.listen(Listener(heard))
        async with running(pipeline):
            for name in "abc":
                await pipeline.take_whole(whole(name, is_backfill=True), w.frame(1))
            await settled()
            await w.post(2)
            await settled()
            assert pipeline.status().backfill == 3
            w.workers.hold.set()
            await settled()
        assert w.workspace.rows == [[0], [3, 4], [1], [2]]  # the first was evaluated already
        assert (pipeline.status().backfill, pipeline.status().snapshots) == (0, 1)
        assert [one.rows for one in await w.journal.snapshots("main", 9)] == [2]
        assert set(heard) == {pipeline.status().last_snapshot["batch"]}
        assert [entry.get("is_backfill", False) for entry in await w.journal.logs("main")].count(True) == 6


async def test_a_whole_batch_is_replaced_with_its_files(world):
    async with world() as w, running(pipeline := w.pipeline(collector())):
        old = await pipeline.take_whole(whole("a"), w.frame(1))
        await settled()
        [part] = w.data_dir.parts()
        new = await pipeline.take_whole(whole("b", is_replacement=True), w.frame(2))
        await settled()
        assert not w.data_dir.snapshot(old.batch).exists()
        assert w.data_dir.snapshot(new.batch).exists()
        assert part not in w.data_dir.parts()
        [batch] = await w.journal.batches("main", "delivered")
        assert (batch.id, batch.replaces, batch.rows) == (new.batch, (old.batch, labelled_id(old.batch)), 2)


async def test_a_failed_batch_that_is_replaced_leaves_nothing_behind(world):
    async with world() as w, running(pipeline := w.pipeline(collector())):
        w.workers.failures = [report_raised()]
        old = await pipeline.take_whole(whole("a"), w.frame(1))
        await settled()
        assert w.data_dir.failed(old.batch).exists()
        await pipeline.take_whole(whole("a", is_replacement=True), w.frame(1))
        await settled()
        assert (w.data_dir.failed(old.batch).exists(), pipeline.status().failed) == (False, 0)
        assert w.journal.buffered_bytes("main") == 0
        assert w.workspace.rows == [[1]]


def whole(name, **others):
    id_ = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    return Whole(id_, "main", name.encode(), 100.0, 200.0, **others)


class Listener:
    """Takes down which batches it hears of."""

    def __init__(self, heard):
        self._heard = heard

    def hear(self, _db, _before, after, _now):
        return after.id

    def heard(self, what):
        self._heard.append(what)


async def test_interval_first_fires_one_interval_after_the_start(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=interval_trigger(60)))):
        await w.post(1)
        await trio.sleep(59.9)
        assert w.workspace.rows == []
        await trio.sleep(0.2)
        await settled()
        assert w.workspace.rows == [[0]]


async def test_interval_does_not_drift_however_long_its_work_takes(world, autojump_clock):
    async with world(autojump_clock) as w:
        seal = w.journal.seal

        async def seal_slowly(*args):
            await trio.sleep(3)
            return await seal(*args)

        w.journal.seal = seal_slowly
        w.workers.seconds = 7
        async with running(w.pipeline(collector(trigger=interval_trigger(60)))):
            await trio.sleep(30)
            for _ in range(5):
                await w.post(1)
                await trio.sleep(60)
            await settled()
        # Each is delivered 3 + 7 s after it was due, at a multiple of 60 s.
        assert [round(at) for at, *_ in w.workspace.tries] == [70, 130, 190, 250, 310]


async def test_interval_goes_on_where_it_was_after_a_restart(world, autojump_clock):
    config = collector(trigger=interval_trigger(60))
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config)):
            await trio.sleep(40)
        await w.post(1)
        async with running(w.pipeline(config)):
            await trio.sleep(19)
            assert w.workspace.rows == []
            await trio.sleep(2)
            await settled()
            assert w.workspace.rows == [[0]]


async def test_an_interval_that_ends_without_rows_is_noted_and_asks_nothing(world, autojump_clock):
    """A thousand collectors without events, due each 5 s, took a quarter of a processor."""
    config = collector(trigger=interval_trigger(60))
    async with world(autojump_clock) as w:
        async with running(pipeline := w.pipeline(config)):
            w.journal.seal, seal = None, w.journal.seal
            await trio.sleep(130)
            assert pipeline.status().next_time == pytest.approx(EPOCH + 180, abs=1)
        w.journal.seal = seal
        await w.post(1)
        async with running(w.pipeline(config)):  # it goes on from the second interval
            await trio.sleep(49)
            assert w.workspace.rows == []
            await trio.sleep(2)
            await settled()
            assert w.workspace.rows == [[0]]


async def test_interval_missed_while_down_fires_once_and_not_in_a_burst(world, autojump_clock):
    config = collector(trigger=interval_trigger(60))
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config)):
            await trio.sleep(1)
        await trio.sleep(1000)
        await w.post(1)
        async with running(w.pipeline(config)):
            await settled()
            assert w.workspace.rows == [[0]]
            await w.post(1)
            await trio.sleep(59)
            assert w.workspace.rows == [[0]]
            await trio.sleep(2)
            await settled()
            assert w.workspace.rows == [[0], [1]]


async def test_interval_that_follows_a_rows_trigger_fires_one_interval_after_the_change(world, autojump_clock):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(collector(trigger=rows_trigger(100)))):
            await w.post(1)
            await trio.sleep(1000)
        async with running(w.pipeline(collector(trigger=interval_trigger(60)))):
            await trio.sleep(30)
            await settled()
            assert w.workspace.rows == []


async def test_rows_or_interval_begins_to_count_again_at_a_full_batch(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=either_trigger(3, 60)))):
        await trio.sleep(50)
        await w.post(3)
        await settled()
        assert w.workspace.rows == [[0, 1, 2]]
        await w.post(1)
        await trio.sleep(59)  # 109 s after the start: the first interval would have ended at 60
        assert len(w.workspace.rows) == 1
        await trio.sleep(2)
        await settled()
        assert w.workspace.rows == [[0, 1, 2], [3]]


async def test_rows_or_interval_fires_at_the_interval_with_fewer_rows(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=either_trigger(3, 60)))):
        await w.post(2)
        await trio.sleep(61)
        await settled()
        assert w.workspace.rows == [[0, 1]]


async def test_cron_fires_at_its_times_in_its_time_zone(world, autojump_clock):
    """EPOCH is 22:13:20 UTC, 03:58:20 in Kathmandu (UTC+5:45): 04:00 there is 100 s away, 04:10 another 600 s."""
    trigger = {"type": "CronTrigger", "schedule": "0,10 4 * * *", "timezone": "Asia/Kathmandu"}
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=trigger))):
        await w.post(1)
        await delivered(w, 1)
        await w.post(1)
        await delivered(w, 2)
        assert [round(at) for at, *_ in w.workspace.tries] == [100, 700]


@pytest.mark.parametrize("seconds", [86_400, -86_400])
async def test_interval_counts_what_has_passed_though_the_wall_clock_is_set(world, autojump_clock, seconds):
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=interval_trigger(60)))) as nursery:
        nursery.start_soon(w.clocks.watch)
        await trio.sleep(30)
        w.skew.set_by = seconds
        for _ in range(5):
            await w.post(1)
            await trio.sleep(60)
        await settled()
        assert [round(at) for at, *_ in w.workspace.tries] == [60, 120, 180, 240, 300]


@pytest.mark.parametrize("seconds", [86_400, -86_400])
async def test_an_interval_goes_on_that_fires_after_the_clock_was_set_and_before_that_is_noticed(
    world, autojump_clock, seconds
):
    """The clocks are looked at each whole second."""
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=interval_trigger(60.5)))) as nursery:
        nursery.start_soon(w.clocks.watch)
        await trio.sleep(60.2)
        w.skew.set_by = seconds
        for _ in range(4):
            await w.post(1)
            await trio.sleep(60.5)
        await settled()
        assert [at for at, *_ in w.workspace.tries] == pytest.approx([60.5, 121, 181.5, 242], abs=0.2)


@pytest.mark.parametrize("seconds", [86_400, -86_400])
async def test_an_interval_goes_on_if_it_is_noticed_that_the_clock_was_set_while_a_batch_is_sealed(
    world, autojump_clock, monkeypatch, seconds
):
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=interval_trigger(60)))) as nursery:
        nursery.start_soon(w.clocks.watch)
        seal = w.journal.seal

        async def seal_slowly(*arguments):
            await trio.sleep(3)
            return await seal(*arguments)

        monkeypatch.setattr(w.journal, "seal", seal_slowly)
        await w.post(1)
        await trio.sleep(60.5)
        w.skew.set_by = seconds
        for _ in range(2):
            await trio.sleep(30)
            await w.post(1)
            await trio.sleep(35)
        await settled()
        assert [at for at, *_ in w.workspace.tries] == pytest.approx([63, 126, 189], abs=6)


@pytest.mark.parametrize("seconds", [86_400, -86_400])
async def test_interval_is_counted_from_the_start_on_if_the_clock_was_set_while_down(world, autojump_clock, seconds):
    config = collector(trigger=interval_trigger(60))
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config)):
            await trio.sleep(1)
        w.skew.set_by = seconds
        await w.post(1)
        async with running(w.pipeline(config)):
            await trio.sleep(59)
            # A clock that is a day ahead can't be told from a day that has passed: that one is made up for at once.
            assert w.workspace.rows == ([[0]] if seconds > 0 else [])
            await trio.sleep(2)
            await settled()
            assert w.workspace.rows == [[0]]


async def test_what_was_due_while_the_machine_was_suspended_is_made_up_for_once(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=interval_trigger(3600)))) as nursery:
        nursery.start_soon(w.clocks.watch)
        await w.post(1)
        await trio.sleep(60)
        w.skew.suspended = 86_400
        await trio.sleep(2)
        await settled()
        assert w.workspace.rows == [[0]]
        await w.post(1)
        await trio.sleep(3500)
        assert w.workspace.rows == [[0]]
        await trio.sleep(100)
        await settled()
        assert w.workspace.rows == [[0], [1]]


@pytest.mark.parametrize(
    ("seconds", "times"),
    [
        (86_400, [101, 400, 1000]),  # what was skipped is made up for once, within the second
        (-86_400, [400, 1000]),
        (240, [160, 760, 1360]),  # 22:20:00 comes 240 s earlier
        (-240, [640, 1240]),
    ],
)
async def test_cron_goes_by_the_wall_clock_when_it_is_set(world, autojump_clock, seconds, times):
    """The world begins at 22:13:20; the schedule is each ten minutes; the clock is set after 100 s."""
    trigger = {"type": "CronTrigger", "schedule": "*/10 * * * *"}
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=trigger))) as nursery:
        nursery.start_soon(w.clocks.watch)
        await trio.sleep(99.5)
        w.skew.set_by = seconds
        for _ in range(14):
            await w.post(1)
            await trio.sleep(100)
        await settled()
        assert [round(at) for at, *_ in w.workspace.tries] == pytest.approx(times, abs=1)


async def test_a_clock_that_is_set_back_by_less_than_a_minute_repeats_no_time_of_a_cron_line(world, autojump_clock):
    """At 22:20:00 it has fired; at 22:20:30 the clock is set back to 22:19:50."""
    trigger = {"type": "CronTrigger", "schedule": "*/10 * * * *"}
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=trigger))) as nursery:
        nursery.start_soon(w.clocks.watch)
        await w.post(1)
        await trio.sleep(430)
        await w.post(1)
        w.skew.set_by = -40
        await trio.sleep(600)
        await settled()
        assert [round(at) for at, *_ in w.workspace.tries] == [400]
        await trio.sleep(20)
        await settled()
        assert [round(at) for at, *_ in w.workspace.tries] == [400, 1040]


async def test_an_empty_batch_makes_no_snapshot(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=interval_trigger(10)))):
        await trio.sleep(100)
        await settled()
        assert w.workers.evaluated == []
        assert await states(w) == []


async def test_next_time_is_shown(world, autojump_clock):
    pipeline = None
    async with world(autojump_clock) as w:
        pipeline = w.pipeline(collector(trigger=interval_trigger(60)))
        async with running(pipeline):
            await settled()
            assert pipeline.status().next_time == pytest.approx(EPOCH + trio.current_time() + 60, abs=1)
