"""Buffered sending from trio and asyncio: tasks give single events away, and one task of their nursery sends them."""

from __future__ import annotations

import logging
import os
import weakref
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.lowlevel
import anyio.to_thread

from collector.client import arrow
from collector.client.arrow import ARROW
from collector.client.buffering import Deliveries, copied, next_step, tell_lost, written
from collector.client.requests import Pause
from collector.errors import CollectorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from collector.client.buffering import BufferBounds, EventRows, Events, Lost, Sending

_log = logging.getLogger(__name__)


class _Client(Protocol):
    async def send_body(self, id: str, body: bytes, media_type: str, idempotency_key: str) -> bool: ...  # noqa: A002


class AsyncEventBuffer:
    """Accepts single events from the tasks of an event loop; see AsyncCollectorClient.buffered, which opens it.

    ``sent``, ``refused`` and ``dropped`` count its events by what became of them.
    """

    def __init__(self, client: _Client, collector_id: str, bounds: BufferBounds, on_lost: Lost | None) -> None:
        self._client = client
        self._deliveries = Deliveries(collector_id, self._lose)
        self._id = collector_id
        self._bounds = bounds
        self._on_lost = on_lost
        self._is_closed = False
        self._closed = "the buffer is closed"
        self._events: Events = []
        self._came = anyio.Event()
        self._due = anyio.Event()
        self._settled = anyio.Event()
        self._problem: CollectorError | None = None
        self._accepted = self._done = 0
        self.sent = self.refused = self.dropped = 0

    @property
    def waiting(self) -> int:
        """Events that were accepted and are not yet with the service."""
        return self._accepted - self._done

    def send_nowait(self, event: Mapping[str, Any]) -> bool:
        """Accept an event; if ``max_waiting`` wait already, drop and count it, and return False.

        Raises ValueError for an event without columns, RuntimeError once the block has ended.
        """
        event = copied(event)
        if self._is_closed:
            raise RuntimeError(self._closed)
        if self.waiting >= self._bounds.max_waiting:
            self.dropped += 1
            return False
        self._accepted += 1
        self._events.append(event)
        if len(self._events) == 1:
            self._came.set()
        if len(self._events) == self._bounds.max_rows:
            self._due.set()
        return True

    async def send(self, event: Mapping[str, Any]) -> None:
        """Accept an event once there is room; raises as ``send_nowait`` does."""
        while self.waiting >= self._bounds.max_waiting and not self._is_closed:
            await self._settled.wait()
        self.send_nowait(event)
        # A full checkpoint takes ten times as long as all the rest; it is passed when the buffer is full.
        await anyio.lowlevel.checkpoint_if_cancelled()

    async def flush(self) -> None:
        """Return once the service has all events that were accepted before.

        Raises RequestRefused, or BadBody, if some were refused since this was last called: those are lost.
        """
        target = self._accepted
        if self._events:
            self._due.set()
        while self._done < target:
            await self._settled.wait()
        await anyio.lowlevel.checkpoint()
        if (problem := self.take_problem()) is not None:
            raise problem

    def take_problem(self) -> CollectorError | None:
        """Return the first refusal that nobody was told of."""
        problem, self._problem = self._problem, None
        return problem

    def close(self) -> None:
        """Accept nothing more; ``run`` ends once all is sent."""
        self._is_closed = True
        self._came.set()
        self._due.set()

    def leave_to_parent(self) -> None:
        """Accept nothing more and send nothing: a forked child has only a copy of the event loop."""
        self._is_closed = True
        self._closed = "the buffer belongs to the process that opened it; open one in this process"
        self._events.clear()
        self._accepted = self._done

    async def run(self) -> None:
        """Send what is due until the buffer is closed and empty."""
        while events := await self._next():
            for start in range(0, len(events), self._bounds.max_rows):
                await self._deliver(events[start : start + self._bounds.max_rows])

    async def _next(self) -> Events:
        await self._came.wait()
        with anyio.move_on_after(self._bounds.max_delay):
            await self._due.wait()
        events, self._events = self._events, []
        if not self._is_closed:
            self._came, self._due = anyio.Event(), anyio.Event()
        return events

    async def _deliver(self, events: Events) -> None:
        unwritable: list[tuple[Events, CollectorError]] = []
        pieces = await anyio.to_thread.run_sync(written, events, lambda *lost: unwritable.append(lost))
        for lost in unwritable:
            self._lose(*lost)
        for rows in pieces:
            await self._run(rows)

    async def _run(self, rows: EventRows) -> None:
        steps, problem = self._deliveries.deliver(rows), None
        while (step := next_step(steps, problem)) is not None:
            problem = await (anyio.sleep(step.seconds) if isinstance(step, Pause) else self._send(step))

    def _lose(self, events: Events, problem: CollectorError) -> None:
        self.refused += len(events)
        self._problem = self._problem or problem
        tell_lost(self._id, events, problem, self._on_lost)
        self._settle(len(events))

    def _settle(self, rows: int) -> None:
        self._done += rows
        self._settled.set()
        self._settled = anyio.Event()

    async def _send(self, sending: Sending) -> CollectorError | None:
        try:
            body = await anyio.to_thread.run_sync(sending.rows.body)
            await self._client.send_body(self._id, body, ARROW, sending.key)
        except CollectorError as error:
            return error
        self.sent += sending.rows.rows
        self._settle(sending.rows.rows)
        return None


@asynccontextmanager
async def open_buffer(
    client: _Client, collector_id: str, bounds: BufferBounds, on_lost: Lost | None
) -> AsyncIterator[AsyncEventBuffer]:
    """Open a buffer whose sending task ends with the block; see AsyncCollectorClient.buffered."""
    await anyio.to_thread.run_sync(arrow.load)
    buffer = AsyncEventBuffer(client, collector_id, bounds, on_lost)
    _open_buffers.add(buffer)
    failed: Exception | None = None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(buffer.run)
            try:
                yield buffer
            except Exception as error:  # noqa: BLE001  (raised here, it would arrive in a group)
                failed = error
            buffer.close()
    finally:
        if buffer.waiting:
            _log.error("%d events of %s are lost: sending them was cancelled", buffer.waiting, collector_id)
    if (problem := failed or buffer.take_problem()) is not None:
        raise problem


_open_buffers: weakref.WeakSet[AsyncEventBuffer] = weakref.WeakSet()


def _leave_all() -> None:
    for buffer in list(_open_buffers):
        buffer.leave_to_parent()


os.register_at_fork(after_in_child=_leave_all)
