"""A journal that is too large to be checked before it is used."""

import json
import math
import threading

import pytest
import trio
from disks import append
from machine import PATIENCE

from collector.errors import JournalBroken
from collector.formats.frames import check_frame
from collector.store import inspection, opening
from collector.store.data_dir import DataDir
from collector.store.inspection import inspect
from collector.store.journal import open_journal

FRAME = check_frame("json", json.dumps({"text": ["x" * 5000]}).encode())


@pytest.fixture
def nothing_is_small(monkeypatch):
    """Have any journal be too large to be checked first, and Tending look at once."""
    for module in (opening, inspection):
        monkeypatch.setattr(module, "CHECKED_FIRST", 0)
    monkeypatch.setattr("collector.store.tending.SYNC_INTERVAL", 0.01)


async def fill(path, frames=50):
    async with open_journal(DataDir(path.parent)) as journal:
        for _ in range(frames):
            await append(journal, "main", FRAME)


def damage(path):
    """Change a page in the midst of the frames, which nobody reads at the start."""
    body = bytearray(path.read_bytes())
    middle = len(body) // 2 // 4096 * 4096
    body[middle : middle + 64] = bytes(range(64))
    path.write_bytes(body)


@pytest.mark.usefixtures("nothing_is_small")
async def test_a_journal_that_is_broken_somewhere_ends_with_its_mark_and_the_next_start_recovers_it(path):
    await fill(path)
    damage(path)

    async def work():
        async with open_journal(DataDir(path.parent)):
            await trio.sleep_forever()

    with trio.fail_after(PATIENCE), pytest.raises(JournalBroken, match="restart the service"):
        await work()
    assert DataDir(path.parent).journal_mark.exists()
    async with open_journal(DataDir(path.parent)) as journal:
        assert 0 < journal.waiting("main").rows <= 50
    assert not DataDir(path.parent).journal_mark.exists()


@pytest.mark.usefixtures("nothing_is_small")
async def test_a_sound_journal_goes_on(path):
    await fill(path)
    await inspect(DataDir(path.parent))
    assert not DataDir(path.parent).journal_mark.exists()


@pytest.mark.parametrize(("first", "most"), [(math.inf, math.inf), (0, 0)])
async def test_what_was_checked_already_or_would_take_too_long_is_not_checked(path, monkeypatch, first, most):
    await fill(path)
    damage(path)
    monkeypatch.setattr(inspection, "CHECKED_FIRST", first)
    monkeypatch.setattr(inspection, "MAX_BYTES", most)
    await inspect(DataDir(path.parent))
    assert not DataDir(path.parent).journal_mark.exists()


@pytest.mark.usefixtures("nothing_is_small")
async def test_an_inspection_that_is_cancelled_is_broken_off(path, monkeypatch):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
    begun = threading.Event()

    def find_for_ever(connection):
        begun.set()
        return connection.execute(endless).fetchone()[0]

    monkeypatch.setattr(inspection, "find_fault", find_for_ever)
    await fill(path, 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inspect, DataDir(path.parent))
        await trio.to_thread.run_sync(begun.wait)
        nursery.cancel_scope.cancel()
    assert not DataDir(path.parent).journal_mark.exists()
