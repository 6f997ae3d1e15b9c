"""What is spilled to parts, and what a report gets of it."""

import pyarrow.parquet as pq
import pytest
import trio
from worlds import collector, rows_trigger, running, settled

from collector.config import CollectorServiceConfig
from collector.errors import StorageError


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
        assert w.workspace.rows == [list(range(15))]


async def test_no_part_goes_past_the_end_of_a_batch_that_is_yet_to_be_sealed(world):
    """While sealing waited for room to publish another batch, a part took rows of the next: the batch had too many."""
    async with world() as w:
        pipeline = w.pipeline(collector(trigger=rows_trigger(10)), CollectorServiceConfig(spill_rows=8))
        spilling = pipeline._spilling  # noqa: SLF001  (nobody seals meanwhile)
        for posted, in_parts in ((8, 8), (7, 10)):
            for _ in range(posted):
                await w.post(1)
            await spilling.spill(None)
            waiting = w.journal.waiting("main")
            assert waiting.rows - waiting.frame_rows == in_parts
        assert (await pipeline._sealing.seal(10)).rows == 10  # noqa: SLF001


async def test_a_part_whose_frames_a_batch_was_cut_through_is_dropped(world):
    """While the part of six rows is written, three of them are sealed: each row still goes into one batch."""
    async with world() as w:
        begun, gate = trio.Event(), trio.Event()
        write_part = w.workers.write_part

        async def write_late(*args):
            begun.set()
            await gate.wait()
            return await write_part(*args)

        w.workers.write_part = write_late
        pipeline = w.pipeline(service=CollectorServiceConfig(spill_rows=6))
        async with running(pipeline):
            await settled()  # it has looked for sealed batches: the next one is evaluated once it is told
            await w.post(3)
            await w.post(3)
            await begun.wait()
            await w.journal.seal("main", "0-first", 3)
            gate.set()
            await settled()
            assert w.journal.waiting("main").rows == 3
            assert await w.journal.parts("0-first") == []
            assert list((w.data_dir.path / "parts").iterdir()) == []
            await pipeline.flush()
            await settled()
        assert w.workspace.rows == [[0, 1, 2], [3, 4, 5]]


async def test_a_part_that_the_disk_keeps_from_the_journal_leaves_nothing(world, monkeypatch):
    """It is tried again under another name, on a disk that may be full."""
    async with world() as w:

        async def refuse(*_):
            raise StorageError("the disk is full")

        await w.post(3)
        monkeypatch.setattr(w.journal, "spill", refuse)
        spilling = w.pipeline()._spilling  # noqa: SLF001  (in the pipeline it would be tried again)
        with pytest.raises(StorageError):
            await spilling.spill(None)
        assert list((w.data_dir.path / "parts").iterdir()) == []


async def test_a_part_that_takes_too_long_goes_in_halves_and_no_row_is_lost(world):
    async with world() as w:
        write_part, sizes = w.workers.write_part, []

        async def write_few(directory, run, *args):
            sizes.append(run.rows)
            if run.rows > 3:
                raise trio.TooSlowError
            return await write_part(directory, run, *args)

        w.workers.write_part = write_few
        pipeline = w.pipeline(service=CollectorServiceConfig(spill_rows=100))
        async with running(pipeline):
            for _ in range(10):
                await w.post(1)
            await pipeline.flush()
            await settled()
        assert sizes[:2] == [10, 5]
        assert w.workspace.rows == [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]
