"""Pipelines on a real journal, with fake workers, a fake workspace and, where time matters, fake time."""

from itertools import pairwise

import pyarrow.parquet as pq
import pytest
import trio

from collector.config import CollectorServiceConfig
from collector.errors import DeliveryError, DeliveryRefused, Problem, SnapshotRejected, SnapshotTooLarge
from collector.pipeline import pipeline as module
from collector.pipeline.pipeline import MAX_ATTEMPTS, REFERENCE_INTERVAL, REFUSED_INTERVAL

from .fakes import (
    EPOCH,
    FakeDelivery,
    collector,
    either_trigger,
    interval_trigger,
    open_world,
    report_raised,
    rows_trigger,
    running,
    settled,
    worker_died,
    write_reference,
)

# Long against any pause that a test is about; a test that waits so long for something has failed.
PATIENCE = 1000


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Give what opens a world; the clock has to be an argument of the test itself."""
    return lambda clock=None: open_world(tmp_path, monkeypatch, clock)


async def delivered(world, batches):
    """Wait until so many batches are in the workspace and gone from the journal's books."""
    await settled()
    with trio.fail_after(PATIENCE):
        while len(await world.journal.batches("main", "delivered")) < batches:
            await world.delivery.wait_answer()
            await settled()


async def states(world):
    return [batch.state for batch in await world.journal.batches("main", "sealed", "evaluated", "delivered", "failed")]


# Triggers


async def test_rows_trigger_counts_rows_and_not_posts(world):
    async with world() as w, running(w.pipeline(collector(trigger=rows_trigger(5)))):
        await w.post(4)
        await settled()
        assert w.delivery.rows == []
        await w.post(1)
        await settled()
        assert w.delivery.rows == [[0, 1, 2, 3, 4]]


async def test_rows_trigger_takes_a_large_post_whole(world):
    async with world() as w, running(w.pipeline(collector(trigger=rows_trigger(5)))):
        await w.post(50)
        await settled()
        assert w.delivery.rows == [list(range(50))]


async def test_rows_trigger_cuts_a_backlog_where_a_post_ends(world):
    """Posts of 2 rows and a trigger of 3: a batch is two posts, the fifth waits."""
    async with world() as w:
        for _ in range(5):
            await w.post(2)
        async with running(w.pipeline(collector(trigger=rows_trigger(3)))):
            await settled()
            assert w.delivery.rows == [[0, 1, 2, 3], [4, 5, 6, 7]]
            assert w.journal.waiting("main").rows == 2


async def test_rows_trigger_cuts_a_backlog_that_is_large_enough_to_spill(world):
    async with world() as w:
        for _ in range(20):
            await w.post(10)
        service = CollectorServiceConfig(spill_rows=50)
        async with running(w.pipeline(collector(trigger=rows_trigger(10)), service)):
            await settled()
        assert [len(rows) for rows in w.delivery.rows] == [10] * 20


async def test_interval_first_fires_one_interval_after_the_start(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=interval_trigger(60)))):
        await w.post(1)
        await trio.sleep(59.9)
        assert w.delivery.rows == []
        await trio.sleep(0.2)
        await settled()
        assert w.delivery.rows == [[0]]


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
        assert [round(at) for at, *_ in w.delivery.tries] == [70, 130, 190, 250, 310]


async def test_interval_goes_on_where_it_was_after_a_restart(world, autojump_clock):
    config = collector(trigger=interval_trigger(60))
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config)):
            await trio.sleep(40)
        await w.post(1)
        async with running(w.pipeline(config)):
            await trio.sleep(19)
            assert w.delivery.rows == []
            await trio.sleep(2)
            await settled()
            assert w.delivery.rows == [[0]]


async def test_interval_missed_while_down_fires_once_and_not_in_a_burst(world, autojump_clock):
    config = collector(trigger=interval_trigger(60))
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config)):
            await trio.sleep(1)
        await trio.sleep(1000)
        await w.post(1)
        async with running(w.pipeline(config)):
            await settled()
            assert w.delivery.rows == [[0]]
            await w.post(1)
            await trio.sleep(59)
            assert w.delivery.rows == [[0]]
            await trio.sleep(2)
            await settled()
            assert w.delivery.rows == [[0], [1]]


async def test_interval_that_follows_a_rows_trigger_fires_one_interval_after_the_change(world, autojump_clock):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(collector(trigger=rows_trigger(100)))):
            await w.post(1)
            await trio.sleep(1000)
        async with running(w.pipeline(collector(trigger=interval_trigger(60)))):
            await trio.sleep(30)
            await settled()
            assert w.delivery.rows == []


async def test_rows_or_interval_begins_to_count_again_at_a_full_batch(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=either_trigger(3, 60)))):
        await trio.sleep(50)
        await w.post(3)
        await settled()
        assert w.delivery.rows == [[0, 1, 2]]
        await w.post(1)
        await trio.sleep(59)  # 109 s after the start: the first interval would have ended at 60
        assert len(w.delivery.rows) == 1
        await trio.sleep(2)
        await settled()
        assert w.delivery.rows == [[0, 1, 2], [3]]


async def test_rows_or_interval_fires_at_the_interval_with_fewer_rows(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=either_trigger(3, 60)))):
        await w.post(2)
        await trio.sleep(61)
        await settled()
        assert w.delivery.rows == [[0, 1]]


async def test_cron_fires_at_its_times_in_its_time_zone(world, autojump_clock):
    """EPOCH is 22:13:20 UTC, 03:58:20 in Kathmandu (UTC+5:45): 04:00 there is 100 s away, 04:10 another 600 s."""
    trigger = {"type": "CronTrigger", "schedule": "0,10 4 * * *", "timezone": "Asia/Kathmandu"}
    async with world(autojump_clock) as w, running(w.pipeline(collector(trigger=trigger))):
        await w.post(1)
        await delivered(w, 1)
        await w.post(1)
        await delivered(w, 2)
        assert [round(at) for at, *_ in w.delivery.tries] == [100, 700]


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


# Flush


async def test_flush_seals_what_waits_now(world):
    async with world() as w:
        pipeline = w.pipeline()
        async with running(pipeline):
            await w.post(3)
            batch = await pipeline.flush()
            await settled()
            assert (batch.rows, w.delivery.taken) == (3, [(batch.id, [0, 1, 2])])


async def test_flush_of_nothing_gives_none(world):
    async with world() as w:
        pipeline = w.pipeline()
        async with running(pipeline):
            assert await pipeline.flush() is None


async def test_flush_by_a_client_that_hangs_up_is_evaluated_all_the_same(world):
    async with world() as w:
        pipeline = w.pipeline()
        async with running(pipeline):
            await settled()
            await w.post(3)
            with trio.CancelScope() as client:
                client.cancel()
                await pipeline.flush()
            await settled()
            assert (await states(w), w.delivery.rows) == (["delivered"], [[0, 1, 2]])


async def test_retry_by_a_client_that_hangs_up_is_evaluated_all_the_same(world):
    async with world() as w:
        w.workers.failures = [report_raised()]
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await settled()
            mark = w.journal.mark
            with trio.CancelScope() as client:

                async def mark_and_hang_up(*args, **changes):
                    await mark(*args, **changes)
                    client.cancel()

                w.journal.mark = mark_and_hang_up
                await pipeline.retry()
            w.journal.mark = mark
            await settled()
            assert await states(w) == ["delivered"]


# Spilling


async def test_rows_over_the_threshold_move_to_a_part(world):
    async with world() as w, running(w.pipeline(service=CollectorServiceConfig(spill_rows=4))):
        await w.post(3)
        await settled()
        assert list((w.data_dir.path / "parts").iterdir()) == []
        await w.post(3)
        await settled()
        # The second post would exceed four rows, so it waits for the next part.
        assert [pq.read_metadata(part).num_rows for part in (w.data_dir.path / "parts").iterdir()] == [3]
        assert w.journal.waiting("main").rows == 6


async def test_bytes_over_the_threshold_move_to_a_part(world):
    async with world() as w, running(w.pipeline(service=CollectorServiceConfig(spill_bytes=20))):
        await w.post(10)  # {"n": [0, 1, ... 9]} is 37 bytes
        await settled()
        assert len(list((w.data_dir.path / "parts").iterdir())) == 1


async def test_spilled_and_unspilled_rows_reach_the_report_once_and_in_order(world):
    async with world() as w:
        pipeline = w.pipeline(service=CollectorServiceConfig(spill_rows=4))
        async with running(pipeline):
            for _ in range(5):
                await w.post(3)
                await settled()
            await pipeline.flush()
            await settled()
        assert w.delivery.rows == [list(range(15))]


async def test_a_part_whose_frames_a_batch_was_cut_through_is_dropped(world):
    """While the part of six rows is written, three of them are sealed: each row still goes into one batch."""
    async with world() as w:
        gate = trio.Event()
        write_part = w.workers.write_part

        async def write_late(*args):
            await gate.wait()
            return await write_part(*args)

        w.workers.write_part = write_late
        pipeline = w.pipeline(service=CollectorServiceConfig(spill_rows=6))
        async with running(pipeline):
            await w.post(3)
            await w.post(3)
            await trio.testing.wait_all_tasks_blocked()
            await w.journal.seal("main", "0-first", 3)
            gate.set()
            await settled()
            assert w.journal.waiting("main").rows == 3
            assert await w.journal.parts("0-first") == []
            assert list((w.data_dir.path / "parts").iterdir()) == []
            await pipeline.flush()
            await settled()
        assert w.delivery.rows == [[0, 1, 2], [3, 4, 5]]


# Misconfigured


async def test_misconfigured_keeps_events_and_goes_on_when_mended(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.problems = [Problem(("report_config", "metrics", 0), "unknown metric")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        async with running(pipeline):
            await w.post(2)
            await settled()
            assert pipeline.status().state == "misconfigured"
            assert pipeline.status().problems == ("report_config.metrics.0: unknown metric",)
            assert await states(w) == ["sealed"]
            w.workers.problems = []
            await trio.sleep(REFERENCE_INTERVAL + 1)
            await settled()
            assert (w.delivery.rows, pipeline.status().problems) == ([[0, 1]], ())
            assert pipeline.status().state == "waiting"


async def test_a_missing_reference_holds_evaluation_until_it_is_there(world, autojump_clock):
    async with world(autojump_clock) as w:
        pipeline = w.pipeline(collector(trigger=rows_trigger(2), reference_path="reference.parquet"))
        async with running(pipeline):
            await w.post(2)
            await settled()
            assert "no file" in pipeline.status().problems[0]
            write_reference(w.base / "reference.parquet")
            await trio.sleep(REFERENCE_INTERVAL + 1)
            await settled()
        assert w.delivery.rows == [[0, 1]]
        assert w.workers.evaluated[0]["reference"] == str(w.base / "reference.parquet")


async def test_a_reference_that_vanishes_later_holds_the_next_batch(world, autojump_clock):
    async with world(autojump_clock) as w:
        write_reference(w.base / "reference.parquet")
        pipeline = w.pipeline(collector(trigger=rows_trigger(1), reference_path="reference.parquet"))
        async with running(pipeline):
            await w.post(1)
            await settled()
            (w.base / "reference.parquet").unlink()
            await w.post(1)
            await settled()
            assert (w.delivery.rows, pipeline.status().state) == ([[0]], "misconfigured")
            write_reference(w.base / "reference.parquet")
            await trio.sleep(REFERENCE_INTERVAL + 1)
            await settled()
        assert w.delivery.rows == [[0], [1]]


async def test_a_new_reference_is_taken_from_the_next_batch_on_and_at_once(world):
    async with world() as w:
        config = collector(trigger=rows_trigger(1), reference_path="missing.parquet")
        pipeline = w.pipeline(config)
        async with running(pipeline):
            await w.post(1)
            await settled()
            write_reference(w.base / "new.parquet")
            pipeline.take_reference(config.model_copy(update={"reference_path": "new.parquet"}))
            await settled()
        assert w.workers.evaluated[0]["reference"] == str(w.base / "new.parquet")


# Reports that fail


async def test_a_report_that_raises_is_kept_under_failed_and_the_next_batch_goes_on(world):
    async with world() as w:
        w.workers.failures = [report_raised("ValueError: bad column")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        async with running(pipeline):
            await w.post(2)
            await w.post(2)
            await settled()
        (failed,) = await w.journal.batches("main", "failed")
        folder = w.data_dir.failed(failed.id)
        assert "ValueError: bad column" in (folder / "error.txt").read_text(encoding="utf-8")
        assert "Traceback" in (folder / "error.txt").read_text(encoding="utf-8")
        assert [pq.read_table(part)["n"].to_pylist() for part in folder.glob("*.parquet")] == [[0, 1]]
        assert (failed.error, failed.attempts, w.delivery.rows) == ("ValueError: bad column", 1, [[2, 3]])
        assert pipeline.status().failed == 1


async def test_the_journal_knows_where_a_failed_batch_lies(world):
    async with world() as w:
        w.workers.failures = [report_raised()]
        async with running(w.pipeline(collector(trigger=rows_trigger(2)))):
            await w.post(2)
            await settled()
        (failed,) = await w.journal.batches("main", "failed")
        (part,) = await w.journal.parts(failed.id)
        assert part.path.startswith(f"failed/{failed.id}/")
        assert (w.data_dir.path / part.path).exists()
        assert list((w.data_dir.path / "parts").iterdir()) == []


async def test_a_failed_batch_that_is_retried_is_delivered_and_leaves_nothing(world):
    async with world() as w:
        w.workers.failures = [report_raised()]
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        async with running(pipeline):
            await w.post(2)
            await settled()
            (failed,) = await w.journal.batches("main", "failed")
            assert [batch.id for batch in await pipeline.retry()] == [failed.id]
            await settled()
        assert w.delivery.rows == [[0, 1]]
        assert not w.data_dir.failed(failed.id).exists()
        assert pipeline.status().failed == 0


async def test_a_worker_that_dies_is_tried_again_a_limited_number_of_times(world):
    async with world() as w:
        w.workers.failures = [worker_died() for _ in range(MAX_ATTEMPTS)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
            assert len(w.workers.evaluated) == MAX_ATTEMPTS
            assert await states(w) == ["failed"]


async def test_a_worker_that_dies_once_loses_nothing(world):
    async with world() as w:
        w.workers.failures = [worker_died()]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
        assert (w.delivery.rows, w.workers.failures) == ([[0]], [])


async def test_a_report_that_takes_too_long_is_tried_again_and_then_given_up(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.seconds = 31
        start = trio.current_time()
        async with running(
            w.pipeline(collector(trigger=rows_trigger(1)), CollectorServiceConfig(evaluation_timeout=30))
        ):
            await w.post(1)
            await trio.sleep(30 * MAX_ATTEMPTS + 1)
            await settled()
            (failed,) = await w.journal.batches("main", "failed")
        assert (failed.attempts, failed.error) == (MAX_ATTEMPTS, "took longer than 30 s")
        assert trio.current_time() - start >= 30 * MAX_ATTEMPTS


async def test_waiting_for_the_reports_of_others_is_not_taken_for_taking_long(world, autojump_clock):
    """Two workers are held for longer than a report may take; the batch that waits is evaluated all the same."""
    async with world(autojump_clock) as w, trio.open_nursery() as others:
        for _ in range(2):
            others.start_soon(hold, w.workers.reports, 31)
        service = CollectorServiceConfig(evaluation_timeout=30)
        async with running(w.pipeline(collector(trigger=rows_trigger(1)), service)):
            await w.post(1)
            await trio.sleep(32)
            await settled()
        assert w.delivery.rows == [[0]]


async def hold(limiter, seconds):
    async with limiter:
        await trio.sleep(seconds)


async def test_attempts_are_counted_over_a_restart(world):
    """A report that kills its worker, and the service with it, isn't tried for ever."""
    async with world() as w:
        await w.post(1)
        batch = await w.journal.seal("main", "0-first")
        await w.journal.mark(batch, "sealed", attempts=MAX_ATTEMPTS - 1)
        w.workers.failures = [worker_died()]
        async with running(w.pipeline()):
            await settled()
        assert await states(w) == ["failed"]


async def test_rows_whose_part_cannot_be_written_stay_in_the_journal(world):
    async with world() as w:
        w.workers.part_failures = [worker_died() for _ in range(MAX_ATTEMPTS)]
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        async with running(pipeline):
            await w.post(2)
            await settled()
            assert await states(w) == ["failed"]
            await pipeline.retry()
            await settled()
        assert w.delivery.rows == [[0, 1]]


# Delivery


async def test_batches_are_delivered_in_their_order(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.delivery.failures = [DeliveryError("down") for _ in range(3)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            for _ in range(4):
                await w.post(1)
            await delivered(w, 4)
        assert w.delivery.rows == [[0], [1], [2], [3]]


async def test_pauses_between_tries_double_and_begin_again_after_a_success(world, autojump_clock, monkeypatch):
    monkeypatch.setattr("collector.pipeline.backoff.random.uniform", lambda _low, high: high)
    async with world(autojump_clock) as w:
        w.delivery.failures = [DeliveryError("down") for _ in range(4)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
            w.delivery.failures = [DeliveryError("down")]
            await w.post(1)
            await delivered(w, 2)
        times = [at for at, *_ in w.delivery.tries]
        assert [later - earlier for earlier, later in pairwise(times[:5])] == pytest.approx([0.5, 1, 2, 4], abs=0.01)
        assert times[6] - times[5] == pytest.approx(0.5, abs=0.01)


async def test_a_workspace_that_says_no_is_asked_again_after_a_longer_pause(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.delivery.failures = [DeliveryRefused("no such project")]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
        (first, *_), (second, *_) = w.delivery.tries
        assert second - first == pytest.approx(REFUSED_INTERVAL, abs=0.01)


async def test_a_workspace_that_names_a_pause_gets_it(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.delivery.failures = [DeliveryError("busy", retry_after=123)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
        (first, *_), (second, *_) = w.delivery.tries
        assert second - first == pytest.approx(123, abs=0.01)


async def test_a_full_outbox_holds_evaluation_until_there_is_room(world, monkeypatch):
    monkeypatch.setattr(module, "MAX_OUTBOX", 2)
    async with world() as w:
        w.delivery.hold = trio.Event()
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            for _ in range(5):
                await w.post(1)
            await settled()
            assert (len(w.workers.evaluated), pipeline.status().outbox, pipeline.status().sealed) == (2, 2, 3)
            w.delivery.hold.set()
            await settled()
        assert w.delivery.rows == [[0], [1], [2], [3], [4]]


async def test_a_full_outbox_holds_evaluation_from_the_start(world, monkeypatch):
    """After a restart, what was evaluated before counts too."""
    monkeypatch.setattr(module, "MAX_OUTBOX", 1)
    async with world() as w:
        w.delivery.hold = trio.Event()
        for _ in range(2):
            await w.post(1)
        for _ in range(2):
            async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
                await settled()
        assert len(w.workers.evaluated) == 1


async def test_a_first_try_does_not_look_for_the_snapshot(world):
    async with world() as w, running(w.pipeline(collector(trigger=rows_trigger(1)))):
        await w.post(1)
        await settled()
        assert [is_doubtful for *_, is_doubtful in w.delivery.tries] == [False]


async def test_what_delivery_wants_kept_is_in_the_journal_when_it_goes_on(world):
    async with world() as w:
        w.delivery.hold = trio.Event()
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
            (batch,) = await w.journal.batches("main", "evaluated")
            assert batch.outcome["progress"]["is_doubtful"]


async def test_after_a_lost_answer_the_next_try_looks_first(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.delivery.lost = [DeliveryError("read timed out", is_ambiguous=True)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
        assert [is_doubtful for *_, is_doubtful in w.delivery.tries] == [False, True]
        assert w.delivery.rows == [[0]]


async def test_after_a_clear_no_the_next_try_need_not_look(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.delivery.failures = [DeliveryError("connection refused"), DeliveryRefused("wrong secret")]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
        assert [is_doubtful for *_, is_doubtful in w.delivery.tries] == [False, False, False]


async def test_doubt_stays_through_a_clear_no(world, autojump_clock):
    """The first answer was lost: a refused connection afterwards says nothing about it."""
    async with world(autojump_clock) as w:
        w.delivery.lost = [DeliveryError("read timed out", is_ambiguous=True)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
            w.delivery.failures = [DeliveryError("connection refused")]
            await delivered(w, 1)
        assert [is_doubtful for *_, is_doubtful in w.delivery.tries] == [False, True, True]
        assert w.delivery.rows == [[0]]


async def test_after_a_crash_between_sending_and_its_answer_the_next_try_looks_first(world):
    class Hangs(FakeDelivery):
        async def deliver(self, config, batch, snapshot, progress):
            await super().deliver(config, batch, snapshot, progress)
            await trio.sleep_forever()

    async with world() as w:
        config = collector(trigger=rows_trigger(1))
        hanging = Hangs()
        async with running(w.pipeline(config, delivery=hanging)):
            await w.post(1)
            await settled()
        w.delivery.taken = hanging.taken
        async with running(w.pipeline(config)):
            await settled()
        assert [is_doubtful for *_, is_doubtful in w.delivery.tries] == [True]
        assert (w.delivery.rows, await states(w)) == ([[0]], ["delivered"])


async def test_a_snapshot_that_is_too_large_is_sent_again_without_its_plots(world):
    async with world() as w:
        w.delivery.failures = [SnapshotTooLarge("413")]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
        ((batch_id, _),) = w.delivery.taken
        assert w.workers.stripped == [w.data_dir.snapshot(batch_id)]


async def test_a_legacy_snapshot_that_is_too_large_waits_and_is_shown(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.generation = "legacy"
        w.delivery.failures = [SnapshotTooLarge("413")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await settled()
            assert pipeline.status().last_error.startswith("413; a legacy snapshot has no widgets")


async def test_after_delivery_parts_and_snapshot_are_gone(world):
    async with world() as w:
        config = collector(trigger=rows_trigger(2))
        async with running(w.pipeline(config)):
            await w.post(2)
            await settled()
        assert list((w.data_dir.path / "parts").iterdir()) == []
        assert list((w.data_dir.path / "snapshots").iterdir()) == []
        assert await states(w) == ["delivered"]


async def test_until_delivery_parts_and_snapshot_are_kept(world):
    async with world() as w:
        w.delivery.failures = [DeliveryError("down")]
        async with running(w.pipeline(collector(trigger=rows_trigger(2)))):
            await w.post(2)
            await settled()
            assert len(list((w.data_dir.path / "parts").iterdir())) == 1
            assert len(list((w.data_dir.path / "snapshots").iterdir())) == 1


# What it says


async def test_the_log_has_the_originals_fields_and_ours(world, autojump_clock):
    """The original's LogEvent: type, report_id, ok, error (evidently.legacy.collector.storage)."""
    async with world(autojump_clock) as w:
        async with running(w.pipeline(collector(trigger=rows_trigger(2)))):
            await w.post(2)
            await delivered(w, 1)
        uploaded, created = await w.journal.logs("main")
        ((batch_id, _),) = w.delivery.taken
        assert (created["type"], created["ok"], created["error"], created["notes"]) == ("CreateReport", True, "", [])
        assert (uploaded["type"], uploaded["ok"], uploaded["error"]) == ("UploadReport", True, "")
        for entry in (created, uploaded):
            assert (entry["report_id"], entry["batch_id"], entry["rows"]) == (batch_id, batch_id, 2)
            assert (entry["drift_share"], entry["drifted_columns"], entry["columns"]) == (0.25, 1, 4)
            assert entry["window"][0].startswith("2023-11-14T22:13:2")
            assert entry["time"].endswith("+00:00")


async def test_the_log_tells_of_a_report_that_raised(world):
    async with world() as w:
        w.workers.failures = [report_raised("ValueError: bad column")]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
        (entry,) = await w.journal.logs("main")
        assert (entry["type"], entry["ok"]) == ("CreateReport", False)
        assert entry["error"] == "Error running report: ValueError: bad column"


async def test_the_log_tells_of_one_trouble_with_a_workspace_once(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.delivery.failures = [DeliveryError("down") for _ in range(5)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
        errors = [entry["error"] for entry in await w.journal.logs("main") if not entry["ok"]]
        assert errors == ["Error saving snapshot: down"]


async def test_the_log_keeps_as_many_entries_as_the_config_says(world):
    async with world() as w:
        service = CollectorServiceConfig.parse({"storage": {"max_log_events": 3}})
        async with running(w.pipeline(collector(trigger=rows_trigger(1)), service)):
            for _ in range(4):
                await w.post(1)
                await settled()
        assert [entry["type"] for entry in await w.journal.logs("main")] == [
            "UploadReport",
            "CreateReport",
            "UploadReport",
        ]


async def test_status_counts_what_waits_and_what_was_made(world):
    async with world() as w:
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        async with running(pipeline):
            await w.post(2)
            await settled()
            await w.post(1)
            status = pipeline.status()
            assert (status.state, status.rows_waiting, status.rows_needed) == ("waiting", 1, 2)
            assert (status.snapshots, status.sealed, status.outbox, status.failed) == (1, 0, 0, 0)
            assert status.last_snapshot["drift_share"] == 0.25


async def test_status_says_evaluating_while_a_report_runs(world):
    async with world() as w:
        w.workers.hold = trio.Event()
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await settled()
            assert pipeline.status().state == "evaluating"


async def test_status_says_undelivered_while_the_workspace_is_away(world):
    async with world() as w:
        w.delivery.failures = [DeliveryRefused("no such project")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await settled()
            status = pipeline.status()
            assert (status.state, status.outbox, status.last_error) == ("undelivered", 1, "no such project")


async def test_status_says_waiting_once_the_workspace_is_back(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.delivery.failures = [DeliveryError("down")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await delivered(w, 1)
            status = pipeline.status()
            assert (status.state, status.outbox, status.last_error) == ("waiting", 0, "")


async def test_a_snapshot_that_is_rejected_is_kept_under_failed_and_the_next_goes_on(world):
    async with world() as w:
        w.delivery.failures = [SnapshotRejected("no")]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await w.post(1)
            await settled()
            (failed,) = await w.journal.batches("main", "failed")
        assert (failed.error, w.delivery.rows) == ("no", [[1]])
        assert [part.path.split("/")[0] for part in await w.journal.parts(failed.id)] == ["failed"]
