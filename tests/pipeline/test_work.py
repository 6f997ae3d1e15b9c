"""What the stages of a pipeline share."""

from worlds import EPOCH, collector, rows_trigger

from collector.config import CollectorServiceConfig, Storage
from collector.pipeline.work import Work
from collector.status.telling import Rejected
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


async def test_its_log_is_as_long_as_the_config_of_that_moment_says(world):
    async with world() as w:
        work = Work(collector(), CollectorServiceConfig(storage=Storage(max_log_events=1)), w.tools)
        batch = Batch("batch-1", "main", "evaluated", 1, 0, 0)
        for kept in (1, 2):
            work.service = CollectorServiceConfig(storage=Storage(max_log_events=kept))
            for _ in range(3):
                await work.tell(Rejected(batch, "never"))
            assert len(await w.journal.logs("main")) == kept
