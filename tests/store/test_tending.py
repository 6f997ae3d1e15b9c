"""What looks after the journal's files: what a disk's refusal leaves undone is done again, and nothing is hurried."""

import errno
import os
import sqlite3
import stat
import threading

import pytest
import trio
from disks import append
from machine import PATIENCE
from trio.testing import wait_all_tasks_blocked

from collector.formats.frames import Frame
from collector.store import tending
from collector.store.body_files import BodyWriter
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal
from collector.store.records import Part

BODY = b'{"a": [1, 2, 3]}'
# In a log's head, how often it was begun anew: https://sqlite.org/fileformat2.html#walformat.
NUMBER = slice(12, 16)


@pytest.fixture
def data_dir(tmp_path):
    with open_data_dir(tmp_path / "data") as opened:
        yield opened


async def written(journal):
    writer = BodyWriter(journal.body_files, "json", trio.CapacityLimiter(1), is_digested=False)
    body, _ = await writer.finish(BODY, is_synced=False)
    writer.end(is_kept=True)
    return body


async def test_a_body_whose_fsync_fails_is_written_anew(data_dir, monkeypatch):
    """As the journal is: by a second fsync nothing would be known of the pages that the first could not write."""
    monkeypatch.setattr(tending, "SYNC_INTERVAL", 0.01)
    fsync, failed, is_well = os.fsync, trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def fail(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and not is_well.is_set():
            token.run_sync_soon(failed.set)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    async with open_journal(data_dir) as journal:
        body = await written(journal)
        before = body.path.stat()
        writer = BodyWriter(journal.body_files, "json", trio.CapacityLimiter(1), is_digested=False)
        await writer.write(b"{")
        monkeypatch.setattr(os, "fsync", fail)
        await append(journal, "main", Frame("json", body, 3))
        with trio.fail_after(PATIENCE):
            await failed.wait()
            while not journal.trouble:  # noqa: ASYNC110  (a thread is waited for)
                await trio.sleep(0.01)
            is_well.set()
            while "a body is being written" not in journal.trouble:  # noqa: ASYNC110
                await trio.sleep(0.01)
            assert body.path.stat().st_ino == before.st_ino  # else the rest would come into what was replaced
            writer.end(is_kept=False)
            await journal.wait_until_sound()
    after = body.path.stat()
    assert (body.path.read_bytes().rstrip(bytes(1)), after.st_mode, data_dir.body_files()) == (
        BODY,
        before.st_mode,
        [body.path],
    )
    assert after.st_ino != before.st_ino


async def test_a_log_that_cannot_be_shortened_now_is_tried_again_later(data_dir, monkeypatch):
    """It is no fault of the disk's, which would be waited for."""
    monkeypatch.setattr(tending, "SYNC_INTERVAL", 1000.0)
    tried, calls = trio.Event(), []
    token = trio.lowlevel.current_trio_token()

    def refuse(_):
        calls.append(None)
        token.run_sync_soon(tried.set)
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(tending, "_checkpoint", refuse)
    monkeypatch.setattr("collector.store.unsynced.LONG_LOG", 1)
    async with open_journal(data_dir) as journal:
        await append(journal, "main", Frame("json", BODY, 3))
        await tried.wait()
        await wait_all_tasks_blocked(0.05)
        assert len(calls) == 1


async def test_a_log_that_gave_room_back_has_begun_anew(data_dir, monkeypatch):
    """The next commit would do that else, and sync its head, on the event loop."""
    for name, value in (("SYNC_INTERVAL", 0.01), ("KEPT_PAGES", 0)):
        monkeypatch.setattr(tending, name, value)
    log = data_dir.journal.with_name(data_dir.journal.name + "-wal")
    async with open_journal(data_dir) as journal:
        await append(journal, "main", Frame("json", bytes(100_000), 1))
        number = log.read_bytes()[NUMBER]
        run = await journal.next_run("main", None, 1, 1)
        assert await journal.spill(run, Part("parts/1.parquet", 1, 1))
        with trio.fail_after(PATIENCE):
            while log.read_bytes()[NUMBER] == number:  # noqa: ASYNC110  (a thread does it)
                await trio.sleep(0.01)
