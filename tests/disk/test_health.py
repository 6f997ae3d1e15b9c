"""Disks that are full for real, and an fsync that fails as a test says."""

import errno
import os
import sqlite3
import threading

import pytest
import structlog
import trio
from disks import append
from machine import PATIENCE
from trio.testing import wait_all_tasks_blocked

from collector.disk.files import SCRATCH_BYTES, write_scratch
from collector.disk.health import Health
from collector.errors import OutOfFiles, StorageError
from collector.formats.frames import Frame
from collector.store.data_dir import DataDir
from collector.store.journal import open_journal

ROW = Frame("json", b'{"a": [1]}', 1)
# A third of what the small disk holds, with what SQLite needs beside it.
LARGE = Frame("json", bytes(100_000), 1)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What is done once a second is done at once: threads and disks keep real time."""
    monkeypatch.setattr("collector.store.tending.SYNC_INTERVAL", 0.01)


def fill(disk, left=0):
    """Leave so many bytes of a disk."""
    (disk / "ballast").write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - left))


def rows_in(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT TOTAL(rows) FROM frame").fetchone()[0]


async def append_until_refused(journal):
    count = 0
    while True:
        try:
            await append(journal, "main", LARGE)
        except StorageError as error:
            return count, str(error)
        count += 1


async def test_trouble_is_logged_when_it_begins_and_when_it_ends(autojump_clock):
    health = Health()
    with structlog.testing.capture_logs() as logs:
        health.note(StorageError("full"))
        await trio.sleep(3)
        health.note(StorageError("failing"), is_losing=True)
        assert (health.trouble, health.is_losing) == ("failing", True)
        health.note(StorageError("full"))
        assert health.is_losing
        health.clear()
    assert [(log["log_level"], log.get("trouble"), log.get("seconds")) for log in logs] == [
        ("error", "full", None),
        ("info", None, 3.0),
    ]
    assert (health.trouble, health.is_losing) == ("", False)


async def test_that_no_more_files_may_be_opened_is_no_trouble_of_the_disks_and_told_now_and_then(autojump_clock):
    health, refused = Health(), OutOfFiles(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    with structlog.testing.capture_logs() as logs:
        for _ in range(30):
            health.note(refused, is_losing=True)
            await trio.sleep(1)
    assert (health.trouble, health.is_losing) == ("", False)
    assert [log["trouble"] for log in logs] == [str(refused)] * 3


async def test_what_is_given_up_stays_as_it_was_told():
    health = Health()
    health.give_up("gone")
    health.note(StorageError("full"))
    assert (health.trouble, health.is_losing) == ("gone", True)


async def test_the_end_of_trouble_is_waited_for():
    health, seen = Health(), []

    async def wait():
        await health.wait_until_sound()
        seen.append(health.trouble)

    await health.wait_until_sound()
    health.note(StorageError("full"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert seen == []
        health.clear()
    assert seen == [""]


def test_scratch_needs_room_and_leaves_nothing_behind(small_disk):
    write_scratch(small_disk)
    fill(small_disk, left=SCRATCH_BYTES // 2)
    with pytest.raises(OSError, match="No space left"):
        write_scratch(small_disk)
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


async def test_a_full_disk_keeps_nothing_half_and_is_well_again_once_there_is_room(small_disk):
    path = small_disk / "journal.sqlite3"
    async with open_journal(DataDir(path.parent)) as journal:
        (small_disk / "ballast").write_bytes(bytes(400_000))
        count, said = await append_until_refused(journal)
        assert "the disk is full" in said
        assert said.endswith("nothing of the request was kept")
        assert journal.trouble in said
        assert rows_in(path) == count == journal.waiting("main").rows
        fill(small_disk)
        (small_disk / "ballast").unlink()
        with trio.fail_after(PATIENCE):
            await journal.wait_until_sound()
        await append(journal, "main", LARGE)
        assert journal.waiting("main").rows == count + 1
        assert (journal.trouble, rows_in(path)) == ("", count + 1)


async def test_a_disk_that_stays_full_stays_in_trouble_and_may_be_tried(small_disk, monkeypatch):
    tries = []
    monkeypatch.setattr("collector.store.tending.write_scratch", lambda path: (tries.append(path), write_scratch(path)))
    async with open_journal(DataDir(small_disk)) as journal:
        fill(small_disk)
        await append_until_refused(journal)
        with trio.fail_after(PATIENCE):
            while len(tries) < 5:  # noqa: ASYNC110  (a thread makes them)
                await trio.sleep(0.01)
        assert "the disk is full" in journal.trouble
        with pytest.raises(StorageError, match="the disk is full"):
            await append(journal, "main", LARGE)


async def test_what_the_disk_refuses_to_others_is_waited_out(path):
    async with open_journal(DataDir(path.parent)) as journal:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                journal.note(StorageError("no room for a part"))
                nursery.start_soon(journal.wait_until_sound)
                await wait_all_tasks_blocked()
                assert journal.trouble == "no room for a part"
        assert journal.trouble == ""


class Failures(list):
    def __init__(self):
        super().__init__()
        self.may_go = threading.Event()
        self.may_go.set()


@pytest.fixture
def failing_fsync(monkeypatch):
    """Has fsync fail while the list that it gives holds something, and wait while its ``may_go`` isn't set."""
    failures, fsync = Failures(), os.fsync

    def fail_or_sync(descriptor):
        failures.may_go.wait(PATIENCE)
        if failures:
            raise OSError(failures[0], os.strerror(failures[0]))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_or_sync)
    return failures


async def test_nothing_is_taken_on_a_disk_that_loses_what_is_written(path, failing_fsync):
    async with open_journal(DataDir(path.parent)) as journal:
        failing_fsync.append(errno.EIO)
        await append(journal, "main", ROW)
        with trio.fail_after(PATIENCE):
            while not journal.trouble:  # noqa: ASYNC110  (a thread is waited for)
                await trio.sleep(0.01)
            with pytest.raises(StorageError, match=r"the disk of .* fails \(.*nothing of the request was kept"):
                await append(journal, "main", ROW)
            failing_fsync.clear()
            await journal.wait_until_sound()
        assert path.with_name(path.name + "-wal").stat().st_size < SCRATCH_BYTES  # written anew, elsewhere
        await append(journal, "main", ROW)
        assert journal.waiting("main").rows == 2


async def test_a_reader_only_delays_the_writing_anew(path, failing_fsync, monkeypatch):
    """What is committed isn't all in the database as long as someone reads of what was before."""
    monkeypatch.setattr("collector.store.connect.BUSY_TIMEOUT", 0.01)
    async with open_journal(DataDir(path.parent)) as journal:
        failing_fsync.may_go.clear()  # else a sync of the first would refuse the second
        await append(journal, "main", ROW)
        reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM frame").fetchone()
        failing_fsync.append(errno.EIO)
        await append(journal, "main", ROW)
        failing_fsync.may_go.set()
        with trio.fail_after(PATIENCE):
            while "fails" not in journal.trouble:  # noqa: ASYNC110  (a thread is waited for)
                await trio.sleep(0.01)
            failing_fsync.clear()
            while "is being read" not in journal.trouble:  # noqa: ASYNC110
                await trio.sleep(0.01)
            reader.close()
            await journal.wait_until_sound()
        await append(journal, "main", ROW)
        assert journal.waiting("main").rows == 3
