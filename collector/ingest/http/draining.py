"""Draining: the service is stopping, and answers what is in flight."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio

from collector.errors import NotReady
from collector.ingest.http.probes import Check

# A call that asks a client for the body that it holds back.
Ask = Callable[[], Awaitable[None]]

# Seconds. A body that is still arriving then is refused: so its client hears why before the connection is cut.
BODY_GRACE = 1.0
_STOPPING = "the service is stopping; nothing of the request was kept"


class Draining:
    """Counts requests in flight, and refuses new ones once the service is stopping."""

    def __init__(self) -> None:
        self._begun = trio.Event()
        self._in_flight = 0
        self._idle = trio.Event()
        self._reads: set[trio.CancelScope] = set()
        self._last_read = math.inf

    @property
    def has_begun(self) -> bool:
        """Tell whether the service is stopping."""
        return self._begun.is_set()

    def begin(self) -> None:
        """Refuse requests from now on, and bodies that are on their way soon."""
        self._last_read = min(self._last_read, trio.current_time() + BODY_GRACE)
        for read in self._reads:
            read.deadline = self._last_read
        self._begun.set()

    async def wait_begun(self) -> None:
        """Return once the service is stopping."""
        await self._begun.wait()

    @property
    def health(self) -> Check:
        """Say whether requests are accepted."""
        return Check("accepting", _STOPPING if self.has_begun else "", is_vital=True)

    def check(self) -> None:
        """Raise NotReady if the service is stopping."""
        if self.has_begun:
            raise _stopping()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while it is in flight."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """Count a request that has come."""
        self._in_flight += 1

    def leave(self) -> None:
        """Count a request that was answered."""
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()

    def body(self, chunks: AsyncIterable[bytes], ask: Ask | None = None) -> Body:
        """Return a body's chunks, which are asked for first if they have to be.

        Raises NotReady in their midst when the service stops before they have all come.
        """
        return Body(self, chunks, ask)

    @contextmanager
    def read(self) -> Iterator[None]:
        """Wait for a chunk, but no longer than the service does."""
        with trio.CancelScope(deadline=self._last_read) as scope:
            self._reads.add(scope)
            try:
                yield
            finally:
                self._reads.remove(scope)
        if scope.cancelled_caught:
            raise _stopping()

    async def wait_idle(self) -> None:
        """Return once no request is in flight."""
        while self._in_flight:
            self._idle = trio.Event()
            await self._idle.wait()
        await trio.lowlevel.checkpoint()


class Body:
    """A body's chunks, as long as the service waits for them."""

    def __init__(self, draining: Draining, chunks: AsyncIterable[bytes], ask: Ask | None) -> None:
        self._draining = draining
        self._ask = ask
        self._chunks = aiter(chunks)

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        with self._draining.read():
            if self._ask is not None:
                ask, self._ask = self._ask, None
                await ask()
            return await anext(self._chunks)


def _stopping() -> NotReady:
    return NotReady(_STOPPING)
