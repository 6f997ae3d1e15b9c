"""The writer: owns the journal's connection; all that waits while a transaction runs shares the next one."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import outcome
import trio

from collector.errors import DataDirError, StorageError
from collector.store.data_dir import DataDir
from collector.store.refusals import is_damage, is_loss, is_refusal, refusal
from collector.store.wal import cut_behind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from collector.store.health import Health

T = TypeVar("T")


@dataclass(slots=True)
class _Order(Generic[T]):
    run: Callable[[sqlite3.Connection], T]
    apply: Callable[[T], None] | None
    done: trio.Event = field(default_factory=trio.Event)
    result: outcome.Outcome[T] | None = None


class Writer:
    """Carries out what others order on a connection, in one thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path, health: Health) -> None:
        self.has_unsynced = False
        self._connection = connection
        self._path = path
        self._health = health
        self._orders: list[_Order[Any]] = []
        self._ordered = trio.Event()
        self._thread = trio.CapacityLimiter(1)

    async def run(self) -> None:
        """Carry out orders, a transaction at a time, until cancelled; raises DataDirError if the journal is broken."""
        while True:
            await self._ordered.wait()
            self._ordered = trio.Event()
            orders, self._orders = self._orders, []
            await trio.to_thread.run_sync(self._transact, orders, limiter=self._thread)
            self.has_unsynced = True
            for order in orders:
                if isinstance(order.result, outcome.Error):
                    order.result = outcome.Error(self.told(order.result.error))
                elif order.apply is not None and isinstance(order.result, outcome.Value):
                    order.apply(order.result.value)
                order.done.set()

    def told(self, error: BaseException) -> BaseException:
        """Translate what SQLite raised, and take it down if the disk is to blame; end with a journal that is broken."""
        if not isinstance(error, (sqlite3.Error, OSError)):
            return error
        if is_damage(error):
            DataDir(self._path.parent).journal_mark.touch(0o600)
            raise self.broken from error
        trouble = str(refusal(error, self._path.parent))
        if isinstance(error, OSError) or is_refusal(error):
            self._health.note(trouble, is_losing=is_loss(error))
        return nothing_kept(trouble)

    @property
    def broken(self) -> DataDirError:
        """What ends the service when the journal is found broken."""
        return DataDirError(f"the journal {self._path} is broken; start again, and what is sound in it is recovered")

    async def execute(self, run: Callable[[sqlite3.Connection], T], apply: Callable[[T], None] | None = None) -> T:
        """Order a step of a transaction; ``apply`` takes its result to memory, in the order of the transactions."""
        order = _Order(run, apply)
        self._orders.append(order)
        self._ordered.set()
        await order.done.wait()
        assert order.result is not None  # noqa: S101  (the writer sets it before the event)
        return order.result.unwrap()

    async def use(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run something outside of any transaction."""
        return await trio.to_thread.run_sync(run, self._connection, limiter=self._thread)

    def _transact(self, orders: list[_Order[Any]]) -> None:
        """Run all orders in one transaction; if one fails, each in its own, so that it fails alone."""
        tried = outcome.capture(self._try_together, orders)
        if isinstance(tried, outcome.Error):
            for order in orders:
                alone = tried if is_loss(tried.error) else outcome.capture(self._try_together, [order])
                if isinstance(alone, outcome.Error):
                    order.result = alone

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


def nothing_kept(trouble: str) -> StorageError:
    """Refuse a request that the disk refused."""
    return StorageError(f"{trouble}; nothing of the request was kept")
