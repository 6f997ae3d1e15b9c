"""The door: the ASGI app from the moment that the service listens; it opens once events can be kept.

To recover a journal takes time, and whoever asks meanwhile whether the service lives must get an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from collector.ingest.http.probes import Check, health_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collector.ingest.http.front_door import FrontDoor
    from collector.ingest.http.problems import Answer
    from collector.status.counts import Counts

    _Asgi = Callable[[Any, Any, Any], Awaitable[None]]

# A key in a scope's state: a function that asks the client for the body that it holds back (``Expect``).
ASK_FOR_BODY = "ask_for_body"
# Another: a function that tells whether the client has sent its last byte. A client that follows a stream has left
# then.
HAS_LEFT = "has_left"
# Seconds for which a request waits for the start, which mostly takes one. A recovery may take minutes.
PATIENCE = 5.0
_STARTING = Check("startup", "the service is starting; nothing was kept, try again in a while", is_vital=True)


class Door:
    """Answers itself until it is open, then has the app answer."""

    def __init__(self, counts: Counts, max_connections: int) -> None:
        self._counts = counts
        self._max_connections: Callable[[], int] = lambda: max_connections
        self._app: _Asgi | None = None
        self._front_door: Callable[[], FrontDoor | None] = lambda: None
        self._front_opened = trio.Event()
        self._opened = trio.Event()
        self._closed = trio.Event()

    def open_front(self, front_door: Callable[[], FrontDoor | None], max_connections: Callable[[], int]) -> None:
        """Have usual POSTs answered from now on, those that wait too; ``front_door`` gives by what, if anything."""
        self._front_door, self._max_connections = front_door, max_connections
        self._front_opened.set()

    def open(self, app: _Asgi) -> None:
        """Have an app answer all else from now on, those who wait too."""
        self._app = app
        self._opened.set()

    @property
    def front_door(self) -> FrontDoor | None:
        """What answers usual POSTs of events before the app does, if anything."""
        return self._front_door()

    @property
    def is_starting(self) -> bool:
        """Whether it can't be told yet what answers usual POSTs."""
        return not self._front_opened.is_set()

    async def wait_front_door(self) -> FrontDoor | None:
        """Return what answers usual POSTs, once it can be told, or after a while; if anything does."""
        with trio.move_on_after(PATIENCE):
            await self._front_opened.wait()
        return self._front_door()

    def admits(self, connections: int) -> bool:
        """Tell whether another connection may come beside ``connections``; count it as refused if not."""
        is_full = connections >= self._max_connections()
        self._counts.refused_connections += is_full
        return not is_full

    def close(self) -> None:
        """Say that no more requests come."""
        self._closed.set()

    async def wait_closed(self) -> None:
        """Return once no more requests come."""
        await self._closed.wait()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        path = scope["path"].strip("/")
        if self._app is None and path not in {"livez", "readyz"}:
            with trio.move_on_after(PATIENCE):
                await self._opened.wait()
        if self._app is None:
            await _send(_starting(path, scope["query_string"]), send)
        else:
            await self._app(scope, receive, send)


def _starting(path: str, query: bytes) -> Answer:
    is_verbose = query.partition(b"=")[0] == b"verbose"
    if path == "livez":
        return health_answer(path, "live", [Check("ping")], is_verbose=is_verbose)
    return health_answer(path, "", [_STARTING], is_verbose=is_verbose and path == "readyz")


async def _send(answer: Answer, send: Any) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
