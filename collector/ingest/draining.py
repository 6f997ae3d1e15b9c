"""Draining: the service is stopping, and answers what is in flight."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from collector.errors import NotReady

if TYPE_CHECKING:
    from collections.abc import Iterator


class Draining:
    """Counts requests in flight, and refuses new ones once the service is stopping."""

    def __init__(self) -> None:
        self._begun = trio.Event()
        self._in_flight = 0
        self._idle = trio.Event()

    @property
    def has_begun(self) -> bool:
        """Tell whether the service is stopping."""
        return self._begun.is_set()

    def begin(self) -> None:
        """Refuse requests from now on."""
        self._begun.set()

    async def wait_begun(self) -> None:
        """Return once the service is stopping."""
        await self._begun.wait()

    def check(self) -> None:
        """Raise NotReady if the service is stopping."""
        if self.has_begun:
            raise NotReady("the service is stopping; nothing of the request was kept")

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while it is in flight."""
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
                self._idle = trio.Event()

    async def wait_idle(self) -> None:
        """Return once no request is in flight."""
        while self._in_flight:
            await self._idle.wait()
        await trio.lowlevel.checkpoint()
