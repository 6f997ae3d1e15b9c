"""Journals that are damaged in any way, opened again."""

import json
import os
import random
import shutil
from collections import Counter
from copy import deepcopy
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import structlog
from disks import append

from collector.formats.frames import check_frame
from collector.store.data_dir import DataDir, open_data_dir
from collector.store.journal import open_journal
from collector.store.parts import write_part
from collector.store.records import Part
from collector.store.steps import parts

MANY = 10**9
COLLECTORS = ("a", "b", "c")
SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 8))]


class Store:
    """A data directory with numbered rows in three collectors: open, sealed, failed, delivered; in frames and parts."""

    def __init__(self, path, seed=0):
        self.path = path
        self.random = random.Random(seed)
        self.sent = 0
        self.delivered = set()

    async def fill(self, posts):
        with open_data_dir(self.path) as data_dir:
            async with open_journal(data_dir) as journal:
                for _ in range(posts):
                    collector = self.random.choice(COLLECTORS)
                    await self.post(journal, collector)
                    await self.work(journal, data_dir, collector)

    async def post(self, journal, collector):
        numbers = list(range(self.sent, self.sent + self.random.randint(1, 5)))
        self.sent += len(numbers)
        body = json.dumps({"n": numbers, "padding": ["x" * self.random.choice((10, 500, 3000))] * len(numbers)})
        await append(journal, collector, check_frame("json", body.encode()), key=str(self.sent), digest="d")

    async def work(self, journal, data_dir, collector):
        chance = self.random.random()
        if chance < 0.1:
            await self._spill(journal, data_dir, collector, None)
        elif chance < 0.15:
            await journal.seal(collector, f"b{self.sent}")
        elif chance < 0.2:
            for batch in await journal.batches(collector, "sealed"):
                while await self._spill(journal, data_dir, collector, batch.id):
                    pass
                await self._end(journal, data_dir, batch)

    async def _spill(self, journal, data_dir, collector, batch):
        run = await journal.next_run(collector, batch, 20, MANY)
        if run is None:
            return False
        name = data_dir.new_part()
        written = write_part(str(data_dir.path), collector, run.first, run.last, str(self.path / name))
        return await journal.spill(run, Part(name, written.rows, written.size))

    async def _end(self, journal, data_dir, batch):
        if self.random.random() < 0.5:
            parts = await journal.parts(batch.id)
            self.delivered |= {n for part in parts for n in numbers_in(self.path / part.path)}
            data_dir.mark_delivered(await journal.finish(batch))
        else:
            await journal.mark(batch, "failed")

    async def open(self):
        """Open the journal as the daemon does at its start; give each row's places but for delivered batches."""
        with open_data_dir(self.path) as data_dir:
            async with open_journal(data_dir) as journal:
                data_dir.remove_orphans(*await journal.known_files())
                for collector in COLLECTORS:
                    await journal.seal(collector, f"last-{collector}")
                    for batch in await journal.batches(collector, "sealed"):
                        while await self._spill(journal, data_dir, collector, batch.id):
                            pass
                return Counter([n for collector in COLLECTORS for n in await self._numbers(journal, collector)])

    async def _numbers(self, journal, collector):
        numbers = []
        for batch in await journal.batches(collector, "sealed", "failed", "evaluated"):
            mine = [n for part in await journal.parts(batch.id) for n in numbers_in(self.path / part.path)]
            assert len(mine) == batch.rows
            numbers += mine
        return numbers

    @property
    def waiting(self):
        """All rows that weren't delivered."""
        return set(range(self.sent)) - self.delivered


def numbers_in(path):
    table = pq.read_table(path)
    assert all(set(text) == {"x"} for text in table["padding"].to_pylist())
    return table["n"].to_pylist()


def flip(path, randomness, count=1):
    body = bytearray(path.read_bytes())
    for _ in range(count):
        body[randomness.randrange(len(body))] ^= 1 << randomness.randrange(8)
    path.write_bytes(body)


def truncate(path, randomness):
    os.truncate(path, randomness.randrange(path.stat().st_size))


# By this, a page is chosen that isn't free.
USED = 1


def zero_page(path, randomness):
    body = bytearray(path.read_bytes())
    start = randomness.randrange(len(body) // 4096) * 4096
    body[start : start + 4096] = bytes(4096)
    path.write_bytes(body)


async def filled(path, seed=0):
    store = Store(path, seed)
    await store.fill(150)
    return store


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Copy a store that a function makes of a path and a seed; it makes each but once."""
    made = {}

    async def copied(make, path, seed=0):
        if (make, seed) not in made:
            made[make, seed] = await make(tmp_path_factory.mktemp("store") / "data", seed)
        store = deepcopy(made[make, seed])
        shutil.copytree(store.path, path)
        store.path = path
        return store

    return copied


@pytest.fixture
async def store(copy, tmp_path):
    return await copy(filled, tmp_path / "data")


def journal_of(store):
    return store.path / "journal.sqlite3"


def damaged(store):
    """Name what was set aside."""
    folder = store.path / "damaged"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def test_what_is_sound_is_opened_as_it_is(store):
    assert await store.open() == Counter(store.waiting)
    assert damaged(store) == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("damage", [flip, truncate, zero_page], ids=lambda damage: damage.__name__)
async def test_whatever_is_damaged_it_opens_and_no_row_is_altered_or_there_twice(copy, tmp_path, damage, seed):
    """No delivered row comes again, and where rows are missing, the broken journal or their frame is set aside."""
    store = await copy(filled, tmp_path / "data", seed)
    damage(journal_of(store), random.Random(seed))
    found = await store.open()
    assert set(found) <= store.waiting
    assert set(found.values()) <= {1}
    assert set(found) == store.waiting or damaged(store)
    assert await store.open() == found


async def killed(path, seed):
    """Return a store whose journal has a log, as after a kill."""
    store = Store(path, seed)
    with open_data_dir(store.path) as data_dir:
        async with open_journal(data_dir) as journal:
            for _ in range(100):
                collector = store.random.choice(COLLECTORS)
                await store.post(journal, collector)
                await store.work(journal, data_dir, collector)
            store.path = path.with_name("killed")
            shutil.copytree(path, store.path)
    return store


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("damage", [flip, truncate], ids=lambda damage: damage.__name__)
async def test_whatever_is_damaged_in_the_log_no_row_is_altered_or_there_twice_or_delivered_again(
    copy, tmp_path, damage, seed
):
    """A log whose end is missing can't be told from one that never had it: there alone rows may go without trace."""
    store = await copy(killed, tmp_path / "data", seed)
    damage(journal_of(store).with_name("journal.sqlite3-wal"), random.Random(seed))
    found = await store.open()
    assert set(found) <= store.waiting
    assert set(found.values()) <= {1}
    assert set(found) == store.waiting or damage is truncate or damaged(store)


async def test_one_byte_in_the_log_costs_no_more_than_its_page(copy, tmp_path):
    """SQLite itself would forget all the commits behind it."""
    store = await copy(killed, tmp_path / "data")
    log = journal_of(store).with_name("journal.sqlite3-wal")
    body = bytearray(log.read_bytes())
    body[32 + 24 + 2000] ^= 1
    log.write_bytes(body)
    found = await store.open()
    assert set(found) <= store.waiting
    assert len(found) > 0.9 * len(store.waiting)
    assert damaged(store)[0].startswith("journal-")


@pytest.mark.parametrize("is_swept", [True, False], ids=["swept", "killed before frames of parts were removed"])
async def test_a_first_page_that_is_lost_costs_no_row(tmp_path, monkeypatch, is_swept):
    if not is_swept:
        monkeypatch.setattr(parts, "sweep", lambda *_: None)
    store = await filled(tmp_path / "data")
    monkeypatch.undo()
    body = bytearray(journal_of(store).read_bytes())
    body[:4096] = bytes(4096)
    journal_of(store).write_bytes(body)
    assert await store.open() == Counter(store.waiting)


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["gone", "empty"])
async def test_parts_without_a_journal_are_taken_over_but_for_delivered_ones(store, lose):
    lose(journal_of(store))
    found = await store.open()
    assert len(found) > 0
    assert set(found) <= store.waiting
    assert set(found.values()) == {1}


async def test_a_journal_that_has_lost_a_delivery_does_not_deliver_again(store):
    """It is of before, as after a power cut; the parts themselves say that they were delivered."""
    old = journal_of(store).read_bytes()
    before = set(store.delivered)
    await store.fill(100)
    assert store.delivered - before
    journal_of(store).write_bytes(old)
    found = await store.open()
    assert set(found) <= store.waiting
    assert set(found.values()) == {1}


@pytest.mark.parametrize("place", ["journal.sqlite3-broken", "journal.sqlite3"], ids=["set aside", "made anew"])
async def test_a_recovery_that_is_cut_off_is_begun_again_from_what_was_set_aside(store, monkeypatch, place):
    zero_page(journal_of(store), random.Random(USED))
    replace = Path.replace

    def stop(path, target):
        if target.name == place:
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        await store.open()
    monkeypatch.undo()
    if DataDir(store.path).journal_mark.exists():
        journal_of(store).unlink()  # it isn't needed any more
    found = await store.open()
    assert set(found.values()) == {1}
    assert len(found) > 0.9 * len(store.waiting)
    assert not DataDir(store.path).journal_mark.exists()


async def test_what_was_recovered_is_counted_and_said(store):
    with structlog.testing.capture_logs() as logs:
        zero_page(journal_of(store), random.Random(USED))
        found = await store.open()
    began, done, aside = logs
    assert {one["log_level"] for one in logs} == {"error"}
    assert began["reason"]
    assert damaged(store) == [Path(aside["broken"]).name]
    assert done["rows"] == len(found) + len(store.delivered)
