"""Failed batches lie in a folder of their own, and come back from there."""

import pytest
from worlds import collector

from collector.config import CollectorServiceConfig
from collector.pipeline.failed import set_aside, take_back
from collector.pipeline.spilling import Spilling
from collector.pipeline.work import Work


@pytest.fixture
def make_batch(world):
    """Make a batch of one part."""

    async def make(w):
        work = Work(collector(), CollectorServiceConfig(), w.tools)
        await w.post(3)
        batch = await w.journal.seal("main", "batch-1")
        while await Spilling(work, None).spill(batch.id):
            pass
        return work, batch

    return make


async def paths(work):
    return [part.path for part in await work.journal.parts("batch-1")]


async def test_a_failed_batch_lies_beside_its_error(world, make_batch):
    async with world() as w:
        work, batch = await make_batch(w)
        await set_aside(work, batch, "it raised", "Traceback ...", attempts=2)
        folder = w.data_dir.failed("batch-1")
        assert (folder / "error.txt").read_text(encoding="utf-8") == "it raised\n\nTraceback ...\n"
        [failed] = await w.journal.batches("main", "failed")
        assert (failed.error, failed.attempts) == ("it raised", 2)
        [path] = await paths(work)
        assert (w.data_dir.path / path).parent == folder
        assert list((w.data_dir.path / "parts").iterdir()) == []


async def test_it_comes_back_whole_and_leaves_no_folder(world, make_batch):
    async with world() as w:
        work, batch = await make_batch(w)
        before = await paths(work)
        await set_aside(work, batch, "it raised")
        await take_back(work, batch)
        assert await paths(work) == before
        assert (w.data_dir.path / before[0]).exists()
        assert not w.data_dir.failed("batch-1").exists()


async def test_doing_either_twice_changes_nothing(world, make_batch):
    """A crash may come anywhere between."""
    async with world() as w:
        work, batch = await make_batch(w)
        for _ in range(2):
            await set_aside(work, batch, "it raised")
        for _ in range(2):
            await take_back(work, batch)
        [path] = await paths(work)
        assert (w.data_dir.path / path).exists()
