"""Tending: commits are synced to the disk each second, and a long log is moved into the database's file.

While the disk refuses writes, it is tried again each second.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import structlog
import trio

from collector.disk.files import sync_directory, write_scratch
from collector.disk.refusals import refusal
from collector.errors import StorageError
from collector.fault_points import reach
from collector.store.body_files import sync_body_file, write_file_again
from collector.store.identity import database_bytes
from collector.store.schema import FORMAT_VERSION
from collector.store.steps.frames import unneeded
from collector.store.unsynced import Bodies
from collector.store.writer import SMALL_STEP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from collector.disk.health import Health
    from collector.store.data_dir import DataDir
    from collector.store.identity import Identity
    from collector.store.unsynced import Unsynced
    from collector.store.writer import Writer

_log = structlog.get_logger()

# Rows answered 2xx under durability "process" reach the disk at least this often.
SYNC_INTERVAL = 1.0
# Free pages (of 4 KiB) that the file keeps for further frames; and how many of the others it gives back a second, which
# takes 10 to 30 ms.
KEPT_PAGES = 16_384
VACUUMED_PAGES = 512
# Seconds for which the service says that its files were changed from outside, before it ends so that a new start can go
# on.
TOLD_SECONDS = 60.0


class Tending:
    """Looks after the files of a journal."""

    def __init__(
        self, data_dir: DataDir, writer: Writer, health: Health, unsynced: Unsynced, identity: Identity
    ) -> None:
        self._data_dir = data_dir
        self._writer = writer
        self._health = health
        self._unsynced = unsynced
        self._identity = identity
        self._body_files = unsynced.body_files

    async def run(self) -> None:
        """Look after the files until cancelled; raises DataDirError if a worker found the journal broken."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_log_short)
            await self._look_each_second()

    async def _keep_log_short(self) -> None:
        """Move the log into the file while commits go on; then what they have added meanwhile, while they wait.

        After that, the next commit would begin the log anew and sync its head, so that is done here too.
        """
        with closing(sqlite3.connect(self._data_dir.journal, check_same_thread=False, isolation_level=None)) as beside:
            while True:
                await self._unsynced.wait_for_long_log()
                await self._health.wait_until_sound()
                try:
                    if await self._writer.use(self._identity.find_fault):  # a checkpoint would copy holes as pages
                        await trio.sleep(SYNC_INTERVAL)  # the fault is found within a second
                        continue
                    for _ in range(2):  # the second time, little is left
                        await trio.to_thread.run_sync(_checkpoint, beside)
                    self._unsynced.begin_log()
                    await self._writer.use(_begin_log)
                except sqlite3.Error as error:
                    self._writer.told(error)
                    await trio.sleep(SYNC_INTERVAL)

    async def _look_each_second(self) -> None:
        while True:
            await trio.sleep(SYNC_INTERVAL)
            await self._look_for_faults()
            if self._health.trouble:
                await self._try_again()
            elif self._unsynced.has_commits:
                await self._sync()
            if self._data_dir.journal_mark.exists():
                raise self._writer.broken

    async def _look_for_faults(self) -> None:
        """Look whether the files are as we left them; if not, refuse all requests, save what there is, and end."""
        try:
            fault = await self._writer.use(self._identity.find_fault)
        except (OSError, sqlite3.Error):
            return  # the writer finds out what it means
        if not fault:
            return
        trouble = f"{fault}; no events are accepted; restart the service"
        self._health.give_up(trouble)
        try:
            await self._writer.rescue(trouble, self._identity)
        except (OSError, sqlite3.Error) as error:
            _log.error("what memory still holds can't be saved", error=str(error))
        await trio.sleep(TOLD_SECONDS)
        raise self._writer.broken

    async def _sync(self) -> None:
        bodies = self._unsynced.take()
        try:
            unneeded = await self._find_unneeded(bodies)
            await trio.to_thread.run_sync(_sync_all, self._data_dir, bodies.new - unneeded, self._identity)
            reach("synced")
            await trio.to_thread.run_sync(self._data_dir.remove_body_files, unneeded)
            await self._writer.use(self._give_back)
        except StorageError:  # the journal's ``trouble`` tells it
            self._unsynced.put_back(bodies)
        except OSError as error:
            self._unsynced.put_back(bodies)
            self._health.note(refusal(error, self._data_dir.path), is_losing=True)
        except sqlite3.Error as error:
            self._writer.told(error)

    async def _find_unneeded(self, bodies: Bodies) -> set[str]:
        """Return body files that nothing needs once all commits up to now are on the disk; no body is added to them.

        Lent files are asked about again later: a commit yet to come names the bodies that they get.
        """
        self._body_files.close_free()
        lent = self._body_files.lent(bodies.left)
        if lent:
            self._unsynced.put_back(Bodies(left=lent))
        asked = bodies.left - lent
        if not asked:
            return asked
        return await self._writer.execute(lambda db: unneeded(db, asked), size=SMALL_STEP)

    def _give_back(self, db: sqlite3.Connection) -> None:
        """Give back room on the disk that the journal doesn't need.

        After a backlog, the file would keep its room for long. And SQLite moves its log into the file only at 4 MB,
        which is too late on a disk with less room.
        """
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
        if free > KEPT_PAGES:
            pages = min(free - KEPT_PAGES, VACUUMED_PAGES)
            db.executescript(f"PRAGMA incremental_vacuum({pages})")  # execute() would end after one page
            _begin_log(db)
        size = database_bytes(db)
        room = shutil.disk_usage(self._data_dir.path).free
        if size - self._data_dir.journal.stat().st_size <= room < self._identity.log_bytes:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def _try_again(self) -> None:
        try:
            await self._writer.use(self._give_back)
            await trio.to_thread.run_sync(write_scratch, self._data_dir.path)
            if self._health.is_losing:
                await self._writer.use(partial(_write_again, self._identity))
                await self._write_bodies_again()
            await self._writer.execute(lambda db: db.execute(f"PRAGMA user_version = {FORMAT_VERSION}"))
        except (OSError, sqlite3.Error) as error:
            self._health.note(refusal(error, self._data_dir.path))
        except StorageError as error:
            self._health.note(error)
        else:
            self._health.clear()

    async def _write_bodies_again(self) -> None:
        """Write body files again; raise StorageError while a body is being written into one of them."""
        self._body_files.close_free()
        files = self._unsynced.new_files()
        if self._body_files.lent(files):
            raise StorageError("a body is being written; it is tried again")
        await trio.to_thread.run_sync(_have_on_disk, self._data_dir, files, write_file_again)


def _have_on_disk(data_dir: DataDir, bodies: set[str], put: Callable[[Path], None]) -> None:
    for name in bodies:
        put(data_dir.body_file(name))
    if bodies:
        sync_directory(data_dir.path / "bodies")


def _sync_all(data_dir: DataDir, bodies: set[str], identity: Identity) -> None:
    _have_on_disk(data_dir, bodies, sync_body_file)
    identity.sync()


def _checkpoint(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _begin_log(db: sqlite3.Connection) -> None:
    """Move the rest of the log into the file, and begin a new log: else the next commit would, and sync its head."""
    _checkpoint(db)
    db.execute(f"PRAGMA user_version = {FORMAT_VERSION}")


def _write_again(identity: Identity, db: sqlite3.Connection) -> None:
    """Write all that is committed to the disk once more, by moving it from the log into the database.

    A second fsync of the same pages proves nothing: the kernel marks pages as written that it failed to write
    (https://lwn.net/Articles/752063/). A checkpoint makes new ones of them, and raises if they don't get there.
    """
    is_busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise StorageError("the journal is being read; it is tried again")
    identity.sync()
