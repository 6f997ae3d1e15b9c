"""The lane: connections that wait for their next request are watched together, usual small POSTs answered so.

A task that wakes to read, waits for the commit and wakes to answer costs as much as all else of such a request. Here
one task reads from all connections that are ready, has their events kept in one transaction, and writes the answers; a
connection's own task sleeps until something else comes.
"""

from __future__ import annotations

import os
import select
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import outcome
import trio

from collector.ingest.http.front_door import whole_body
from collector.ingest.http.posted import read_posted
from collector.ingest.http.problems import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.ingest.http.front_door import FrontDoor
    from collector.ingest.http.posted import Posted
    from collector.ingest.intake import Pending

# How many requests are answered together, and how many bytes of them are read: they hold the event loop for some
# milliseconds.
_MAX_TOGETHER = 64
_MAX_BYTES = 128 * 1024
_MAX_RECV = 2**16
# Seconds to wait for the next request, enough for a client on the same machine to send it; and seconds for which such
# requests may hold the event loop.
_MOMENT = 50e-6
_MAX_HOLD = 0.001
_MAX_LEFT_OUT = 1023

IS_AVAILABLE = hasattr(select, "epoll")


class Connection(Protocol):
    """A connection in the lane; ``idle_since`` is None while a request is in flight."""

    idle_since: float | None
    is_closing: bool

    def fileno(self) -> int:
        """Return its file descriptor."""

    def close_soon(self) -> None:
        """Send nothing more, and leave the client a while to read."""

    def linger(self) -> None:
        """Leave the client another while, as it is still sending."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a connection leaves the lane for: data that isn't for it (none: the client has left), or the end."""

    data: bytes = b""
    unsent: bytes = b""
    is_last: bool = False


@dataclass(slots=True)
class _Place:
    descriptor: int
    connection: Connection
    task: trio.lowlevel.Task


@dataclass(slots=True)
class _Request:
    place: _Place
    posted: Posted
    pending: Pending | Answer
    began: float


class Lane:
    """Watches connections; see ``run``."""

    def __init__(self, find_front_door: Callable[[], FrontDoor | None]) -> None:
        self._find_front_door = find_front_door
        self._epoll = select.epoll()
        self._places: dict[int, _Place] = {}
        self._patience = _Patience()

    async def run(self) -> None:
        """Answer requests until cancelled."""
        with self._epoll:
            while True:
                await trio.lowlevel.wait_readable(self._epoll)
                await self._answer_while_ready()

    async def _answer_while_ready(self) -> None:
        """Answer the requests that are ready, and those that follow at once: waking up again takes longer."""
        end = time.perf_counter() + _MAX_HOLD
        ready = self._epoll.poll(0, _MAX_TOGETHER)
        while ready:
            await self._answer(ready, self._find_front_door())
            ready = self._wait_a_moment(end)

    def _wait_a_moment(self, end: float) -> list[tuple[int, int]]:
        """Wait a moment for requests; return their connections, or none if none came or waiting is mostly in vain."""
        if not self._patience.is_due():
            return []
        moment = time.perf_counter() + _MOMENT
        while time.perf_counter() < min(moment, end):
            if ready := self._epoll.poll(0, _MAX_TOGETHER):
                self._patience.note(was_in_vain=False)
                return ready
        if moment < end:
            self._patience.note(was_in_vain=True)
        return []

    async def _answer(self, ready: list[tuple[int, int]], front_door: FrontDoor | None) -> None:
        requests = self._begin(ready, front_door)
        if front_door is None:
            return
        if not front_door.commit():
            for request in requests:
                if not isinstance(request.pending, Answer):
                    await request.pending.wait_done()
        for request in requests:
            self._finish(request, front_door)

    async def wait(self, connection: Connection) -> Left:
        """Answer a connection's usual requests until something else comes from it."""
        place = _Place(connection.fileno(), connection, trio.lowlevel.current_task())
        self._places[place.descriptor] = place
        self._epoll.register(place.descriptor, select.EPOLLIN)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._remove(place)
            return trio.lowlevel.Abort.SUCCEEDED

        left: Left = await trio.lowlevel.wait_task_rescheduled(abort)
        return left

    def _begin(self, ready: list[tuple[int, int]], front_door: FrontDoor | None) -> list[_Request]:
        """Read the requests that are ready, and order their events to be kept."""
        requests: list[_Request] = []
        size = 0
        for descriptor, _ in ready:
            place = self._places[descriptor]
            data = _read(descriptor)
            if data is None:
                continue
            if place.connection.is_closing:
                self._leave(place, data)
                continue
            posted = None if front_door is None else read_posted(data)
            body = None if posted is None else whole_body(posted, data)
            if front_door is None or posted is None or body is None:
                self._let_go(place, Left(data))
                continue
            began = time.perf_counter()
            pending = front_door.begin(posted, body)
            if pending is None:
                self._let_go(place, Left(data))
                continue
            place.connection.idle_since = None
            requests.append(_Request(place, posted, pending, began))
            size += len(data)
            if size > _MAX_BYTES:
                break
        return requests

    def _finish(self, request: _Request, front_door: FrontDoor) -> None:
        """Answer a request whose order is done."""
        place = request.place
        answer, is_last = front_door.finish(request.posted, request.pending, request.began)
        if self._places.get(place.descriptor) is not place:
            return  # the connection's task was cancelled meanwhile
        place.connection.idle_since = trio.current_time()
        sent = _write(place.descriptor, answer)
        if sent < len(answer):
            self._let_go(place, Left(unsent=answer[sent:], is_last=is_last))
        elif is_last:
            place.connection.close_soon()

    def _leave(self, place: _Place, data: bytes) -> None:
        """Read what a client sends after its last answer, and throw it away."""
        if data:
            place.connection.linger()
        else:
            self._let_go(place, Left())

    def _let_go(self, place: _Place, left: Left) -> None:
        self._remove(place)
        trio.lowlevel.reschedule(place.task, outcome.Value(left))

    def _remove(self, place: _Place) -> None:
        del self._places[place.descriptor]
        self._epoll.unregister(place.descriptor)


class _Patience:
    """Says when to wait; ever more seldom if waiting is in vain, as with clients that pause between requests.

    Always waiting costs those clients a third more processor time. Never waiting costs a client that doesn't pause a
    quarter of its requests a second.
    """

    def __init__(self) -> None:
        self._left_out = self._to_leave_out = 0

    def is_due(self) -> bool:
        """Tell whether to wait this time."""
        self._left_out += 1
        return self._left_out > self._to_leave_out

    def note(self, *, was_in_vain: bool) -> None:
        """Note whether waiting helped."""
        self._left_out = 0
        self._to_leave_out = min(2 * self._to_leave_out + 1, _MAX_LEFT_OUT) if was_in_vain else 0


def _read(descriptor: int) -> bytes | None:
    """Read what has come: no bytes if the client has left, None if nothing has come yet."""
    try:
        return os.read(descriptor, _MAX_RECV)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _write(descriptor: int, data: bytes) -> int:
    """Write as much as the kernel takes at once; the connection writes the rest, or finds that it is broken."""
    try:
        return os.write(descriptor, data)
    except OSError:
        return 0
