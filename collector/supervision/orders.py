"""Orders: carried out one after the other, each to its end, even if the request that gave it is cancelled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import outcome
import trio

from collector.disk.refusals import is_of_files
from collector.errors import CollectorError, OutOfFiles, StorageError

T = TypeVar("T")
# An order may start tasks in the nursery of whoever carries it out.
Order = Callable[[trio.Nursery], Awaitable[T]]


class Orders:
    """Given by many, carried out by one."""

    def __init__(self) -> None:
        self._given, self._taken = trio.open_memory_channel[_Given](0)

    async def give(self, order: Order[T]) -> T:
        """Have an order carried out; return what came of it, or raise that. Raises StorageError for an OSError."""
        given = _Given(order)
        await self._given.send(given)
        await given.done.wait()
        assert given.result is not None  # noqa: S101  (set before the event)
        try:
            result: T = given.result.unwrap()
        except OSError as error:
            if is_of_files(error):
                raise OutOfFiles(error) from error
            raise StorageError(f"the data directory can't be used: {error}") from error
        return result

    async def carry_out(self, nursery: trio.Nursery) -> None:
        """Carry out what is given until cancelled; raise what no one who orders can answer for: our own mistakes."""
        async for given in self._taken:
            given.result = await outcome.acapture(given.order, nursery)
            given.done.set()
            if isinstance(given.result, outcome.Error) and not isinstance(given.result.error, CollectorError | OSError):
                given.result.unwrap()


class _Given:
    def __init__(self, order: Order[Any]) -> None:
        self.order = order
        self.done = trio.Event()
        self.result: outcome.Outcome[Any] | None = None
