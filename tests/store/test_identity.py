"""What is done to the journal's files while they are open is found and told, and what is left is saved."""

import os
import shutil
from contextlib import closing, suppress

import pytest
import trio
from disks import append, insert_frames
from machine import PATIENCE
from structlog.testing import capture_logs

from collector.errors import JournalBroken, StorageError
from collector.formats.frames import check_frame
from collector.store import tending
from collector.store.connect import connect, index_of, log_of
from collector.store.data_dir import DataDir, open_data_dir
from collector.store.identity import Identity
from collector.store.journal import open_journal

ROWS = 20


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    """Look more often than each second, for which each of these tests would wait."""
    assert tending.SYNC_INTERVAL <= 1
    monkeypatch.setattr(tending, "SYNC_INTERVAL", 0.05)


@pytest.fixture
def data_dir(tmp_path):
    with open_data_dir(tmp_path / "data") as opened:
        yield opened


def _frame(number):
    return check_frame("json", b'{"number": [%d]}' % number)


def remove(path):
    path.unlink()


def replace(path):
    path.with_name("other").write_bytes(path.read_bytes())
    path.with_name("other").rename(path)


def cut(path):
    os.truncate(path, 0)


def cut_in_half(path):
    os.truncate(path, path.stat().st_size // 2)


FAULTS = [
    pytest.param(log_of, remove, "was removed or moved away", id="log removed"),
    pytest.param(log_of, replace, "was replaced by another file", id="log replaced"),
    pytest.param(log_of, cut, "was cut off", id="log cut off"),
    pytest.param(log_of, cut_in_half, "was cut off", id="half of the log cut off"),
    pytest.param(lambda journal: journal, cut, "was cut off", id="journal cut off"),
    pytest.param(lambda journal: journal, remove, "was removed", id="journal removed"),
    pytest.param(lambda journal: journal, replace, "was replaced by another file", id="journal replaced"),
    pytest.param(index_of, remove, "was removed", id="index removed"),
]


@pytest.mark.parametrize("is_written_on", [False, True], ids=["calm", "written on"])
@pytest.mark.parametrize(("file", "fault", "told"), FAULTS)
async def test_what_is_done_to_the_files_is_told_within_a_second_and_nothing_answered_for_is_lost(
    data_dir, file, fault, told, is_written_on
):
    with capture_logs() as logs, trio.fail_after(PATIENCE):
        async with open_journal(data_dir) as journal:
            for number in range(ROWS):
                await append(journal, "main", _frame(number), f"key {number}", "d1")
            await journal.seal("main", "b1", ROWS // 2)
            fault(file(data_dir.journal))
            answered = ROWS
            began = trio.current_time()
            while not journal.trouble:
                if is_written_on:
                    with suppress(StorageError):  # of one that was under way when it was found
                        await append(journal, "main", _frame(answered))
                        answered += 1
                await trio.sleep(0.02)
            assert told in journal.trouble
            with pytest.raises(StorageError, match=told):
                await append(journal, "main", _frame(-1))
            with pytest.raises(StorageError, match="nothing of the request was kept"):
                await journal.logs("main")
            journal.note(StorageError("something else"))
            assert told in journal.trouble
    assert trio.current_time() - began < 30  # a second, on a machine that isn't busy
    assert any(told in str(entry) for entry in logs)
    async with open_journal(data_dir) as journal:
        [batch] = await journal.batches("main", "sealed")
        assert (batch.rows, journal.waiting("main").rows) == (ROWS // 2, answered - ROWS // 2)
        assert not await append(journal, "main", _frame(3), "key 3", "d1")


async def test_after_a_while_the_service_ends_so_that_its_next_start_goes_on(data_dir, monkeypatch):
    monkeypatch.setattr("collector.store.tending.TOLD_SECONDS", 0.01)

    async def work():
        async with open_journal(data_dir):
            log_of(data_dir.journal).unlink()
            await trio.sleep_forever()

    with trio.fail_after(PATIENCE), pytest.raises(JournalBroken):
        await work()


async def test_a_data_directory_that_is_removed_is_made_anew_with_what_memory_holds(data_dir):
    with trio.fail_after(PATIENCE):
        async with open_journal(data_dir) as journal:
            await append(journal, "main", _frame(1))
            shutil.rmtree(data_dir.path)
            while not data_dir.journal.exists():  # noqa: ASYNC110  (a thread makes it)
                await trio.sleep(0.05)
            assert "was removed" in journal.trouble
    async with open_journal(data_dir) as journal:
        assert journal.waiting("main").rows == 1


async def test_a_data_directory_that_is_moved_away_has_it_all(data_dir, tmp_path):
    moved = DataDir(tmp_path / "moved")
    with trio.fail_after(PATIENCE):
        async with open_journal(data_dir) as journal:
            await append(journal, "main", _frame(1))
            data_dir.path.rename(moved.path)
            while not journal.trouble:  # noqa: ASYNC110  (a thread finds it)
                await trio.sleep(0.05)
    assert not data_dir.journal.exists()
    async with open_journal(moved) as journal:
        assert journal.waiting("main").rows == 1


@pytest.mark.parametrize(("file", "fault", "told"), FAULTS)
async def test_what_is_done_just_before_the_end_loses_nothing_either(data_dir, file, fault, told):
    """SQLite moves its log into the file as it closes it, holes and all."""
    with capture_logs() as logs:
        async with open_journal(data_dir) as journal:
            for number in range(ROWS):
                await append(journal, "main", _frame(number))
            fault(file(data_dir.journal))
    assert any(told in str(entry) for entry in logs)
    async with open_journal(data_dir) as journal:
        assert journal.waiting("main").rows == ROWS


def test_what_we_do_to_the_files_is_no_fault(data_dir):
    """The log is moved into the file and begun anew, and both are made shorter."""
    db = connect(data_dir.journal, "process")
    with Identity(data_dir) as identity, closing(db):
        for _ in range(2):
            insert_frames(db, 10**6)
            assert identity.find_fault(db) == ""
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        assert identity.find_fault(db) == ""
        db.execute("DELETE FROM frame")
        db.executescript("PRAGMA incremental_vacuum")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert (identity.find_fault(db), identity.log_bytes) == ("", 0)
        db.execute("INSERT INTO clock VALUES ('main', 1)")
        assert identity.find_fault(db) == ""


def test_a_log_that_was_cut_off_and_is_as_long_again_has_a_hole(data_dir):
    db = connect(data_dir.journal, "process")
    with Identity(data_dir) as identity, closing(db):
        for number in range(10):
            db.execute("INSERT INTO clock VALUES (?, 1)", (str(number),))
        assert identity.find_fault(db) == ""
        os.truncate(log_of(data_dir.journal), 0)
        for number in range(10, 20):
            db.execute("INSERT INTO clock VALUES (?, 1)", (str(number),))
        assert "then written to again" in identity.find_fault(db)
