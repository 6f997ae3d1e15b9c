"""What is counted, and that the stages count it."""

import sqlite3

import pytest
import trio
from disks import append
from worlds import collector, delivered, interval_trigger, report_raised, rows_trigger, running, settled, worker_died

from collector.config import CollectorServiceConfig
from collector.config.config_file import ConfigFile
from collector.errors import DeliveryError, DeliveryRefused, FilesDamaged, SnapshotTooLarge
from collector.formats.frames import Frame
from collector.status.counts import Counts, Histogram
from collector.supervision.supervisor import Supervisor


def counted(counter):
    return {name: count for name, count in counter.items() if count}


def test_a_histogram_counts_a_value_under_each_bound_that_is_not_below_it():
    histogram = Histogram(1, 5)
    for value in (0.5, 1, 3, 7):
        histogram.observe(value)
    assert (histogram.cumulative(), histogram.sum) == ([2, 3, 4], 11.5)


def test_a_deleted_collector_is_counted_from_nothing_when_it_comes_back():
    counts = Counts()
    counts.of("main").restarts = 3
    counts.forget("main")
    assert counts.of("main").restarts == 0


async def test_how_late_an_interval_fires_is_counted_and_rows_are_not(world, autojump_clock):
    async with world(autojump_clock) as w:
        timed = w.pipeline(collector(trigger=interval_trigger(10)))
        by_rows = w.pipeline(collector("b", rows_trigger(1)))
        async with running(timed, by_rows):
            await w.post(1, "b")
            await trio.sleep(25)
            await settled()
        assert timed.counts.lateness.cumulative()[-1] == 2
        assert timed.counts.lateness.sum < 1
        assert by_rows.counts.lateness.cumulative()[-1] == 0


async def test_an_interval_that_was_missed_while_the_service_was_down_is_late(world, autojump_clock):
    async with world(autojump_clock) as w:
        await w.journal.set_clock("main", w.clocks.now() - 70)
        pipeline = w.pipeline(collector(trigger=interval_trigger(10)))
        async with running(pipeline):
            await settled()
        assert pipeline.counts.lateness.sum == pytest.approx(60, abs=1)


async def test_a_snapshot_on_its_way_is_counted_at_each_stage(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.seconds, w.workers.outcome = 3, {"tests": {"passed": 2, "failed": 1}}
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        async with running(pipeline):
            await w.post(2)
            await delivered(w, 1)
        counts = pipeline.counts
        assert (counted(counts.evaluations), counted(counts.deliveries)) == ({"ok": 1}, {"ok": 1})
        assert counts.evaluation.sum == pytest.approx(3, abs=0.1)
        assert (counts.delivered_rows, counts.tests) == (2, {"passed": 2, "failed": 1})


@pytest.mark.parametrize(
    ("failures", "seconds", "outcomes"),
    [
        ([report_raised()], 0, {"raised": 1}),
        ([worker_died()], 0, {"worker_failed": 1, "ok": 1}),
        ([], 1000, {"too_slow": 2}),
    ],
)
async def test_what_becomes_of_a_report_is_counted(world, autojump_clock, failures, seconds, outcomes):
    async with world(autojump_clock) as w:
        w.workers.failures, w.workers.seconds = failures, seconds
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await trio.sleep(3000)
            await settled()
        assert counted(pipeline.counts.evaluations) == outcomes


async def test_what_becomes_of_each_try_to_deliver_is_counted(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.failures = [DeliveryError("down"), DeliveryRefused("who?"), SnapshotTooLarge("413")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await delivered(w, 1)
        assert counted(pipeline.counts.deliveries) == {"failed": 1, "refused": 1, "too_large": 1, "ok": 1}
        assert pipeline.counts.delivery.cumulative()[-1] == 4


async def test_rows_of_damaged_parts_are_counted(world):
    async with world() as w:
        pipeline = w.pipeline(service=CollectorServiceConfig(spill_rows=2))
        async with running(pipeline):
            await w.post(2)
            await settled()
            w.workers.failures = [FilesDamaged([str(path) for path in (w.data_dir.path / "parts").iterdir()])]
            await pipeline.flush()
            await settled()
        assert (pipeline.counts.damaged_rows, counted(pipeline.counts.evaluations)) == (2, {"damaged": 1})


async def test_rows_of_damaged_frames_are_counted(world):
    async with world() as w:
        pipeline = w.pipeline()
        async with running(pipeline):
            await w.post(2)
            await append(w.journal, "main", Frame("json", b'{"n": [7, 8, 9]}', 3))
            with sqlite3.connect(w.data_dir.journal) as journal:
                journal.execute("UPDATE frame SET body = x'00' WHERE rows = 3")
            journal.close()
            await pipeline.flush()
            await settled()
        assert (w.workspace.rows, pipeline.counts.damaged_rows) == ([[0, 1]], 3)


async def test_a_retired_collector_goes_on_counting_where_it_was(world, tmp_path):
    """Prometheus takes a counter that falls for one that began again, and would count its rows twice."""
    path = tmp_path / "collector_config.json"
    config = CollectorServiceConfig(collectors={"main": collector()})
    config.save(path)
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = Supervisor(ConfigFile.open(path), w.tools)
        await nursery.start(supervisor.run)
        await w.post(2)
        CollectorServiceConfig().save(path)
        await supervisor.reload()
        [status] = supervisor.service_status().collectors
        assert (status.state, status.rows_accepted) == ("retired", 2)
        supervisor.counts.of("main").restarts = 1
        await supervisor.delete("main")
        assert (supervisor.service_status().collectors, supervisor.counts.of("main").restarts) == ((), 0)
        nursery.cancel_scope.cancel()
