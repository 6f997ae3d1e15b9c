"""What the journal keeps for alerts: how each rule stands, and the messages that wait to be sent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from collector.store.steps import alerts
from collector.store.writer import SMALL_STEP

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection

    from collector.store.records import AlertState, Batch, Message
    from collector.store.writer import Writer

T = TypeVar("T")


class Listener(Protocol):
    """Hears of each change of a batch, in the transaction that makes it: a kill can't come between the two."""

    def hear(self, db: sqlite3.Connection, before: Batch, after: Batch, now: float) -> Any:
        """Take a change down; perhaps in a thread, and again if the transaction is tried again."""

    def heard(self, what: Any) -> None:
        """Go on with what ``hear`` returned, once that is committed."""


class AlertBook:
    """The journal's pages for alerts; each method is a transaction, and raises StorageError if the disk refuses."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def read(self) -> list[AlertState]:
        """Return how all rules stand."""
        return await self._writer.execute(alerts.read_states)

    async def keep_only(self, rules: Collection[str], addresses: Collection[str]) -> int:
        """Drop all other rules and addresses; return how many messages went with these."""

        def keep_only(db: sqlite3.Connection) -> int:
            alerts.drop_rules(db, rules)
            return alerts.drop_addresses(db, addresses)

        return await self._writer.execute(keep_only)

    async def write(self, write: Callable[[sqlite3.Connection], T]) -> T:
        """Carry out steps of ``collector.store.steps.alerts`` together."""
        return await self._writer.execute(write)

    async def oldest(self, address: str, after: int) -> Message | None:
        """Return the oldest message of an address beyond a number."""
        step = partial(alerts.oldest_message, address=address, after=after)
        return await self._writer.execute(step, size=SMALL_STEP)

    async def drop(self, address: str, upto: int) -> None:
        """Drop the messages of an address that were sent."""
        await self._writer.execute(partial(alerts.drop_messages, address=address, upto=upto), size=SMALL_STEP)
