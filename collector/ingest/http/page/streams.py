"""Streams: what changes is sent to who looks on, as server-sent events; nothing runs once the last has left."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio
from pydantic_core import to_json

from collector.errors import NotReady

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from collector.ingest.http.draining import Draining
    from collector.views.page.view import View

    See = Callable[[], Awaitable[View]]

MAX_STREAMS = 32
INTERVAL = 1.0
# Seconds after which something is sent even if nothing has changed, so that proxies and browsers know we are there.
_QUIET = 10.0
_TOO_MANY = "too many pages are open at once; this one isn't kept up to date until another is closed"


class Streams:
    """Counts the pages that are kept up to date; ends with the service."""

    def __init__(self, draining: Draining) -> None:
        self._draining = draining
        self.number = 0

    def check(self) -> None:
        """Raise NotReady if as many look on as may."""
        if self.number >= MAX_STREAMS:
            raise NotReady(_TOO_MANY)

    async def follow(self, see: See, before: View | None, has_left: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Send what changes after a view, until the reader has left or the service stops."""
        self.number += 1
        try:
            sent = -math.inf
            while self.number <= MAX_STREAMS and not (self._draining.has_begun or has_left()):
                view = await see()
                news = view.since(before)
                if len(news) > 1 or trio.current_time() - sent >= _QUIET:
                    before, sent = view, trio.current_time()
                    yield b"data: " + to_json(news) + b"\n\n"
                with trio.move_on_after(INTERVAL):
                    await self._draining.wait_begun()
        finally:
            self.number -= 1
