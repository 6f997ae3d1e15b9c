"""The journal: the SQLite database that makes accepted frames durable and knows where each row is.

A row is in a frame or in a part. Frames and parts belong to a batch once it is sealed; until then they are open.
One writer owns the connection: everything that waits while a transaction runs shares the next one.
"""

from __future__ import annotations

import math
import os
import secrets
import shutil
import sqlite3
import time
from collections import defaultdict
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import outcome
import trio

from collector.errors import DataDirError, StorageError
from collector.store import statements
from collector.store.data_dir import DataDir
from collector.store.health import Health, write_scratch
from collector.store.opening import open_database
from collector.store.refusals import is_damage, is_loss, is_refusal, refusal
from collector.store.schema import FORMAT_VERSION
from collector.store.statements import Batch, Part, Run
from collector.store.wal import cut_behind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from collector.config import Retention
    from collector.store.frames import Frame
    from collector.store.statements import Cut, State

T = TypeVar("T")

# Rows answered 2xx under durability "process" reach the disk at least this often.
SYNC_INTERVAL = 1.0
# Free pages (of 4 KiB) that the file keeps for the next frames, and how many of the rest go a second (in 10 to 30 ms).
KEPT_PAGES = 16_384
VACUUMED_PAGES = 512
# Idempotency keys that are no longer needed are removed every so often, so many in a transaction (in some 5 ms).
KEYS_INTERVAL = 60.0
KEYS_AT_ONCE = 1_000
# Of the database with what is still in the log, in bytes.
_SIZE = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"


@dataclass(slots=True)
class Waiting:
    """What waits in a collector's open batch; and the rows that were accepted since the start."""

    accepted: int = 0
    rows: int = 0
    frame_rows: int = 0
    frame_bytes: int = 0
    changed: trio.Event = field(default_factory=trio.Event)

    def add(self, rows: int, size: int) -> None:
        """Count a new frame, and wake who waits for rows."""
        self.accepted += rows
        self.rows += rows
        self.frame_rows += rows
        self.frame_bytes += size
        self.changed.set()
        self.changed = trio.Event()

    def clear(self) -> None:
        """Count from nothing again; who waits for rows goes on waiting."""
        self.rows = self.frame_rows = self.frame_bytes = 0

    def cut(self, cut: Cut) -> None:
        """Take off what was sealed."""
        self.rows -= cut.rows
        self.frame_rows -= cut.frame_rows
        self.frame_bytes -= cut.frame_bytes


@dataclass(slots=True)
class _Order(Generic[T]):
    run: Callable[[sqlite3.Connection], T]
    apply: Callable[[T], None] | None
    done: trio.Event = field(default_factory=trio.Event)
    result: outcome.Outcome[T] | None = None


class Journal:
    """What has been accepted and what became of it; see open_journal.

    Every method returns once what it did is committed. Cancellation: all or nothing.
    Raises StorageError when the disk refuses; nothing is done then.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._health = Health()
        self._orders: list[_Order[Any]] = []
        self._ordered = trio.Event()
        self._thread = trio.CapacityLimiter(1)
        self._has_unsynced = False
        self._waiting: defaultdict[str, Waiting] = defaultdict(Waiting)
        self._buffered: defaultdict[str, int] = defaultdict(int)
        self._buffered_in_all = 0
        for collector, rows, size in statements.waiting_frames(connection):
            self._waiting[collector] = Waiting(rows=rows, frame_rows=rows, frame_bytes=size)
        for collector, rows in statements.waiting_parts(connection):
            self._waiting[collector].rows += rows
        for collector, size in statements.undelivered_bytes(connection):
            self._count_bytes(collector, size)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    # Frames in

    async def append(self, collector: str, frame: Frame, key: str = "", digest: str = "") -> int:
        """Keep ``frame`` and return the rows now waiting in the open batch.

        ``key`` is the request's idempotency key, ``digest`` that of its body: a key that is known keeps nothing again.
        Raises KeyReused when the key is known with another digest.
        """
        if self._health.is_losing:
            await trio.lowlevel.checkpoint()
            raise _nothing_kept(self.trouble)
        now = time.time()

        def keep(db: sqlite3.Connection) -> bool:
            if key and statements.is_key_known(db, collector, key, digest, now):
                return False
            statements.insert_frame(db, collector, frame, now)
            return True

        def count(is_new: bool) -> None:  # noqa: FBT001  (the result of keep)
            if is_new:
                self._waiting[collector].add(frame.rows, len(frame.body))
                self._count_bytes(collector, len(frame.body))

        if frame.rows:
            await self._execute(keep, count)
        else:
            await trio.lowlevel.checkpoint()
        return self._waiting[collector].rows

    def waiting(self, collector: str) -> Waiting:
        """Give what waits in the open batch of a collector."""
        return self._waiting[collector]

    def buffered_bytes(self, collector: str) -> int:
        """Give the bytes of a collector's rows that aren't delivered, in frames and in parts."""
        return self._buffered[collector]

    def buffering(self) -> list[str]:
        """Name the collectors that have rows which aren't delivered."""
        return [collector for collector, size in self._buffered.items() if size]

    @property
    def buffered_bytes_in_all(self) -> int:
        """The bytes of all rows that aren't delivered, in frames and in parts."""
        return self._buffered_in_all

    async def wait_for_rows(self, collector: str, rows: float) -> None:
        """Return once at least ``rows`` rows wait in the open batch."""
        while self._waiting[collector].rows < rows:
            await self._waiting[collector].changed.wait()
        await trio.lowlevel.checkpoint()

    async def wait_for_spill(self, collector: str, bounds: Callable[[], tuple[int, int]]) -> None:
        """Return once the frames of the open batch have as many rows, or bytes, as ``bounds`` gives at each new one."""
        while True:
            (rows, max_bytes), waiting = bounds(), self._waiting[collector]
            if waiting.frame_rows >= rows or waiting.frame_bytes >= max_bytes:
                break
            await waiting.changed.wait()
        await trio.lowlevel.checkpoint()

    # Frames to parts

    async def next_run(self, collector: str, batch: str | None, rows: int, max_bytes: int) -> Run | None:
        """Give the oldest frames of a batch (None: the open one), up to so many rows and bytes; None if none."""
        return await self._execute(lambda db: statements.find_run(db, collector, batch, rows, max_bytes))

    async def spill(self, run: Run, part: Part) -> bool:
        """Enter a part in the place of its frames; False, and nothing done, if a batch was sealed in their midst.

        Rows that are in the frames and not in the part, as they were damaged, count no longer.
        """

        def count(moved: tuple[bool, str | None]) -> None:
            if moved[0]:
                self._count_bytes(run.collector, part.size - run.size)
            if moved == (True, None):
                self._waiting[run.collector].rows -= run.rows - part.rows
                self._waiting[run.collector].frame_rows -= run.rows
                self._waiting[run.collector].frame_bytes -= run.size

        is_moved, _ = await self._execute(lambda db: statements.move_to_part(db, run, part), count)
        return is_moved

    # Batches

    async def seal(self, collector: str, batch_id: str, rows: float = math.inf) -> Batch | None:
        """Make a batch of the oldest open rows: whole frames until there are at least ``rows``; by default all of them.

        Returns None, and makes none, if no row waits, or less than ``rows``.
        """
        now = time.time()
        cut = await self._execute(
            lambda db: statements.seal(db, collector, batch_id, rows, now), self._waiting[collector].cut
        )
        return Batch(batch_id, collector, "sealed", cut.rows, cut.opened, cut.sealed) if cut.rows else None

    async def batches(self, collector: str, *states: State) -> list[Batch]:
        """Give the batches in one of these states, in the order in which they were sealed."""
        return await self._execute(lambda db: statements.select_batches(db, collector, states))

    async def parts(self, batch_id: str) -> list[Part]:
        """Give the parts of a batch in the order of their rows."""
        return await self._execute(lambda db: statements.select_parts(db, batch_id))

    async def drop_parts(self, batch: Batch, paths: list[str]) -> Batch:
        """Let go of those parts of a batch that can't be read; return it with the rows that are left."""
        rows, _ = await self._execute(
            lambda db: statements.drop_parts(db, batch, paths),
            lambda gone: self._count_bytes(batch.collector, -gone[1]),
        )
        return replace(batch, rows=batch.rows - rows)

    async def move_parts(self, new_paths: dict[str, str]) -> None:
        """Enter where parts are now, by their old paths."""
        await self._execute(lambda db: statements.move_parts(db, new_paths))

    async def mark(self, batch: Batch, state: State, **changes: Any) -> Batch:
        """Take a batch to a state, with what is now known of it: ``attempts``, ``outcome``, ``error``."""
        marked = replace(batch, state=state, **changes)
        await self._execute(lambda db: statements.update_batch(db, marked))
        return marked

    async def retry(self, collector: str) -> list[Batch]:
        """Take all failed batches of a collector back to ``sealed``; return them as they were."""
        return await self._execute(lambda db: statements.retry(db, collector))

    async def finish(self, batch: Batch) -> list[str]:
        """Take a batch to ``delivered``; its parts and its snapshot are kept until ``prune`` lets go of them.

        Returns the paths of the parts, for DataDir.mark_delivered.
        """
        now = time.time()
        paths, _ = await self._execute(
            lambda db: statements.finish(db, batch, now), lambda done: self._count_bytes(batch.collector, -done[1])
        )
        return paths

    async def prune(self, collector: str, retention: Retention) -> tuple[list[str], list[str]]:
        """Let go of the oldest delivered batches of a collector, beyond what is to be kept of them.

        Returns the paths of their parts and their ids: these parts and snapshots may then be removed.
        """
        now = time.time()
        return await self._execute(lambda db: statements.prune(db, collector, retention, now))

    # Clocks and logs

    async def clock(self, collector: str, start: float, *, is_kept: bool = True) -> float:
        """Give the Unix time at which a collector's trigger last fired; ``start``, and enter it, if it never did.

        One that isn't to be kept, as the trigger has no use for it, is forgotten.
        """
        return await self._execute(lambda db: statements.read_clock(db, collector, start, is_kept=is_kept))

    async def set_clock(self, collector: str, fired: float) -> None:
        """Enter when a collector's trigger last fired, in Unix seconds."""
        await self._execute(lambda db: db.execute("INSERT OR REPLACE INTO clock VALUES (?, ?)", (collector, fired)))

    async def log(self, collector: str, entry: dict[str, Any], keep: int) -> None:
        """Add to a collector's log and keep its last ``keep`` entries; all of them for 0 or less."""
        await self._execute(lambda db: statements.insert_log(db, collector, entry, keep))

    async def logs(self, collector: str) -> list[dict[str, Any]]:
        """Give a collector's log, newest first."""
        return await self._execute(lambda db: statements.select_logs(db, collector))

    async def prune_keys(self) -> None:
        """Forget idempotency keys that are too old or too many; runs until cancelled."""
        while True:
            await trio.sleep(KEYS_INTERVAL)
            with suppress(StorageError):  # it is in ``trouble``, and tried again
                await self._prune_keys()

    async def _prune_keys(self) -> None:
        """Forget them a few at a time, so that nobody's commit waits for long."""
        excess = await self._execute(partial(statements.count_excess_keys, now=time.time()))
        while excess > 0:
            count = min(KEYS_AT_ONCE, excess)
            await self._execute(partial(statements.delete_oldest_keys, count=count))
            excess -= count

    # Whole collectors, and what is on disk beside the journal

    async def mark_forgotten(self, collector: str) -> None:
        """Enter that a collector is to be forgotten, before its config is dropped: a crash between is made good."""
        await self._execute(lambda db: db.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (collector,)))

    async def unmark_forgotten(self, collector: str) -> None:
        """Enter that a collector stays."""
        await self._execute(lambda db: db.execute("DELETE FROM forgotten WHERE collector = ?", (collector,)))

    async def forgotten(self) -> list[str]:
        """Give the collectors that were to be forgotten when the process ended."""
        rows = await self._execute(lambda db: db.execute("SELECT collector FROM forgotten").fetchall())
        return [collector for (collector,) in rows]

    async def forget(self, collector: str) -> tuple[int, list[str], list[str]]:
        """Drop all that belongs to a collector; return its undelivered rows, its parts' paths, its batches' ids."""

        def count(_: object) -> None:
            self._waiting[collector].clear()
            self._count_bytes(collector, -self._buffered[collector])

        return await self._execute(lambda db: statements.forget(db, collector), count)

    async def known_files(self) -> tuple[set[str], set[str]]:
        """Give the paths of all parts, and the ids of the batches whose snapshot waits for delivery or is kept."""
        return await self._execute(statements.known_files)

    def _count_bytes(self, collector: str, size: int) -> None:
        """Count bytes that came, or went."""
        self._buffered[collector] += size
        self._buffered_in_all += size

    # The disk

    @property
    def trouble(self) -> str:
        """What is the matter with the disk; empty when it is sound."""
        return self._health.trouble

    async def wait_until_sound(self) -> None:
        """Return once the disk takes what is written."""
        await self._health.wait_until_sound()

    async def wait_out(self, refused: StorageError) -> None:
        """Take down what the disk refused to others, and return once it is sound."""
        self._health.note(str(refused))
        await self._health.wait_until_sound()

    async def tend(self) -> None:
        """Once a second bring to the disk what is committed, or find out if it is well again; until cancelled."""
        with _open_wal(self._path) as wal:
            while True:
                await trio.sleep(SYNC_INTERVAL)
                if self.trouble:
                    await self._try_again(wal)
                elif self._has_unsynced:
                    await self._sync(wal)
                if DataDir(self._path.parent).journal_mark.exists():  # a worker that read frames found it
                    raise self._broken

    async def _sync(self, wal: int) -> None:
        self._has_unsynced = False
        try:
            await trio.to_thread.run_sync(os.fsync, wal)
            await trio.to_thread.run_sync(self._give_back, wal, limiter=self._thread)
        except OSError as error:
            self._health.note(str(refusal(error, self._path.parent)), is_losing=True)
        except sqlite3.Error as error:
            self._told(error)

    def _give_back(self, wal: int) -> None:
        """Give back room that the journal doesn't need.

        A backlog that is gone leaves its room in the file, for long. And SQLite moves its log into the file at 4 MB,
        which on a disk with less than that left would come too late.
        """
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free > KEPT_PAGES:
            pages = min(free - KEPT_PAGES, VACUUMED_PAGES)
            self._connection.executescript(f"PRAGMA incremental_vacuum({pages})")  # execute() ends after a page
        (size,) = self._connection.execute(_SIZE).fetchone()
        room = shutil.disk_usage(self._path.parent).free
        if size - self._path.stat().st_size <= room < os.fstat(wal).st_size:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def _try_again(self, wal: int) -> None:
        try:
            await trio.to_thread.run_sync(self._give_back, wal, limiter=self._thread)
            await trio.to_thread.run_sync(write_scratch, self._path.parent)
            if self._health.is_losing:
                await trio.to_thread.run_sync(self._write_again, wal, limiter=self._thread)
            await self._execute(lambda db: db.execute(f"PRAGMA user_version = {FORMAT_VERSION}"))
        except (OSError, sqlite3.Error) as error:
            self._health.note(str(refusal(error, self._path.parent)))
        except StorageError as error:
            self._health.note(str(error))
        else:
            self._health.clear()

    def _write_again(self, wal: int) -> None:
        """Write what is committed to another place, and have it there: the database itself.

        A second fsync of the same pages proves nothing: the kernel takes those that it could not write for written
        (https://lwn.net/Articles/752063/). A checkpoint makes new ones of them, and raises if they don't get there.
        """
        is_busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise StorageError("the journal is being read; it is tried again")
        os.fsync(wal)

    # The writer

    async def write_orders(self) -> None:
        """Carry out what others order, a transaction at a time; runs until cancelled."""
        while True:
            await self._ordered.wait()
            self._ordered = trio.Event()
            orders, self._orders = self._orders, []
            await trio.to_thread.run_sync(self._transact, orders, limiter=self._thread)
            self._has_unsynced = True
            for order in orders:
                if isinstance(order.result, outcome.Error):
                    order.result = outcome.Error(self._told(order.result.error))
                elif order.apply is not None and isinstance(order.result, outcome.Value):
                    order.apply(order.result.value)
                order.done.set()

    def _told(self, error: BaseException) -> BaseException:
        """Translate what SQLite raised, and take it down if the disk is to blame; end with a journal that is broken."""
        if not isinstance(error, (sqlite3.Error, OSError)):
            return error
        if is_damage(error):
            DataDir(self._path.parent).journal_mark.touch(0o600)
            raise self._broken from error
        trouble = str(refusal(error, self._path.parent))
        if isinstance(error, OSError) or is_refusal(error):
            self._health.note(trouble, is_losing=is_loss(error))
        return _nothing_kept(trouble)

    @property
    def _broken(self) -> DataDirError:
        return DataDirError(f"the journal {self._path} is broken; start again, and what is sound in it is recovered")

    async def _execute(self, run: Callable[[sqlite3.Connection], T], apply: Callable[[T], None] | None = None) -> T:
        """Order a step of a transaction; ``apply`` takes its result to memory, in the order of the transactions."""
        order = _Order(run, apply)
        self._orders.append(order)
        self._ordered.set()
        await order.done.wait()
        assert order.result is not None  # noqa: S101  (the writer sets it before the event)
        return order.result.unwrap()

    def _transact(self, orders: list[_Order[Any]]) -> None:
        """Run all orders in one transaction; if one fails, each in its own, so that it fails alone."""
        tried = outcome.capture(self._try_together, orders)
        if isinstance(tried, outcome.Error):
            is_lost = is_loss(tried.error)
            for order in orders:
                if is_lost:
                    order.result = tried
                else:
                    self._try_alone(order)

    def _try_together(self, orders: list[_Order[Any]]) -> None:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                for order in orders:
                    order.result = outcome.Value(order.run(self._connection))
        except sqlite3.Error as error:
            if is_loss(error):
                self._overwrite()
            raise

    def _overwrite(self) -> None:
        """Put another commit in the log in the place of one whose fsync failed.

        It stands there whole, and is refused: after a crash it would be taken for one that was answered for.
        """
        mark = secrets.randbelow(2**31)
        (synchronous,) = self._connection.execute("PRAGMA synchronous").fetchone()
        self._connection.execute("PRAGMA synchronous = OFF")
        try:
            self._connection.execute(f"PRAGMA application_id = {mark}")
        finally:
            self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        cut_behind(self._path.with_name(self._path.name + "-wal"), mark)

    def _try_alone(self, order: _Order[Any]) -> None:
        tried = outcome.capture(self._try_together, [order])
        if isinstance(tried, outcome.Error):
            order.result = outcome.Error(tried.error)


def _nothing_kept(trouble: str) -> StorageError:
    return StorageError(f"{trouble}; nothing of the request was kept")


@contextmanager
def _open_wal(journal: Path) -> Iterator[int]:
    descriptor = os.open(journal.with_name(journal.name + "-wal"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@asynccontextmanager
async def open_journal(path: Path, durability: Literal["process", "power"] = "process") -> AsyncIterator[Journal]:
    """Open the journal, making it if there is none; what was committed before a crash is there.

    Raises DataDirError if the file is no journal, or one of a newer format.
    """
    journal = Journal(open_database(path, durability), path)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.write_orders)
            nursery.start_soon(journal.tend)
            nursery.start_soon(journal.prune_keys)
            yield journal
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        broken = _find_broken(group)
        if broken is None:
            raise
        raise broken from None
    finally:
        journal.close()


def _find_broken(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """Find among what ended the journal's tasks that it is broken: that alone is to be told."""
    found: BaseException | None = group.subgroup(DataDirError)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
