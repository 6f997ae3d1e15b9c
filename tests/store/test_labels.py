"""The book of labels: what memory counts agrees with what the journal has, and a batch says itself that it waits."""

import sqlite3
from dataclasses import replace

import pytest
from disks import append

from collector.disk.refusals import refusal
from collector.errors import StorageError
from collector.formats.frames import Frame
from collector.store import labels as module
from collector.store.awaiting import waiting_batches, waiting_file
from collector.store.data_dir import DataDir, make_directories
from collector.store.records import Batch, Part, labelled_id
from collector.store.streams import labels_of

STREAM = labels_of("main")
BODY = b'[{"id": 1}]'


async def seal(journal, id_="b1", wait=60.0):
    """Seal a batch of one spilled part, which waits for labels."""
    await append(journal, "main", Frame("json", BODY, 1))
    run = await journal.next_run("main", None, 1, 2**20)
    await journal.spill(run, Part(f"{id_}.parquet", 1, 50))
    return await journal.seal("main", id_, wait=wait)


async def deliver(journal, batch):
    await journal.finish(await journal.mark(batch, "evaluated"))


async def post_labels(journal):
    await append(journal, STREAM, Frame("json", BODY, 1))


async def spill_labels(journal):
    run = await journal.next_run(STREAM, None, 1, 2**20)
    await journal.spill(run, Part("l1.parquet", 1, 30))
    [part] = (await journal.labels.look("main")).parts
    return part


async def keyed(journal):
    """Enter the keys of the batch that waits."""
    [one] = (await journal.labels.look("main")).awaited
    one = replace(one, key="id", keys="labels/k", keyed=1)
    assert await journal.labels.enter_keys(one, [f"{one.batch}.parquet"])
    return one


async def test_a_batch_that_waits_and_labels_that_are_kept_are_not_over(journal):
    assert (await journal.labels.look("main")).is_over
    await post_labels(journal)
    assert not (await journal.labels.look("main")).is_over, "a frame"
    part = await spill_labels(journal)
    await journal.labels.retire("main", part, {"late": 1})
    assert (await journal.labels.look("main")).is_over
    await seal(journal)
    assert not (await journal.labels.look("main")).is_over, "a batch"


async def test_what_waits_for_labels_is_found_under_its_collectors_new_id(journal):
    """Without it, batches of a collector whose config has no labels any more would wait until the next start."""
    book = journal.labels
    await deliver(journal, await seal(journal))
    await book.look("main")
    book.collectors.add("main")
    await journal.rename("main", "other", {})
    assert book.collectors == {"other"}
    assert (book.kept_bytes("main"), book.kept_bytes("other")) == (0, 50)


async def test_labels_and_what_waits_for_them_count_as_kept_until_they_go(journal):
    book = journal.labels
    await post_labels(journal)
    part = await spill_labels(journal)
    await deliver(journal, await seal(journal))
    await book.look("main")
    assert book.kept_bytes("main") == 30 + 50
    await book.retire("main", part, {"used": 1})
    assert book.kept_bytes("main") == 50
    await book.retire("main", part, {"used": 1})  # once more, as after a crash
    assert book.kept_bytes("main") == 50
    book.forget("main")
    assert book.kept_bytes("main") == 0


async def test_rows_with_labels_count_as_undelivered_once_they_are_sealed(journal):
    await deliver(journal, await seal(journal))
    one = replace(await keyed(journal), cut=1, closed=9.0)
    made = Batch(labelled_id("b1"), "main", "sealed", 1, 1.0, 9.0, report="labels", source="b1")
    joined = [Part("j.parquet", 1, 40)]
    before = journal.buffered_bytes("main")
    assert not await journal.labels.close(one, made, joined, ["gone.parquet"])
    assert journal.buffered_bytes("main") == before
    assert await journal.labels.close(one, made, joined, ["b1.parquet"])
    assert journal.buffered_bytes("main") == before + 40
    assert [batch.id for batch in await journal.batches("main", "sealed")] == [made.id]


async def test_who_looked_before_the_last_change_can_tell(journal):
    await seal(journal)
    book, before = journal.labels, journal.labels.changes
    await book.look("main")
    assert book.changes == before
    await book.set_wait("main", 5.0)
    await book.shift("main", 2.0)
    await book.forget_keys("b1")
    assert book.changes == before + 3


async def test_a_batch_says_itself_that_it_waits(journal, path):
    data_dir = DataDir(path.parent)
    make_directories(data_dir.path)
    await seal(journal)
    await journal.labels.write_down("b1", "main")
    assert list(waiting_batches(data_dir)) == [], "its collector isn't known for labels"
    journal.labels.collectors.add("main")
    await journal.labels.write_down("b1", "main")
    [said] = waiting_batches(data_dir)
    assert (said.batch, said.parts, said.wait) == ("b1", ["b1.parquet"], 60.0)


async def test_a_batch_that_waits_for_none_says_nothing(journal, path):
    journal.labels.collectors.add("main")
    await seal(journal, wait=None)
    await journal.labels.write_down("b1", "main")
    assert not (path.parent / waiting_file("b1")).exists()


async def test_a_disk_that_refuses_what_a_batch_says_is_told(journal, path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_waiting", fail)
    journal.labels.collectors.add("main")
    await seal(journal)
    with pytest.raises(StorageError, match="the disk is full") as raised:
        await journal.labels.write_down("b1", "main")
    assert str(raised.value) == str(refusal(OSError(28, "No space left on device"), (path.parent / "labels")))


async def test_a_journal_that_cannot_be_read_is_told(journal, monkeypatch):
    def fail(*_):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("collector.store.connect.read_only", fail)
    with pytest.raises(StorageError, match="the journal can't be read: disk I/O error"):
        await journal.labels.look("main")


async def test_numbers_of_keys_begin_with_a_secret_that_stays(journal):
    seed = await journal.labels.seed()
    assert seed == await journal.labels.seed()
    assert 0 <= seed < 2**63
