"""The journal: the SQLite database that makes accepted frames durable and knows where each row is.

A row is in a frame or in a part. A part takes the place of its frames in one transaction; they are then removed a few
at a time, and whatever looks at frames meanwhile passes them over. Frames and parts belong to a batch once it is
sealed; until then they are open.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections import defaultdict
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import trio

from collector.config import Idempotency
from collector.config.labels import MAIN
from collector.disk.health import Health
from collector.errors import DataDirError, StorageError
from collector.fault_points import reach
from collector.formats.stored import StoredBody
from collector.store.alerts import AlertBook
from collector.store.body_files import BodyFiles
from collector.store.connect import reading
from collector.store.halves import Books, HalfBook
from collector.store.identity import Identity
from collector.store.inspection import inspect
from collector.store.labels import LabelBook
from collector.store.opening import open_database
from collector.store.records import Batch
from collector.store.references import ReferenceBook
from collector.store.steps import (
    alerts,
    batches,
    collectors,
    columns,
    frames,
    keys,
    labels,
    parts,
    positions,
    references,
    snapshots,
    windows,
)
from collector.store.steps.whole import take_whole
from collector.store.streams import collector_of, is_labels, labels_of
from collector.store.tending import Tending
from collector.store.unsynced import Unsynced
from collector.store.writer import SMALL_STEP, Writer, nothing_kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from collector.config import Retention
    from collector.config.reference_from import ReferenceFrom
    from collector.formats.frames import Frame
    from collector.store.alerts import Listener
    from collector.store.data_dir import DataDir
    from collector.store.records import (
        Cut,
        Fetched,
        NewColumns,
        Offsets,
        Part,
        Range,
        Reading,
        Run,
        SegmentMade,
        Snapshot,
        State,
        Taken,
        Verdict,
        Whole,
    )
    from collector.store.steps.batches import Naming
    from collector.store.steps.keys import Key
    from collector.store.writer import Order

T = TypeVar("T")
_in_thread = trio.to_thread.run_sync

# Seconds between times when old idempotency keys are dropped.
KEYS_INTERVAL = 60.0


@dataclass(slots=True)
class Waiting:
    """What waits in a collector's open batch; and the rows accepted since the start, into it or as whole batches."""

    accepted: int = 0
    accepted_whole: int = 0
    rows: int = 0
    frames: int = 0
    frame_rows: int = 0
    frame_bytes: int = 0
    _waiters: list[tuple[Callable[[Waiting], bool], trio.Event]] = field(default_factory=list)

    @property
    def accepted_in_all(self) -> int:
        """The rows accepted since the start, either way."""
        return self.accepted + self.accepted_whole

    def add(self, rows: int, size: int) -> None:
        """Count a new frame, and wake those for whom there are enough rows now."""
        self.accepted += rows
        self.rows += rows
        self.frames += 1
        self.frame_rows += rows
        self.frame_bytes += size
        for is_enough, event in self._waiters:
            if is_enough(self):
                event.set()

    async def wait_until(self, is_enough: Callable[[Waiting], bool]) -> None:
        """Return once there is enough, which is checked at each new frame."""
        while not is_enough(self):
            waiter = is_enough, trio.Event()
            self._waiters.append(waiter)
            try:
                await waiter[1].wait()
            finally:
                self._waiters.remove(waiter)
        await trio.lowlevel.checkpoint()

    def add_all(self, other: Waiting) -> None:
        """Count what another counts, too: its rows come here."""
        self.accepted += other.accepted
        self.accepted_whole += other.accepted_whole
        self.rows += other.rows
        self.frames += other.frames
        self.frame_rows += other.frame_rows
        self.frame_bytes += other.frame_bytes

    def clear(self) -> None:
        """Count from zero again; those who wait for rows go on waiting."""
        self.rows = self.frames = self.frame_rows = self.frame_bytes = 0

    def cut(self, cut: Cut) -> None:
        """Subtract what was sealed."""
        self.rows -= cut.rows
        self.frames -= cut.frames
        self.frame_rows -= cut.frame_rows
        self.frame_bytes -= cut.frame_bytes


class Journal:
    """Accepted events and what became of them; see open_journal.

    Every method returns once what it did is committed. Cancellation: all or nothing.
    Raises StorageError when the disk refuses; nothing is done then.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        data_dir: DataDir,
        writer: Writer,
        health: Health,
        unsynced: Unsynced,
    ) -> None:
        self._data_dir = data_dir
        self._writer = writer
        self._health = health
        self._unsynced = unsynced
        self.body_files = unsynced.body_files
        self._reading = trio.CapacityLimiter(1)
        self._looking_back = trio.CapacityLimiter(1)
        self._unswept = parts.unswept(connection)
        self._secret = keys.read_secret(connection)
        self._dropped_keys: dict[str, float] = {}
        self._columns = columns.read_columns(connection)
        self._listener: Listener | None = None
        self.alerts = AlertBook(writer)
        self.labels = LabelBook(connection, data_dir, writer, self.buffered_bytes, self._count_bytes)
        self.references = ReferenceBook(writer)
        self._renamed = collectors.read_renamed(connection)
        self._waiting: defaultdict[str, Waiting] = defaultdict(Waiting)
        self._buffered: defaultdict[str, int] = defaultdict(int)
        self._buffered_in_all = 0
        for collector, batch, number, rows, size in frames.count_frames(connection):
            self._count_bytes(collector, size)
            if batch is None:
                self._waiting[collector] = Waiting(rows=rows, frames=number, frame_rows=rows, frame_bytes=size)
        for collector, batch, rows, size in parts.count_parts(connection):
            self._count_bytes(collector, size)
            if batch is None:
                self._waiting[collector].rows += rows
        books = Books(self._count_frame, self._count_bytes, self._check_disk, self._dropped_keys)
        self.halves = HalfBook(connection, writer, self._secret, books)

    # Frames in

    def order_append(  # noqa: PLR0913  (a frame, how a request's repetition is known, and who follows)
        self, collector: str, frame: Frame, key: str, digest: str, kept: Idempotency, followers: Sequence[str]
    ) -> Order[bool]:
        """Order that ``frame`` be kept, and tell whether it is new; what is ordered together is one transaction.

        ``key`` is the request's idempotency key, ``digest`` that of its body: a key that is known keeps nothing again.
        KeyReused is raised when the key is known with another digest. ``followers`` get the frame too, if it is new.
        """
        self._check_disk()
        now, size = time.time(), len(frame.body) if isinstance(frame.body, bytes) else 0
        takers = (collector, *followers) if frame.rows else ()
        rows = [frames.frame_row(taker, frame, now) for taker in takers]

        def count(is_new: bool) -> None:  # noqa: FBT001  (whether it is kept)
            if is_new and takers:
                self._count_frame(takers, frame)

        if key:
            keep = self._keep_once(collector, rows, keys.key_of(self._secret, key, digest), kept, now)
            return self._writer.order(keep, count, size * len(takers))
        if not rows:
            return self._writer.order(lambda _: True, count, 0)
        return self._writer.order(None, count, size * len(takers), rows)

    def _check_disk(self) -> None:
        if self._health.is_losing:
            raise nothing_kept(self.trouble)

    def _keep_once(
        self, collector: str, rows: Sequence[tuple[Any, ...]], key: Key, kept: Idempotency, now: float
    ) -> Callable[[sqlite3.Connection], bool]:
        def keep(db: sqlite3.Connection) -> bool:
            if keys.is_key_known(db, collector, key, now - kept.seconds):
                return False
            if age := keys.keep_key(db, collector, key, kept, now):
                self._dropped_keys[collector] = age
            db.executemany(frames.INSERT_FRAME, rows)
            return True

        return keep

    def columns(self, collector: str) -> NewColumns | None:
        """Return the column names of a collector's open batch that were kept before the start."""
        return self._columns.pop(collector, None)

    def order_columns(self, collector: str, new: NewColumns, apply: Callable[[None], None]) -> None:
        """Order that new columns of a collector's open batch be kept; ``apply`` is called once they are."""
        self._writer.order(lambda db: columns.keep_columns(db, collector, new), apply, len(new.names))

    def commit(self) -> bool:
        """Carry out the orders at once if they are quick; return whether they are done, or have to be waited for."""
        return self._writer.commit()

    def _count_frame(self, takers: Sequence[str], frame: Frame) -> None:
        size = len(frame.body)
        if isinstance(frame.body, StoredBody):
            self._unsynced.add_body(frame.body.path.name)
        for taker in takers:
            self._waiting[taker].add(frame.rows, size)
            self._count_bytes(taker, size)

    def waiting(self, collector: str) -> Waiting:
        """Return what waits in the open batch of a collector."""
        return self._waiting[collector]

    def buffered_bytes(self, collector: str) -> int:
        """Return the bytes of a collector's rows that aren't delivered, in frames and in parts."""
        return self._buffered[collector]

    def buffering(self) -> list[str]:
        """Name the collectors that have rows which aren't delivered, or labels."""
        return list(dict.fromkeys(collector_of(stream) for stream, size in self._buffered.items() if size))

    @property
    def buffered_bytes_in_all(self) -> int:
        """The bytes of all events that aren't delivered, in frames and in parts."""
        return self._buffered_in_all

    async def wait_for_rows(self, collector: str, rows: float) -> None:
        """Return once at least ``rows`` rows wait in the open batch."""
        await self._waiting[collector].wait_until(lambda waiting: waiting.rows >= rows)

    async def wait_for_frames(self, stream: str, rows: float) -> None:
        """Return once at least ``rows`` rows of a stream are in no part yet."""
        await self._waiting[stream].wait_until(lambda waiting: waiting.frame_rows >= rows)

    async def wait_for_spill(self, collector: str, bounds: Callable[[], tuple[int, int]]) -> None:
        """Return once the open batch has many frames, or the rows or bytes that ``bounds`` gives at each new one."""

        def is_enough(waiting: Waiting) -> bool:
            rows, max_bytes = bounds()
            return waiting.frames >= parts.MAX_FRAMES or waiting.frame_rows >= rows or waiting.frame_bytes >= max_bytes

        await self._waiting[collector].wait_until(is_enough)

    # Frames to parts

    async def next_run(self, collector: str, batch: str | None, rows: int, max_bytes: int) -> Run | None:
        """Return the oldest frames of a batch (None: the open one), up to ``rows`` and ``max_bytes``; None if none."""
        await self._sweep(collector)  # a cancelled call may have left some

        def find(db: sqlite3.Connection) -> Run | None:
            return parts.find_run(db, collector, batch, rows, max_bytes)

        def find_beside() -> Run | None:
            with reading(self._data_dir.journal) as db:
                return find(db)

        try:  # it takes up to 30 ms; others can commit meanwhile
            return await _in_thread(find_beside, limiter=self._reading)
        except StorageError:  # if the error comes again, the writer knows what to do
            return await self._writer.execute(find)

    async def spill(self, run: Run, *made: Part) -> bool:
        """Enter parts in place of their frames; False, and nothing done, if a batch was sealed in their midst.

        Rows that are in the frames and not in the parts, as they were damaged, count no longer.
        """
        rows, size = sum(part.rows for part in made), sum(part.size for part in made)

        def count(moved: tuple[bool, str | None]) -> None:
            if moved[0]:
                self._count_bytes(run.collector, size - run.size)
            if moved == (True, None):
                self._waiting[run.collector].rows -= run.rows - rows
                self._waiting[run.collector].frames -= run.frames
                self._waiting[run.collector].frame_rows -= run.rows
                self._waiting[run.collector].frame_bytes -= run.size

        now = time.time()

        def move(db: sqlite3.Connection) -> tuple[bool, str | None]:
            moved = parts.move_to_part(db, run, *made)
            if moved[0]:
                labels.enter_label_part(db, run, made[0], now)
            return moved

        is_moved, _ = await self._writer.execute(move, count, SMALL_STEP)
        reach("moved")
        if is_moved:
            await self._sweep(run.collector)
        return is_moved

    async def sweep(self) -> None:
        """Remove the frames that a crash has left though they are in parts."""
        for collector in self._unswept:
            await self._sweep(collector)

    async def _sweep(self, collector: str) -> None:
        """Remove frames of a collector that are in parts; a few at a time, so that no commit has to wait for long."""
        # the journal's ``trouble`` tells it; the rest goes with the next part, or after a restart
        with suppress(StorageError):
            while True:
                bodies = await self._writer.execute(lambda db: parts.sweep(db, collector), size=SMALL_STEP)
                if bodies is None:
                    return
                self._unsynced.add_left(bodies)
                reach("swept")

    # Batches

    async def seal(
        self,
        collector: str,
        named: str | Naming,
        rows: float = math.inf,
        wait: float | None = None,
        at: float | None = None,
    ) -> Batch | None:
        """Make a batch of the oldest open rows: whole frames until there are at least ``rows``; by default all of them.

        It waits ``wait`` seconds for labels; None: for none. ``at`` is when it is said to be sealed, by default now.
        Returns None, and makes none, if no row waits, or fewer than ``rows``.
        """
        now = round(time.time(), 3) if at is None else at  # it is published as text, in milliseconds

        def seal(db: sqlite3.Connection) -> Cut:
            cut = batches.seal(db, collector, named, rows, now)
            labels.await_labels(db, cut.batch, wait, now)
            return cut

        cut = await self._writer.execute(seal, self._waiting[collector].cut)
        return Batch(cut.batch, collector, "sealed", cut.rows, cut.opened, cut.sealed) if cut.rows else None

    # Events that are read from a log

    async def keep_fetched(self, collector: str, fetched: Sequence[Fetched], reached: Offsets) -> None:
        """Keep frames that were read from a log and how far they were read, both or none."""

        def count(_: None) -> None:
            for one in fetched:
                self._count_frame((collector,), one.frame)

        size = sum(len(one.frame.body) for one in fetched) + SMALL_STEP
        await self._writer.execute(lambda db: positions.keep_fetched(db, collector, fetched, reached), count, size)

    async def reading(self, collector: str) -> tuple[str, Reading | None]:
        """Return this journal's name, and how far a collector's events were read; None if they never were."""
        return await self._writer.execute(
            lambda db: (positions.read_writer(db), positions.read_positions(db, collector))
        )

    async def ranges(self, batch: str) -> list[Range]:
        """Return where the events of a batch are in the log that they were read from."""
        return await self._writer.execute(lambda db: positions.batch_ranges(db, batch))

    async def skip_open(self, collector: str) -> None:
        """Let the open batch begin where reading stands now, as nothing before that is left to read."""
        skip = "UPDATE position SET first = next WHERE collector = ?"
        await self._writer.execute(lambda db: db.execute(skip, (collector,)))

    async def begin_at(self, collector: str, offsets: Offsets, published: Sequence[str]) -> tuple[list[str], list[str]]:
        """Drop a collector's undelivered events, which are to be read again, from these offsets.

        Batches that are ``published`` as undelivered come again, even if they were delivered here. Events that were
        posted, before the collector fetched any, are sealed.
        Returns the paths of parts and the ids of batches that are gone: their files may be removed.
        """

        def count(done: tuple[list[str], list[str], int]) -> None:
            self._waiting[collector].clear()
            self._columns.pop(collector, None)
            self._count_bytes(collector, -done[2])

        now = time.time()
        paths, ids, _ = await self._writer.execute(
            lambda db: positions.begin_at(db, collector, offsets, published, now), count
        )
        return paths, ids

    async def take_whole(self, whole: Whole, frame: Frame, wait: float | None = None) -> Taken:
        """Make a batch of a frame, sealed at once beside the open one, unless it is known; tell which it is.

        It waits ``wait`` seconds for labels; None: for none.
        Raises NotReady if it is to replace one that isn't delivered yet.
        """
        now = time.time()

        def count(taken: Taken) -> None:
            if not taken.is_new:
                return
            if isinstance(frame.body, StoredBody):
                self._unsynced.add_body(frame.body.path.name)
            self._waiting[whole.collector].accepted_whole += frame.rows
            self._count_bytes(whole.collector, len(frame.body) - sum(one.size for one in taken.replaced))

        def take(db: sqlite3.Connection) -> Taken:
            taken = take_whole(db, whole, frame, now)
            if taken.is_new:
                labels.await_labels(db, taken.batch, wait, now)
            return taken

        return await self._writer.execute(take, count)

    async def last_open_frame(self, collector: str) -> int:
        """Return the number of the newest open frame that is in no part; 0 if there is none."""
        return await self._writer.execute(lambda db: windows.last_open_frame(db, collector))

    async def has_open_frames(self, collector: str, upto: int) -> bool:
        """Tell whether open frames up to a number are in no part."""
        return await self._writer.execute(lambda db: windows.has_open_frames(db, collector, upto))

    async def open_windows(self, collector: str, first: float) -> list[float]:
        """Return the starts of the windows of event time that have open parts; ``first`` is the first that is open."""
        return await self._writer.execute(lambda db: windows.open_windows(db, collector, first))

    async def move_window(self, collector: str, start: float, to: float) -> None:
        """Move the open parts of a window to another window."""
        await self._writer.execute(lambda db: windows.move_window(db, collector, start, to))

    async def seal_window(
        self,
        collector: str,
        batch_id: str,
        window: tuple[float, float],
        open_from: tuple[float, float],
        wait: float | None = None,
    ) -> Batch | None:
        """Make a batch of the open parts of a window; in the same step the windows open from another moment on.

        ``open_from`` is that moment as it was, and as it is to be. The batch waits ``wait`` seconds for labels; None:
        for none. Returns None if the window has no rows.
        """
        now = time.time()

        def seal(db: sqlite3.Connection) -> Cut:
            cut = windows.seal_window(db, collector, batch_id, window, open_from, now)
            labels.await_labels(db, batch_id, wait, now)
            return cut

        cut = await self._writer.execute(seal, self._waiting[collector].cut)
        if not cut.rows:
            return None
        sealed = Batch(batch_id, collector, "sealed", cut.rows, cut.opened, cut.sealed)
        return replace(sealed, start=window[0], end=window[1])

    async def batches(self, collector: str, *states: State) -> list[Batch]:
        """Return the batches in one of these states, in the order in which they were sealed."""
        return await self._writer.execute(lambda db: batches.select_batches(db, collector, states))

    async def find_batch(self, batch_id: str) -> Batch | None:
        """Return a batch as it is now; None if it is gone."""
        return await self._writer.execute(lambda db: batches.find_batch(db, batch_id))

    async def parts(self, batch_id: str) -> list[Part]:
        """Return the parts of a batch in the order of their rows."""
        return await self._writer.execute(lambda db: parts.select_parts(db, batch_id))

    async def drop_parts(self, batch: Batch, paths: list[str]) -> Batch:
        """Drop those parts of a batch that can't be read; return it with the rows that are left."""

        def drop(db: sqlite3.Connection) -> tuple[int, int]:
            labels.forget_keys(db, batch.id)  # the rows behind them have moved
            return parts.drop_parts(db, batch, paths)

        def count(gone: tuple[int, int]) -> None:
            if batch.state != "delivered":  # delivered parts aren't counted
                self._count_bytes(batch.collector, -gone[1])

        rows, _ = await self._writer.execute(drop, count)
        return replace(batch, rows=batch.rows - rows)

    async def move_parts(self, new_paths: dict[str, str]) -> None:
        """Enter where parts are now, by their old paths."""
        await self._writer.execute(lambda db: parts.move_parts(db, new_paths))

    async def mark(self, batch: Batch, state: State, **changes: Any) -> Batch:
        """Change a batch's state, and what is known of it: ``attempts``, ``outcome``, ``error``."""
        marked = replace(batch, state=state, **changes)
        await self._change(batch, lambda db: batches.update_batch(db, marked))
        return marked

    async def keep_outcome(
        self,
        batch: Batch,
        outcome: dict[str, Any],
        verdict: Verdict,
        kept: int,
        segments: Sequence[SegmentMade] = (),
    ) -> None:
        """Take a batch to ``evaluated``, and enter its snapshots; those of a collector's last ``kept`` batches stay."""
        marked, now = replace(batch, state="evaluated", outcome=outcome), time.time()

        def enter(db: sqlite3.Connection) -> None:
            batches.update_batch(db, marked)
            if not batch.is_backfill:  # the past doesn't change the trend
                snapshots.insert_made(db, batch, verdict, now, kept)
                snapshots.insert_segments(db, batch, segments, now)

        await self._change(batch, enter)

    async def keep_empty(self, batch: Batch, kept: int) -> list[str]:
        """Take a batch to ``delivered`` that has no row to report; return the paths of its parts as ``finish`` does."""
        now = time.time()

        def enter(db: sqlite3.Connection) -> tuple[list[str], int]:
            snapshots.insert_empty(db, batch, now, kept)
            return batches.finish(db, batch, now)

        return await self._finish(batch, enter)

    async def keep_delivery(self, batch: Batch, outcome: dict[str, Any], segment: str, error: str = "") -> Batch:
        """Enter that one of a batch's snapshots was delivered, or why it never will be; and the outcomes of all."""
        marked, now = replace(batch, outcome=outcome), time.time()

        def enter(db: sqlite3.Connection) -> None:
            batches.update_batch(db, marked)
            snapshots.update_segment(db, batch.id, segment, now, error)

        await self._change(batch, enter)
        return marked

    async def keep_failure(self, batch: Batch, kept: int, **changes: Any) -> None:
        """Take a batch to ``failed``: its report failed, or if it had a snapshot, the workspace has rejected that."""
        marked, now = replace(batch, state="failed", **changes), time.time()

        def enter(db: sqlite3.Connection) -> None:
            batches.update_batch(db, marked)
            if batch.state == "evaluated":
                snapshots.update_rejected(db, batch.id, marked.error)
            elif not batch.is_backfill:
                snapshots.insert_failed(db, batch, marked.error, now, kept)

        await self._change(batch, enter)

    async def snapshots(
        self, collector: str, limit: int, *, with_failed: bool = True, report: str = MAIN, segment: str = ""
    ) -> list[Snapshot]:
        """Return what came of a collector's last batches, newest first, beyond those that are still there."""

        def select(db: sqlite3.Connection) -> list[Snapshot]:
            return snapshots.select_snapshots(
                db, collector, limit, with_failed=with_failed, report=report, segment=segment
            )

        return await self._writer.execute(select)

    async def look_back(self, collectors: list[str], limit: int, *, is_whole: bool) -> dict[str, list[Snapshot]]:
        """Return the last snapshots of collectors, newest first; unless ``is_whole``, as ``select_brief`` does.

        They are read beside the writer, for whom it would take too long.
        """

        def read() -> dict[str, list[Snapshot]]:
            with reading(self._data_dir.journal) as db:
                if is_whole:
                    return {one: snapshots.select_snapshots(db, one, limit, with_failed=False) for one in collectors}
                return {one: snapshots.select_brief(db, one, limit) for one in collectors}

        return await _in_thread(read, limiter=self._looking_back)

    async def retry(self, collector: str) -> list[Batch]:
        """Take all failed batches of a collector back to ``sealed``; return them as they were."""
        return await self._writer.execute(lambda db: batches.retry(db, collector))

    async def finish(self, batch: Batch) -> list[str]:
        """Take a batch to ``delivered``; its parts and its snapshot are kept until ``prune`` drops them.

        Returns the paths of the parts, for DataDir.mark_delivered.
        """
        now = time.time()
        return await self._finish(batch, lambda db: batches.finish(db, batch, now))

    async def _finish(self, batch: Batch, finish: Callable[[sqlite3.Connection], tuple[list[str], int]]) -> list[str]:
        paths, _ = await self._change(batch, finish, lambda done: self._count_bytes(batch.collector, -done[1]))
        return paths

    async def prune(
        self, collector: str, retention: Retention, rule: ReferenceFrom | None = None
    ) -> tuple[list[str], list[str]]:
        """Drop the oldest delivered batches of a collector, beyond its retention.

        Those of which a reference is made by a ``rule`` stay. Returns the paths of their parts and their ids: these
        parts and snapshots may then be removed.
        """
        now = time.time()

        def prune(db: sqlite3.Connection) -> tuple[list[str], list[str]]:
            needed = set() if rule is None else references.needed_batches(db, collector, rule)
            return batches.prune(db, collector, retention, now, needed)

        return await self._writer.execute(prune)

    def listen(self, listener: Listener | None) -> None:
        """Call ``listener`` at each change of a batch from now on; None: nobody."""
        self._listener = listener

    async def _change(
        self, batch: Batch, change: Callable[[sqlite3.Connection], T], apply: Callable[[T], None] | None = None
    ) -> T:
        """Change a batch, and call the listener, in one transaction."""
        listener = None if batch.is_backfill else self._listener  # the past fires no alerts
        if listener is None:
            return await self._writer.execute(change, apply)
        now = time.time()

        def run(db: sqlite3.Connection) -> tuple[T, Any]:
            before = batches.find_batch(db, batch.id)
            result = change(db)
            after = batches.find_batch(db, batch.id)
            return result, None if before is None or after is None else listener.hear(db, before, after, now)

        def count(done: tuple[T, Any]) -> None:
            if apply is not None:
                apply(done[0])
            listener.heard(done[1])

        result, _ = await self._writer.execute(run, count)
        return result

    # Clocks, logs and dashboards

    async def clock(self, collector: str, start: float, *, is_kept: bool = True) -> float:
        """Return the Unix time at which a collector's trigger last fired; ``start``, and enter it, if it never did.

        One that isn't to be kept, as the trigger has no use for it, is forgotten.
        """
        return await self._writer.execute(lambda db: collectors.read_clock(db, collector, start, is_kept=is_kept))

    async def set_clock(self, collector: str, fired: float) -> None:
        """Enter when a collector's trigger last fired, in Unix seconds."""
        await self._writer.execute(lambda db: collectors.set_clock(db, collector, fired), size=SMALL_STEP)

    async def log(self, collector: str, entry: dict[str, Any], keep: int) -> None:
        """Add to a collector's log and keep its last ``keep`` entries; all of them for 0 or less."""
        await self._writer.execute(lambda db: collectors.insert_log(db, collector, entry, keep))

    async def logs(self, collector: str) -> list[dict[str, Any]]:
        """Return a collector's log, newest first."""
        return await self._writer.execute(lambda db: collectors.select_logs(db, collector))

    async def has_dashboard(self, collector: str, place: str) -> bool:
        """Tell whether a collector's dashboard was made in a workspace's project."""
        select = "SELECT 1 FROM dashboard WHERE collector = ? AND place = ?"
        return await self._writer.execute(lambda db: db.execute(select, (collector, place)).fetchone() is not None)

    async def enter_dashboard(self, collector: str, place: str) -> None:
        """Enter that a collector's dashboard was made, whatever becomes of it then."""
        insert = "INSERT OR IGNORE INTO dashboard VALUES (?, ?)"
        await self._writer.execute(lambda db: db.execute(insert, (collector, place)))

    async def tend_keys(self, kept: Callable[[], Idempotency]) -> None:
        """Drop idempotency keys that are too old, and remove those that were dropped; runs until cancelled."""
        while True:
            await trio.sleep(KEYS_INTERVAL)
            with suppress(StorageError):  # the journal's ``trouble`` tells it; tried again
                await self._writer.execute(partial(keys.forget_old_keys, kept=kept(), now=time.time()))
                # a few at a time, so that no commit has to wait for long
                while await self._writer.execute(keys.sweep_keys):
                    pass

    def dropped_keys(self) -> dict[str, float]:
        """Return by collector the age in seconds of the oldest idempotency key that was last dropped early."""
        return dict(self._dropped_keys)

    # Whole collectors, and what is on disk beside the journal

    async def mark_forgotten(self, collector: str) -> None:
        """Enter that a collector is to be forgotten, before its config is dropped: a crash between is made good."""
        await self._writer.execute(lambda db: db.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (collector,)))

    async def unmark_forgotten(self, collector: str) -> None:
        """Enter that a collector stays."""
        await self._writer.execute(lambda db: db.execute("DELETE FROM forgotten WHERE collector = ?", (collector,)))

    async def forgotten(self) -> list[str]:
        """Return the collectors that were to be forgotten when the process ended."""
        rows = await self._writer.execute(lambda db: db.execute("SELECT collector FROM forgotten").fetchall())
        return [collector for (collector,) in rows]

    async def forget(self, collector: str) -> tuple[int, list[str], list[str]]:
        """Drop all that belongs to a collector; return its undelivered rows, its parts' paths, its batches' ids."""

        def count(_: object) -> None:
            self._columns.pop(collector, None)
            self.labels.forget(collector)
            self.halves.forget(collector)
            for stream in (collector, labels_of(collector)):
                self._waiting[stream].clear()
                self._dropped_keys.pop(stream, None)
                self._count_bytes(stream, -self._buffered[stream])

        rows, paths, ids, bodies = await self._writer.execute(lambda db: collectors.forget(db, collector), count)
        self._unsynced.add_left(bodies)
        return rows, paths, ids

    async def mark_renamed(self, old: str, new: str) -> None:
        """Enter that a collector is to be renamed, before its config is: a crash between is made good."""
        await self._writer.execute(lambda db: collectors.mark_renamed(db, old, new))

    async def unmark_renamed(self, old: str) -> None:
        """Enter that a collector keeps its id."""
        await self._writer.execute(lambda db: collectors.unmark_renamed(db, old))

    async def rename(self, old: str, new: str, rules: Mapping[str, str]) -> None:
        """Give all that belongs to a collector to its new id, in one transaction.

        ``rules`` has the keys of rules for alerts now, by those that they had: of those that name it.
        """

        def move(db: sqlite3.Connection) -> tuple[dict[str, str], NewColumns | None]:
            collectors.rename(db, old, new)
            alerts.rekey(db, rules)
            return collectors.read_renamed(db), columns.read_columns(db).get(new)

        def count(found: tuple[dict[str, str], NewColumns | None]) -> None:
            self._renamed, names = found
            if names is not None:
                self._columns[new] = names
            self._columns.pop(old, None)
            self.labels.rename(old, new)
            self.halves.rename(old, new)
            for ours, theirs in ((old, new), (labels_of(old), labels_of(new))):
                self._waiting[theirs].add_all(self._waiting[ours])
                self._waiting[ours].clear()
                self._buffered[theirs] += self._buffered.pop(ours, 0)
                if ours in self._dropped_keys:
                    self._dropped_keys[theirs] = self._dropped_keys.pop(ours)

        await self._writer.execute(move, count)

    def renamed_to(self, collector: str) -> str | None:
        """Return the id that a collector has now, if it was renamed."""
        return self._renamed.get(collector)

    async def half_renamed(self) -> list[tuple[str, str]]:
        """Return the collectors that were to be renamed when the process ended, with their new ids."""
        return await self._writer.execute(
            lambda db: db.execute("SELECT old, new FROM renamed WHERE last_seq IS NULL").fetchall()
        )

    async def known_files(self) -> tuple[set[str], set[str], set[str]]:
        """Return what collectors.known_files does."""
        return await self._writer.execute(collectors.known_files)

    def _count_bytes(self, collector: str, size: int) -> None:
        """Count bytes that came, or went (below 0). Labels have a limit of their own, so the total is without them."""
        self._buffered[collector] += size
        if not is_labels(collector):
            self._buffered_in_all += size

    # The disk

    @property
    def trouble(self) -> str:
        """What is wrong with the disk; empty when it is sound."""
        return self._health.trouble

    async def wait_until_sound(self) -> None:
        """Return once the disk accepts writes."""
        await self._health.wait_until_sound()

    def note(self, refused: StorageError) -> None:
        """Note a write of somebody else that the disk refused."""
        self._health.note(refused)


@asynccontextmanager
async def open_journal(
    data_dir: DataDir, durability: Literal["process", "power"] = "process"
) -> AsyncIterator[Journal]:
    """Open the journal, making it if there is none; what was committed before a crash is there.

    Raises DataDirError if the file is no journal, or one of a newer format.
    """
    health, unsynced = Health(), Unsynced(BodyFiles(data_dir))
    opened = await _in_thread(open_database, data_dir, durability)  # takes minutes if it has to be recovered
    with Identity(data_dir) as identity, closing(opened) as connection:
        writer = Writer(connection, data_dir, health, unsynced)
        journal = await _in_thread(Journal, connection, data_dir, writer, health, unsynced)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(writer.run)
                nursery.start_soon(Tending(data_dir, writer, health, unsynced, identity).run)
                nursery.start_soon(journal.sweep)
                nursery.start_soon(inspect, data_dir)
                yield journal
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            broken = _find_broken(group)
            if broken is None:
                raise
            raise broken from None
        finally:
            unsynced.body_files.close_free()
            writer.look_last(identity)


def _find_broken(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """Return the error that the journal is broken out of those of its tasks: only this one is reported."""
    found: BaseException | None = group.subgroup(DataDirError)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
