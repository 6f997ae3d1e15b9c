"""What both buffers share: their bounds, how a batch of events is sent, and who is told of those that are lost."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from collector.client.arrow import arrow_bodies, table_of_events
from collector.client.requests import Pause, pause_after
from collector.errors import BadBody, CollectorError, ServiceUnavailable

Lost = Callable[[list[dict[str, Any]], CollectorError], None]

_log = logging.getLogger(__name__)

# Of the pause before the next try: a service that comes back is noticed within 6.4 s.
_MOST_DOUBLINGS = 5


@dataclass(frozen=True)
class BufferBounds:
    """When what waits is sent: at so many rows, or so old; and how much may wait at all."""

    max_rows: int
    max_delay: float
    max_waiting: int

    def __post_init__(self) -> None:
        if not 1 <= self.max_rows <= self.max_waiting:
            raise ValueError("max_rows must be at least 1, and max_waiting at least max_rows")


@dataclass(frozen=True)
class Sending:
    """A body that is to be sent under a key."""

    body: bytes
    key: str


# Each step is done by a buffer, which sends in what is wrong, if anything is; so does the whole.
Delivery = Generator[Sending | Pause, CollectorError | None, None]


def delivery(collector_id: str, bodies: list[bytes]) -> Delivery:
    """Send the bodies of some events, however long it takes; raise what is wrong with them if they are refused.

    If the service is away, each pause may be answered with its error: then it is raised, and not asked again.
    """
    for body in bodies:
        sending = Sending(body, str(uuid.uuid4()))
        for attempt in count():
            problem = yield sending
            if problem is None:
                break
            if not isinstance(problem, ServiceUnavailable):
                raise problem
            if attempt == 0:
                _log.warning("%s; events of %s wait", problem, collector_id)
            if (given_up := (yield Pause(pause_after(min(attempt, _MOST_DOUBLINGS), problem)))) is not None:
                raise given_up


def next_step(steps: Delivery, problem: CollectorError | None) -> Sending | Pause | None:
    """Return the next step of a delivery, None at its end, given what went wrong with the one before."""
    try:
        return steps.send(problem)
    except StopIteration:
        return None


def copied(event: Mapping[str, Any]) -> dict[str, Any]:
    """Copy an event, so that it stays what it is until it is sent; raise ValueError for one without columns."""
    copy = dict(event)
    if not copy:
        raise ValueError("an event has at least one column")
    return copy


def event_bodies(events: list[dict[str, Any]]) -> list[bytes]:
    """Write events as bodies; raise BadBody if they can't be."""
    try:
        return list(arrow_bodies(table_of_events(events)))
    except Exception as error:  # a value of the caller's may raise anything when it is written
        raise BadBody(f"the events can't be put into a table: {error!r}") from error


def tell_lost(collector_id: str, events: list[dict[str, Any]], problem: CollectorError, on_lost: Lost | None) -> None:
    """Tell the log and the caller of events that are lost."""
    _log.error("%d events of %s are lost: %s", len(events), collector_id, problem)
    if on_lost is not None:
        try:
            on_lost(events, problem)
        except Exception:  # noqa: BLE001  (the caller's; the events behind these must still be sent)
            _log.exception("on_lost failed")
