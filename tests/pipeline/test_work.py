"""What the stages of a pipeline share."""

from dataclasses import replace

from worlds import EPOCH, collector, outcome_of, rows_trigger

from collector.config import CollectorServiceConfig, Storage
from collector.pipeline.work import Work
from collector.status.telling import Evaluated, Rejected
from collector.status.verdict import verdict_of
from collector.store.records import Batch


async def test_it_begins_with_what_its_trigger_waits_for(world):
    async with world() as w:
        work = Work(collector(trigger=rows_trigger(5)), CollectorServiceConfig(), w.tools)
        assert (work.id, work.status.state, work.status.rows_needed) == ("main", "starting", 5)
        assert work.workspace is w.workspace


async def test_its_status_counts_the_batches_in_each_state(world):
    async with world() as w:
        work = Work(collector(), CollectorServiceConfig(), w.tools)
        for state in ("sealed", "evaluated", "failed"):
            await w.post(1)
            await w.journal.mark(await w.journal.seal("main", state), state)
        await work.count()
        status = work.status
        assert (status.sealed, status.outbox, status.failed) == (1, 1, 1)
        assert status.outbox_since > EPOCH


async def test_its_status_remembers_what_came_of_batches_before_a_restart_or_an_edit(world):
    async with world() as w:
        before = Work(collector(), CollectorServiceConfig(), w.tools)
        for number in (2, 3):
            await w.post(number)
            outcome = outcome_of([1]) | {"drift_share": number / 4}
            batch = await w.journal.seal("main", f"b{number}")
            await w.journal.keep_outcome(batch, outcome, verdict_of(outcome), 9)
            await before.tell(Evaluated(batch, outcome, 0.1))
        await w.post(1)
        await w.journal.mark(await w.journal.seal("main", "failed"), "failed", error="no column 'a'")
        after = Work(collector(), CollectorServiceConfig(), w.tools)
        for work in (before, after):
            await work.recall()
            await work.count()
        assert (after.status.snapshots, after.status.last_snapshot["rows"]) == (2, 3)
        assert after.status.last_snapshot["findings"]["drift"][0]["column"] == "age"
        assert replace(before.status, last_error="no column 'a'") == after.status


async def test_its_log_is_as_long_as_the_config_of_that_moment_says(world):
    async with world() as w:
        work = Work(collector(), CollectorServiceConfig(storage=Storage(max_log_events=1)), w.tools)
        batch = Batch("batch-1", "main", "evaluated", 1, 0, 0)
        for kept in (1, 2):
            work.service = CollectorServiceConfig(storage=Storage(max_log_events=kept))
            for _ in range(3):
                await work.tell(Rejected(batch, "never"))
            assert len(await w.journal.logs("main")) == kept
