"""The journal: the SQLite database that makes accepted frames durable and knows where each row is.

A row is in a frame or in a part. Frames and parts belong to a batch once it is sealed; until then they are open.
One writer owns the connection: everything that waits while a transaction runs shares the next one.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import outcome
import trio

from collector.errors import DataDirError, KeyReused, StorageError
from collector.store.schema import FORMAT_VERSION, SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from collector.store.frames import Frame

T = TypeVar("T")
State = Literal["sealed", "evaluated", "delivered", "failed"]

# Rows answered 2xx under durability "process" reach the disk at least this often.
SYNC_INTERVAL = 1.0
KEPT_BATCHES = 100
KEPT_KEYS_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Part:
    """A parquet file of rows, by its path in the data directory."""

    path: str
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed, immutable set of rows; ``opened`` and ``sealed`` are its time window in Unix seconds."""

    id: str
    collector: str
    state: State
    rows: int
    opened: float
    sealed: float
    attempts: int = 0
    outcome: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """Frames that follow each other and are to become one part."""

    collector: str
    batch: str | None
    first: int
    last: int
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the open batch is cut: what goes, and when the first row of what stays came (0 if nothing stays)."""

    rows: int
    frame_rows: int
    frame_bytes: int
    opened: float
    last: int
    next_opened: float


@dataclass(slots=True)
class Waiting:
    """What waits in a collector's open batch."""

    rows: int = 0
    frame_rows: int = 0
    frame_bytes: int = 0
    opened: float = 0
    changed: trio.Event = field(default_factory=trio.Event)

    def add(self, rows: int, size: int, now: float) -> None:
        """Count a new frame, and wake who waits for rows."""
        if not self.rows:
            self.opened = now
        self.rows += rows
        self.frame_rows += rows
        self.frame_bytes += size
        self.changed.set()
        self.changed = trio.Event()


@dataclass(slots=True)
class _Order(Generic[T]):
    run: Callable[[sqlite3.Connection], T]
    apply: Callable[[T], None] | None
    done: trio.Event = field(default_factory=trio.Event)
    result: outcome.Outcome[T] | None = None


class Journal:
    """What has been accepted and what became of it; see open_journal."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._orders: list[_Order[Any]] = []
        self._ordered = trio.Event()
        self._thread = trio.CapacityLimiter(1)
        self._has_unsynced = False
        self._waiting: defaultdict[str, Waiting] = defaultdict(Waiting)
        self._count_waiting()

    # Frames in

    async def append(self, collector: str, frame: Frame, key: str = "", digest: str = "") -> int:
        """Keep ``frame``; return once it is durable, with the rows now waiting in the open batch.

        ``key`` is the request's idempotency key, ``digest`` that of its body: a key that is known keeps nothing again.
        Raises KeyReused when the key is known with another digest, StorageError when the disk refuses.
        Cancellation: all or nothing; rows count only once they are safe.
        """
        now = time.time()

        def insert(connection: sqlite3.Connection) -> bool:
            if key and _is_known(connection, collector, key, digest, now):
                return False
            connection.execute(
                "INSERT INTO frame(collector, format, rows, size, received, body) VALUES (?, ?, ?, ?, ?, ?)",
                (collector, frame.format, frame.rows, len(frame.body), now, frame.body),
            )
            return True

        def count(is_new: bool) -> None:  # noqa: FBT001  (the result of insert)
            if is_new:
                self._waiting[collector].add(frame.rows, len(frame.body), now)

        if frame.rows:
            await self._execute(insert, count)
        else:
            await trio.lowlevel.checkpoint()
        return self._waiting[collector].rows

    def waiting(self, collector: str) -> Waiting:
        """Give what waits in the open batch of a collector."""
        return self._waiting[collector]

    async def wait_for_rows(self, collector: str, rows: float) -> None:
        """Return once at least ``rows`` rows wait in the open batch."""
        while self._waiting[collector].rows < rows:
            await self._waiting[collector].changed.wait()
        await trio.lowlevel.checkpoint()

    async def wait_for_spill(self, collector: str, rows: int, max_bytes: int) -> None:
        """Return once the frames of the open batch have more rows or bytes than this."""
        while self._waiting[collector].frame_rows < rows and self._waiting[collector].frame_bytes < max_bytes:
            await self._waiting[collector].changed.wait()
        await trio.lowlevel.checkpoint()

    # Frames to parts

    async def next_run(self, collector: str, batch: str | None, rows: int, max_bytes: int) -> Run | None:
        """Give the oldest frames of a batch (None: the open one), up to about so many rows and bytes; None if none."""

        def select(connection: sqlite3.Connection) -> Run | None:
            found: list[int] = []
            taken = size = 0
            for seq, frame_rows, frame_size in connection.execute(
                "SELECT seq, rows, size FROM frame WHERE collector = ? AND batch IS ? ORDER BY seq", (collector, batch)
            ):
                if found and (taken + frame_rows > rows or size + frame_size > max_bytes):
                    break
                found.append(seq)
                taken, size = taken + frame_rows, size + frame_size
            return Run(collector, batch, found[0], found[-1], taken, size) if found else None

        return await self._execute(select)

    async def spill(self, run: Run, part: Part) -> bool:
        """Enter a part in the place of its frames; False, and nothing done, if a batch was sealed in their midst."""

        def move(connection: sqlite3.Connection) -> tuple[bool, str | None]:
            where = "collector = ? AND seq BETWEEN ? AND ?"
            frames = (run.collector, run.first, run.last)
            batches = connection.execute(f"SELECT DISTINCT batch FROM frame WHERE {where}", frames).fetchall()
            if len(batches) != 1:
                return False, None
            connection.execute(
                "INSERT INTO part SELECT ?, collector, batch, ?, ?, MIN(seq), MIN(received) FROM frame "
                f"WHERE {where}",
                (part.path, part.rows, part.size, *frames),
            )
            connection.execute(f"DELETE FROM frame WHERE {where}", frames)
            return True, batches[0][0]

        def count(moved: tuple[bool, str | None]) -> None:
            if moved == (True, None):
                self._waiting[run.collector].frame_rows -= run.rows
                self._waiting[run.collector].frame_bytes -= run.size

        is_moved, _ = await self._execute(move, count)
        return is_moved

    # Batches

    async def seal(self, collector: str, batch_id: str, rows: float = math.inf) -> Batch | None:
        """Make a batch of the oldest open rows: whole frames until there are at least ``rows``, or all of them.

        Returns None, and makes none, if no row waits.
        """
        now = time.time()

        def cut(connection: sqlite3.Connection) -> Cut:
            found = _find_cut(connection, collector, rows)
            if found.rows:
                _enter_batch(connection, Batch(batch_id, collector, "sealed", found.rows, found.opened, now), found.last)
            return found

        def count(found: Cut) -> None:
            waiting = self._waiting[collector]
            waiting.rows -= found.rows
            waiting.frame_rows -= found.frame_rows
            waiting.frame_bytes -= found.frame_bytes
            waiting.opened = found.next_opened

        found = await self._execute(cut, count)
        return Batch(batch_id, collector, "sealed", found.rows, found.opened, now) if found.rows else None

    async def batches(self, collector: str, *states: State) -> list[Batch]:
        """Give the batches in one of these states, oldest first."""
        marks = ", ".join("?" * len(states))
        query = f"SELECT * FROM batch WHERE collector = ? AND state IN ({marks}) ORDER BY id"  # noqa: S608
        return await self._execute(lambda c: [_batch(row) for row in c.execute(query, (collector, *states))])

    async def batch(self, batch_id: str) -> Batch | None:
        """Give one batch."""

        def select(connection: sqlite3.Connection) -> Batch | None:
            row = connection.execute("SELECT * FROM batch WHERE id = ?", (batch_id,)).fetchone()
            return _batch(row) if row else None

        return await self._execute(select)

    async def parts(self, batch_id: str) -> list[Part]:
        """Give the parts of a batch in the order of their rows."""
        query = "SELECT path, rows, size FROM part WHERE batch = ? ORDER BY first_seq"
        return await self._execute(lambda c: [Part(*row) for row in c.execute(query, (batch_id,))])

    async def move_parts(self, batch_id: str, new_paths: dict[str, str]) -> None:
        """Enter where the parts of a batch are now."""
        moved = [(new, old, batch_id) for old, new in new_paths.items()]
        await self._execute(lambda c: c.executemany("UPDATE part SET path = ? WHERE path = ? AND batch = ?", moved))

    async def mark(self, batch: Batch, state: State, **changes: Any) -> Batch:
        """Take a batch to a state, with what is now known of it: ``attempts``, ``outcome``, ``error``."""
        values = {"attempts": batch.attempts, "outcome": batch.outcome, "error": batch.error, **changes}
        row = (state, values["attempts"], json.dumps(values["outcome"]), values["error"], batch.id)
        await self._execute(
            lambda c: c.execute("UPDATE batch SET state = ?, attempts = ?, outcome = ?, error = ? WHERE id = ?", row)
        )
        return Batch(batch.id, batch.collector, state, batch.rows, batch.opened, batch.sealed, **values)

    async def finish(self, batch: Batch) -> list[str]:
        """Take a batch to ``delivered`` and let go of its parts; return their paths, which may then be removed."""

        def release(connection: sqlite3.Connection) -> list[str]:
            paths = [path for (path,) in connection.execute("SELECT path FROM part WHERE batch = ?", (batch.id,))]
            connection.execute("DELETE FROM part WHERE batch = ?", (batch.id,))
            connection.execute("UPDATE batch SET state = 'delivered', error = '' WHERE id = ?", (batch.id,))
            connection.execute(
                "DELETE FROM batch WHERE collector = ? AND state = 'delivered' AND id NOT IN "
                "(SELECT id FROM batch WHERE collector = ? AND state = 'delivered' ORDER BY id DESC LIMIT ?)",
                (batch.collector, batch.collector, KEPT_BATCHES),
            )
            return paths

        return await self._execute(release)

    # Clocks and logs

    async def clock(self, collector: str, start: float) -> float:
        """Give the Unix time at which a collector's trigger last fired; ``start``, and enter it, if it never did."""

        def read(connection: sqlite3.Connection) -> float:
            connection.execute("INSERT OR IGNORE INTO clock VALUES (?, ?)", (collector, start))
            return float(connection.execute("SELECT fired FROM clock WHERE collector = ?", (collector,)).fetchone()[0])

        return await self._execute(read)

    async def set_clock(self, collector: str, fired: float) -> None:
        """Enter when a collector's trigger last fired, in Unix seconds."""
        await self._execute(lambda c: c.execute("INSERT OR REPLACE INTO clock VALUES (?, ?)", (collector, fired)))

    async def log(self, collector: str, entry: dict[str, Any], keep: int) -> None:
        """Add to a collector's log and keep its last ``keep`` entries; all of them for 0 or less."""

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO log(collector, entry) VALUES (?, ?)", (collector, json.dumps(entry)))
            if keep > 0:
                connection.execute(
                    "DELETE FROM log WHERE collector = ? AND seq NOT IN "
                    "(SELECT seq FROM log WHERE collector = ? ORDER BY seq DESC LIMIT ?)",
                    (collector, collector, keep),
                )

        await self._execute(insert)

    async def logs(self, collector: str) -> list[dict[str, Any]]:
        """Give a collector's log, newest first."""
        query = "SELECT entry FROM log WHERE collector = ? ORDER BY seq DESC"
        return await self._execute(lambda c: [json.loads(entry) for (entry,) in c.execute(query, (collector,))])

    # Whole collectors and files

    async def forget(self, collector: str) -> tuple[int, list[str]]:
        """Drop all that belongs to a collector; return the undelivered rows that went and the paths of their parts."""

        def delete(connection: sqlite3.Connection) -> tuple[int, list[str]]:
            paths = [path for (path,) in connection.execute("SELECT path FROM part WHERE collector = ?", (collector,))]
            rows = connection.execute(
                "SELECT (SELECT TOTAL(rows) FROM frame WHERE collector = ?1) + "
                "(SELECT TOTAL(rows) FROM part WHERE collector = ?1)",
                (collector,),
            ).fetchone()[0]
            for table in ("frame", "part", "batch", "clock", "log", "idempotency"):
                connection.execute(f"DELETE FROM {table} WHERE collector = ?", (collector,))  # noqa: S608
            return int(rows), paths

        def count(_: object) -> None:
            self._waiting[collector] = Waiting()

        return await self._execute(delete, count)

    async def known_files(self) -> tuple[set[str], set[str]]:
        """Give the paths of all parts, and the ids of the batches whose snapshot waits for delivery."""

        def select(connection: sqlite3.Connection) -> tuple[set[str], set[str]]:
            parts = {path for (path,) in connection.execute("SELECT path FROM part")}
            return parts, {id_ for (id_,) in connection.execute("SELECT id FROM batch WHERE state = 'evaluated'")}

        return await self._execute(select)

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
                if order.apply is not None and isinstance(order.result, outcome.Value):
                    order.apply(order.result.value)
                order.done.set()

    async def sync_regularly(self, wal: Path) -> None:
        """Bring what is committed to the disk at least every second; runs until cancelled."""
        descriptor = os.open(wal, os.O_RDWR)
        try:
            while True:
                await trio.sleep(SYNC_INTERVAL)
                if self._has_unsynced:
                    self._has_unsynced = False
                    await trio.to_thread.run_sync(os.fsync, descriptor)
        finally:
            os.close(descriptor)

    async def _execute(self, run: Callable[[sqlite3.Connection], T], apply: Callable[[T], None] | None = None) -> T:
        order = _Order(run, apply)
        self._orders.append(order)
        self._ordered.set()
        await order.done.wait()
        assert order.result is not None  # noqa: S101  (the writer sets it before the event)
        return order.result.unwrap()

    def _transact(self, orders: list[_Order[Any]]) -> None:
        """Run all orders in one transaction; if one fails, each in its own, so that it fails alone."""
        try:
            self._try_together(orders)
        except (sqlite3.Error, KeyReused):
            for order in orders:
                self._try_alone(order)

    def _try_together(self, orders: list[_Order[Any]]) -> None:
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for order in orders:
                order.result = outcome.Value(order.run(self._connection))

    def _try_alone(self, order: _Order[Any]) -> None:
        try:
            self._try_together([order])
        except sqlite3.Error as error:
            order.result = outcome.Error(_storage_error(error))
        except KeyReused as error:
            order.result = outcome.Error(error)

    def _count_waiting(self) -> None:
        where = "WHERE batch IS NULL GROUP BY collector"
        for collector, rows, size, opened in self._connection.execute(
            f"SELECT collector, SUM(rows), SUM(size), MIN(received) FROM frame {where}"  # noqa: S608
        ):
            self._waiting[collector] = Waiting(rows, rows, size, opened)
        for collector, rows, opened in self._connection.execute(
            f"SELECT collector, SUM(rows), MIN(opened) FROM part {where}"  # noqa: S608
        ):
            self._waiting[collector].rows += rows
            self._waiting[collector].opened = opened


@asynccontextmanager
async def open_journal(path: Path, durability: Literal["process", "power"] = "process") -> AsyncIterator[Journal]:
    """Open the journal, making it if there is none; what was committed before a crash is there.

    Raises DataDirError if the file is no journal, or one of a newer format.
    """
    connection = _connect(path, durability)
    try:
        journal = Journal(connection)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.write_orders)
            nursery.start_soon(journal.sync_regularly, path.with_name(path.name + "-wal"))
            yield journal
            nursery.cancel_scope.cancel()
    finally:
        connection.close()


def _connect(path: Path, durability: str) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # what SQLite puts beside it has its mode
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
        _check_format(connection, path)
    except (sqlite3.Error, OSError) as error:
        raise DataDirError(f"the journal {path} can't be opened: {error}; move it away to begin a new one") from error
    return connection


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT_VERSION:
        raise DataDirError(
            f"the journal {path} has format {version}, this version knows up to {FORMAT_VERSION}; "
            "use the version that wrote it, or a newer one"
        )
    if version == 0:
        connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {FORMAT_VERSION}; COMMIT;")
    else:
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")  # a write, so that the -wal file is there


def _is_known(connection: sqlite3.Connection, collector: str, key: str, digest: str, now: float) -> bool:
    known = connection.execute("SELECT digest FROM idempotency WHERE collector = ? AND key = ?", (collector, key))
    row = known.fetchone()
    if row is None:
        connection.execute("DELETE FROM idempotency WHERE at < ?", (now - KEPT_KEYS_SECONDS,))
        connection.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?)", (collector, key, digest, now))
        return False
    if row[0] != digest:
        raise KeyReused(f"the idempotency key '{key}' came before with another body; give each request its own")
    return True


def _find_cut(connection: sqlite3.Connection, collector: str, rows: float) -> Cut:
    """Find the end of a batch of at least ``rows`` rows: its parts, which are the oldest, then whole frames."""
    where = "WHERE collector = ? AND batch IS NULL"
    total, opened = connection.execute(f"SELECT TOTAL(rows), MIN(opened) FROM part {where}", (collector,)).fetchone()
    total = int(total)
    frame_rows = frame_bytes = last = 0
    frames = connection.execute(f"SELECT seq, rows, size, received FROM frame {where} ORDER BY seq", (collector,))
    for seq, count, size, received in frames:
        if total >= rows:
            return Cut(total, frame_rows, frame_bytes, opened, last, received)
        total, frame_rows, frame_bytes = total + count, frame_rows + count, frame_bytes + size
        opened, last = opened or received, seq
    return Cut(total, frame_rows, frame_bytes, opened or 0, last, 0)


def _enter_batch(connection: sqlite3.Connection, batch: Batch, last: int) -> None:
    open_rows = "WHERE collector = ? AND batch IS NULL"
    connection.execute(f"UPDATE part SET batch = ? {open_rows}", (batch.id, batch.collector))
    connection.execute(f"UPDATE frame SET batch = ? {open_rows} AND seq <= ?", (batch.id, batch.collector, last))
    connection.execute(
        "INSERT INTO batch(id, collector, state, rows, opened, sealed) VALUES (?, ?, ?, ?, ?, ?)",
        (batch.id, batch.collector, batch.state, batch.rows, batch.opened, batch.sealed),
    )


def _batch(row: tuple[Any, ...]) -> Batch:
    id_, collector, state, rows, opened, sealed, attempts, result, error = row
    return Batch(id_, collector, state, rows, opened, sealed, attempts, json.loads(result), error)


def _storage_error(error: sqlite3.Error) -> StorageError:
    return StorageError(f"the journal can't be written: {error}; nothing of the request was kept")
