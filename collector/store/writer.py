"""The writer: owns the journal's connection; all that waits while a transaction runs shares the next one.

A small commit that isn't synced takes less time than the hop to a thread, so it is done at once, on the event loop. All
else is done in a thread: what syncs, what is large or looks through tables, and all of it where the disk is slow.
"""

from __future__ import annotations

import math
import secrets
import sqlite3
import time
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import outcome
import trio

from collector.disk.refusals import is_damage, is_loss, is_refusal, refusal
from collector.errors import JournalBroken, OutOfFiles, StorageError
from collector.store.connect import log_of
from collector.store.data_dir import make_directories
from collector.store.repair.recovery import rescue
from collector.store.repair.wal import cut_behind
from collector.store.steps.frames import INSERT_FRAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from collector.disk.health import Health
    from collector.store.data_dir import DataDir
    from collector.store.identity import Identity
    from collector.store.unsynced import Unsynced

T = TypeVar("T")

# The value of PRAGMA synchronous by which commits aren't synced, but checkpoints are.
_NORMAL = 1
# Bytes of a commit on the event loop: it takes at most 2 ms unless the disk is slow.
MAX_QUICK_BYTES = 256 * 1024
# Bytes, more or less, that a step without a body adds to the log.
SMALL_STEP = 16 * 1024
# Seconds. If small commits take longer on average, the disk is slow, and they are left to a thread.
SLOW_COMMIT = 0.005
_WEIGHT = 0.1  # the last commit's weight in the average


@dataclass(slots=True)
class Order(Generic[T]):
    """A step of a transaction; ``done`` is set for all steps of a transaction together."""

    run: Callable[[sqlite3.Connection], T] | None
    apply: Callable[[T], None] | None
    size: float
    done: trio.Event
    ring: Callable[[], None]
    rows: Sequence[tuple[Any, ...]] = ()
    result: outcome.Outcome[T] | None = None

    async def wait(self) -> T:
        """Have it carried out; return its result once it is committed, or raise its error."""
        await self.wait_done()
        return self.value

    async def wait_done(self) -> None:
        """Have it carried out; return once it is, also if it failed."""
        self.ring()
        await self.done.wait()

    @property
    def value(self) -> T:
        """Its result; it must be done."""
        if isinstance(self.result, outcome.Error):
            raise self.result.error
        assert isinstance(self.result, outcome.Value)  # noqa: S101  (the writer sets it before the event)
        value: T = self.result.value
        return value


_INSERTED = outcome.Value(value=True)


class Writer:
    """Carries out what others order on a connection, in one thread."""

    def __init__(self, connection: sqlite3.Connection, data_dir: DataDir, health: Health, unsynced: Unsynced) -> None:
        self._is_syncing = connection.execute("PRAGMA synchronous").fetchone() != (_NORMAL,)
        self._commit_seconds = 0.0
        self._trouble = ""  # the reason why all orders are refused, if they are
        self._found: JournalBroken | None = None
        self._is_busy = False  # until the results of a transaction are told, which has to happen in order
        self._connection = connection
        self._data_dir = data_dir
        self._health = health
        self._unsynced = unsynced
        self._orders: list[Order[Any]] = []
        self._rung, self._done = trio.Event(), trio.Event()
        self._thread = trio.CapacityLimiter(1)

    async def run(self) -> None:
        """Carry out orders, a transaction at a time, until cancelled; raises DataDirError if the journal is broken."""
        while True:
            await self._rung.wait()
            self._rung = trio.Event()
            if self._found is not None:
                raise self._found
            if self._orders:
                orders, size = self._take()
                if self._is_quick(size):
                    self._transact(orders, size)
                else:
                    self._is_busy = True
                    await trio.to_thread.run_sync(self._transact, orders, size, limiter=self._thread)
                self._tell(orders)
                self._is_busy = False

    def commit(self) -> bool:
        """Carry out the orders at once, and return whether they are done; slow ones are left to ``run``."""
        if not self._orders:
            return True
        if not self._is_busy and self._is_quick(sum(order.size for order in self._orders)):
            orders, size = self._take()
            self._transact(orders, size)
            try:
                self._tell(orders)
            except JournalBroken as error:
                self._found = error  # whoever finds it must not end by it: it ends the journal
            else:
                return True
        self._rung.set()
        return False

    def _take(self) -> tuple[list[Order[Any]], float]:
        orders, self._orders, self._done = self._orders, [], trio.Event()
        return orders, sum(order.size for order in orders)

    def _tell(self, orders: list[Order[Any]]) -> None:
        """Apply the results of orders to memory, and wake those who wait for them."""
        for order in orders:
            if isinstance(order.result, outcome.Error):
                order.result = outcome.Error(self.told(order.result.error))
            elif order.apply is not None and isinstance(order.result, outcome.Value):
                order.apply(order.result.value)
        orders[0].done.set()  # all orders share it
        known = sum(0 if order.size == math.inf else int(order.size) for order in orders)
        self._unsynced.add_commit(SMALL_STEP + known)

    def _is_quick(self, size: float) -> bool:
        """Tell whether to write this many bytes on the event loop; never while a thread uses the connection."""
        return (
            size <= MAX_QUICK_BYTES
            and not self._is_syncing
            and not self._thread.borrowed_tokens
            and self._commit_seconds <= SLOW_COMMIT
        )

    def told(self, error: BaseException) -> BaseException:
        """Translate what SQLite raised, and note it if the disk is to blame; end with a journal that is broken."""
        if not isinstance(error, (sqlite3.Error, OSError)):
            return error
        if is_damage(error):
            self._data_dir.journal_mark.touch(0o600)
            raise self.broken from error
        refused = refusal(error, self._data_dir.path)
        if isinstance(error, OSError) or is_refusal(error):
            self._health.note(refused, is_losing=is_loss(error))
        return refused if isinstance(refused, OutOfFiles) else nothing_kept(str(refused))

    async def rescue(self, trouble: str, identity: Identity) -> None:
        """Refuse all orders from now on, and save what memory and disk still hold in a new journal, for the next start.

        Where the whole data directory was removed it is made anew; one that was moved away has it all.

        Raises OSError or sqlite3.Error if that can't be done; the next start then tries with what the disk has.
        """
        self._trouble = trouble
        if identity.is_deleted:
            make_directories(self._data_dir.path)
        await self.use(partial(rescue, self._data_dir, trouble))

    def look_last(self, identity: Identity) -> None:
        """Save what there is if the files were changed from outside and nobody noticed: closing would write to them."""
        fault = "" if self._trouble else identity.find_fault(self._connection)
        if fault:
            rescue(self._data_dir, fault, self._connection)

    @property
    def broken(self) -> JournalBroken:
        """What ends the service when the journal is found broken."""
        return JournalBroken(
            f"the journal {self._data_dir.journal} is broken; restart the service: it recovers what is sound"
        )

    async def execute(
        self,
        run: Callable[[sqlite3.Connection], T],
        apply: Callable[[T], None] | None = None,
        size: float = math.inf,
    ) -> T:
        """Order a step of a transaction; ``apply`` is called with its result, in the order of the transactions.

        ``size`` is given for a step that only writes, and says how many bytes.
        """
        return await self.order(run, apply, size).wait()

    def order(
        self,
        run: Callable[[sqlite3.Connection], T] | None,
        apply: Callable[[T], None] | None,
        size: float,
        rows: Sequence[tuple[Any, ...]] = (),
    ) -> Order[T]:
        """Order a step, without waiting for it; without ``run``, it inserts rows of frames."""
        order = Order(run, apply, size, self._done, self._ring, rows)
        self._orders.append(order)
        return order

    def _ring(self) -> None:
        self._rung.set()

    async def use(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run something outside of any transaction."""
        return await trio.to_thread.run_sync(run, self._connection, limiter=self._thread)

    def _transact(self, orders: list[Order[Any]], size: float) -> None:
        """Run all orders in one transaction; note the time that a small one takes."""
        if self._trouble:
            for order in orders:
                order.result = outcome.Error(nothing_kept(self._trouble))
            return
        began = time.perf_counter()
        self._try(orders)
        if size <= MAX_QUICK_BYTES:
            self._commit_seconds += _WEIGHT * (time.perf_counter() - began - self._commit_seconds)

    def _try(self, orders: list[Order[Any]]) -> None:
        """Run all orders in one transaction; if one fails, run each by itself, so that only that one fails."""
        tried = outcome.capture(self._try_together, orders)
        if isinstance(tried, outcome.Error):
            for order in orders:
                alone = tried if is_loss(tried.error) else outcome.capture(self._try_together, [order])
                if isinstance(alone, outcome.Error):
                    order.result = alone

    def _try_together(self, orders: list[Order[Any]]) -> None:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                for has_rows, run in groupby(orders, key=_has_rows):
                    if has_rows:
                        self._insert_together(list(run))
                    else:
                        self._run_each(run)
        except sqlite3.Error as error:
            if is_loss(error):
                self._overwrite()
            raise

    def _run_each(self, orders: Iterable[Order[Any]]) -> None:
        for order in orders:
            if order.run is not None:
                order.result = outcome.Value(order.run(self._connection))

    def _insert_together(self, orders: list[Order[Any]]) -> None:
        self._connection.executemany(INSERT_FRAME, [row for order in orders for row in order.rows])
        for order in orders:
            order.result = _INSERTED

    def _overwrite(self) -> None:
        """Put another commit in the log in place of one whose fsync failed.

        The failed one stands there whole, though its requests were refused: after a crash it would count.
        """
        mark = secrets.randbelow(2**31)
        (synchronous,) = self._connection.execute("PRAGMA synchronous").fetchone()
        self._connection.execute("PRAGMA synchronous = OFF")
        try:
            self._connection.execute(f"PRAGMA application_id = {mark}")
        finally:
            self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        cut_behind(log_of(self._data_dir.journal), mark)


def _has_rows(order: Order[Any]) -> bool:
    return order.run is None


def nothing_kept(trouble: str) -> StorageError:
    """Refuse a request that the disk refused."""
    return StorageError(f"{trouble}; nothing of the request was kept")
