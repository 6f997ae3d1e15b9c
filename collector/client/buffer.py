"""Buffered sending: a service gives single events away in microseconds, and a thread beside it sends them in batches.

Each batch goes with an idempotency key until the service has accepted it, so that its events arrive once.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Protocol

from collector.client import arrow
from collector.client.arrow import ARROW
from collector.client.buffering import Deliveries, copied, next_step, tell_lost, written
from collector.client.requests import Pause
from collector.errors import CollectorError, ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from collector.client.buffering import BufferBounds, EventRows, Events, Lost, Sending

_log = logging.getLogger(__name__)

# How long flush and close wait for the service; and how long the interpreter's exit does, where nobody may be there to
# end a longer wait.
FLUSH_TIMEOUT = 30.0
EXIT_TIMEOUT = 10.0
# Seconds beyond that in which the last try may end.
GRACE = 0.5


class _Client(Protocol):
    def send_body(self, id: str, body: bytes, media_type: str, idempotency_key: str) -> bool: ...  # noqa: A002
    def close(self) -> None: ...


class EventBuffer:
    """Accepts single events and sends them in batches from a thread; see CollectorClient.buffered, which makes it.

    Any thread may use it. ``sent``, ``refused`` and ``dropped`` count its events by what became of them.
    """

    def __init__(
        self,
        client: _Client,
        collector_id: str,
        bounds: BufferBounds,
        when_full: Literal["block", "drop"],
        on_lost: Lost | None,
    ) -> None:
        if when_full not in {"block", "drop"}:
            raise ValueError(f"when_full is 'block' or 'drop', not {when_full!r}")
        self._arguments = (client, collector_id, bounds, when_full, on_lost)
        self._client = client
        self._id = collector_id
        self._deliveries = Deliveries(collector_id, self._lose)
        self._max_rows = bounds.max_rows
        self._max_delay = bounds.max_delay
        self._max_waiting = bounds.max_waiting
        self._is_blocking = when_full == "block"
        self._on_lost = on_lost
        self._is_closed = self._is_ending = False
        arrow.load()
        self._begin()
        _open_buffers.add(self)

    def _begin(self) -> None:
        """Start empty. A forked child does so too: it has no thread, and the parent sends what waits."""
        # An RLock, because a signal handler or a finalizer may send an event while another is being sent.
        self._lock = threading.RLock()
        self._due = threading.Condition(self._lock)
        self._settled = threading.Condition(self._lock)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._events: Events = []
        self._since = 0.0
        self._flush_to = 0
        self._deadline = float("inf")
        self._problem: CollectorError | None = None
        self._accepted = self._done = 0
        self.sent = self.refused = self.dropped = 0

    @property
    def waiting(self) -> int:
        """Events that were accepted and are not yet with the service."""
        return self._accepted - self._done

    def send(self, event: Mapping[str, Any]) -> None:
        """Accept an event: its columns' names and values. It is copied, so the caller may go on using it.

        If ``max_waiting`` wait already, it blocks until there is room, or drops the event and counts it: ``when_full``.
        Raises ValueError for an event without columns, RuntimeError once the buffer is closed.
        """
        copy = copied(event)
        with self._lock:
            if (self._is_closed or self._accepted - self._done >= self._max_waiting) and not self._has_room():
                return
            self._events.append(copy)
            self._accepted += 1
            waiting = len(self._events)
            if waiting == 1:
                self._since = time.monotonic()
                self._wake()
            elif waiting == self._max_rows:
                self._due.notify()

    def flush(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Return once the service has all events that were accepted before.

        Raises RequestRefused, or BadBody, if some were refused since this was last called: those are lost.
        Raises ServiceUnavailable if it takes longer than ``timeout`` seconds: the events wait on.
        """
        with self._lock:
            self._flush_to = target = self._accepted
            self._due.notify()
            is_done = self._settled.wait_for(lambda: self._done >= target, timeout)
            self._raise_problem()
            if not is_done:
                raise self._late()

    def close(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Send what waits, and accept nothing more; raises as ``flush`` does.

        What the service hasn't accepted in ``timeout`` seconds is dropped.
        """
        _open_buffers.discard(self)
        self._close_soon(timeout)
        self._wait_closed()

    def __reduce__(self) -> tuple[type[EventBuffer], tuple[Any, ...]]:
        """Have another process start with an empty buffer, as a forked one does."""
        return EventBuffer, self._arguments

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self.close()
        else:
            with suppress(CollectorError):  # close has logged it; the block's own error goes on
                self.close()

    def _has_room(self) -> bool:
        """Wait for room; return False if the event is dropped. Raises RuntimeError if the buffer is closed."""
        while not self._is_closed:
            if self.waiting < self._max_waiting:
                return True
            if not self._is_blocking or self._thread is None:
                if self.dropped == 0:
                    _log.warning("%d events of %s wait for the service; more are dropped", self.waiting, self._id)
                self.dropped += 1
                return False
            self._settled.wait()
        if not self._is_ending:
            raise RuntimeError("the buffer is closed")
        return True

    def _close_soon(self, timeout: float, *, is_ending: bool = False) -> None:
        with self._lock:
            self._is_closed, self._is_ending = True, is_ending
            self._deadline = min(self._deadline, time.monotonic() + timeout)
            self._due.notify()
            self._settled.notify_all()  # wakes those who wait for room, which they won't get
        self._closing.set()

    def _wait_closed(self) -> None:
        if self._thread is None:
            self._work()
        else:
            self._thread.join(max(0.0, self._deadline + GRACE - time.monotonic()))
        with self._lock:
            if self.waiting:
                self._problem = self._late()
                _log.error("%s", self._problem)
            elif self._is_ending:
                self._client.close()
            self._raise_problem()

    def _late(self) -> ServiceUnavailable:
        return ServiceUnavailable(f"{self.waiting} events of {self._id} could not be sent in time")

    def _raise_problem(self) -> None:
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    # The thread's side

    def _wake(self) -> None:
        if self._is_closed:  # the process is ending: what comes now must be sent at once
            self._work()
        elif self._thread is None:
            # A daemon thread: for any other, the interpreter waits before it calls _close_all, which would end it.
            thread = threading.Thread(target=self._work, name=f"events of {self._id}", daemon=True)
            with suppress(RuntimeError):  # the interpreter is exiting and starts no threads
                thread.start()
                self._thread = thread
            _close_all_at_the_end()
        self._due.notify()

    def _work(self) -> None:
        """Send what is due until the buffer is closed and empty; if no thread can be started, ``close`` calls it."""
        while events := self._next():
            for start in range(0, len(events), self._max_rows):
                self._deliver(events[start : start + self._max_rows])
        if not self._is_ending:  # another thread may be sending with it
            self._client.close()

    def _next(self) -> Events:
        """Wait until events are due, and return all of them; return none once the buffer is closed and empty."""
        with self._lock:
            while not self._is_due():
                if self._is_closed:
                    return []
                self._due.wait(self._since + self._max_delay - time.monotonic() if self._events else None)
            events, self._events = self._events, []
            return events

    def _is_due(self) -> bool:
        if not self._events:
            return False
        is_hurried = self._is_closed or self._flush_to > self._accepted - len(self._events)
        is_old = time.monotonic() >= self._since + self._max_delay
        return is_hurried or is_old or len(self._events) >= self._max_rows

    def _deliver(self, events: Events) -> None:
        for rows in written(events, self._lose):
            self._run(rows)

    def _run(self, rows: EventRows) -> None:
        steps, problem = self._deliveries.deliver(rows), None
        while (step := next_step(steps, problem)) is not None:
            problem = self._pause(step.seconds, problem) if isinstance(step, Pause) else self._send(step)

    def _lose(self, events: Events, problem: CollectorError) -> None:
        tell_lost(self._id, events, problem, self._on_lost)
        with self._lock:
            if isinstance(problem, ServiceUnavailable):
                self.dropped += len(events)
            else:
                self.refused += len(events)
            self._problem = self._problem or problem
            self._settle(len(events))

    def _settle(self, rows: int) -> None:
        self._done += rows
        self._settled.notify_all()

    def _send(self, sending: Sending) -> CollectorError | None:
        try:
            self._client.send_body(self._id, sending.rows.body(), ARROW, sending.key)
        except CollectorError as error:
            return error
        with self._lock:
            self.sent += sending.rows.rows
            self._settle(sending.rows.rows)
        return None

    def _pause(self, seconds: float, problem: CollectorError | None) -> CollectorError | None:
        """Pause before the next try; return the problem if no time is left."""
        if time.monotonic() >= self._deadline:
            return problem
        if self._closing.is_set():
            time.sleep(max(0.0, min(seconds, self._deadline - time.monotonic())))
        else:
            self._closing.wait(seconds)
        return None


_open_buffers: weakref.WeakSet[EventBuffer] = weakref.WeakSet()


def _close_all(**_: object) -> None:
    """Send what waits when the process ends; daemon threads run until then."""
    buffers = list(_open_buffers)
    for buffer in buffers:
        buffer._close_soon(EXIT_TIMEOUT, is_ending=True)  # noqa: SLF001
    for buffer in buffers:
        with suppress(CollectorError):  # it was logged
            buffer._wait_closed()  # noqa: SLF001


def _begin_all() -> None:
    for buffer in list(_open_buffers):
        buffer._begin()  # noqa: SLF001


def _close_all_at_the_end() -> None:
    """Have a child of multiprocessing, billiard or Celery send what waits: such a child ends without ``atexit``.

    multiprocessing forgets what was registered before a child runs, so this is registered again in it. Celery's pool
    ends its workers by ``os._exit``, and gives a signal before.
    """
    for name in ("multiprocessing.util", "billiard.util"):
        if (util := sys.modules.get(name)) is not None:
            _finalize(util)
            util.register_after_fork(util, _finalize)
    if (signals := sys.modules.get("celery.signals")) is not None:
        signals.worker_process_shutdown.connect(_close_all, weak=False)


def _finalize(util: Any) -> None:
    util.Finalize(None, _close_all, exitpriority=_LAST)


# At the priority at which temporary directories are removed: all else, which may have sent events, has ended by then.
_LAST = -100
atexit.register(_close_all)
os.register_at_fork(after_in_child=_begin_all)
