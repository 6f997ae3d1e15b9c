"""What both buffers share: their bounds, how a batch of events is sent, and how lost events are reported."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collector.client.arrow import Rows, sound, table_of_events
from collector.client.halving import Halving, Passage
from collector.client.requests import Pause, pause_after
from collector.errors import BadBody, CollectorError, RequestRefused, ServiceUnavailable

if TYPE_CHECKING:
    import pyarrow as pa

Events = list[dict[str, Any]]
Lost = Callable[[Events, CollectorError], None]

_log = logging.getLogger(__name__)

# The pause before the next try doubles at most this often, so a service that comes back is noticed within 6.4 s.
_MOST_DOUBLINGS = 5


@dataclass(frozen=True)
class BufferBounds:
    """When waiting events are sent: at how many rows, or how old; and how many may wait at all."""

    max_rows: int
    max_delay: float
    max_waiting: int

    def __post_init__(self) -> None:
        if not 1 <= self.max_rows <= self.max_waiting:
            raise ValueError("max_rows must be at least 1, and max_waiting at least max_rows")


@dataclass(frozen=True)
class EventRows(Rows):
    """Events, and the rows of a table that they are."""

    events: Events

    def halves(self) -> tuple[EventRows, EventRows]:
        """Return the first half of them, and the others, each with the columns that its events have."""
        first, second = super().halves()
        half = first.rows
        return _of_events(first.table, self.events[:half]), _of_events(second.table, self.events[half:])

    def without(self, columns: set[str]) -> tuple[EventRows, Events]:
        """Return the rows of the events that have none of these columns, and the other events."""
        kept = [n for n, event in enumerate(self.events) if columns.isdisjoint(sound(str(name)) for name in event)]
        others = set(range(self.rows)).difference(kept)
        table = self.table.filter([n not in others for n in range(self.rows)])
        return _of_events(table, [self.events[n] for n in kept]), [self.events[n] for n in sorted(others)]


def _of_events(table: pa.Table, events: Events) -> EventRows:
    names = {sound(str(name)) for event in events for name in event}
    return EventRows(table.select([name for name in table.column_names if name in names]), events)


@dataclass(frozen=True)
class Sending:
    """Rows that are to be sent under a key."""

    rows: EventRows
    key: str


# The buffer carries out each step, and sends in the error if there was one.
Delivery = Generator[Sending | Pause, CollectorError | None, None]


def written(events: Events, lose: Lost) -> list[EventRows]:
    """Put events into one table, without those that can't be written; ``lose`` is called with these."""
    if not events:
        return []
    try:
        return [EventRows(table_of_events(events), events)]
    except Exception as error:  # noqa: BLE001  (a value of the caller's may raise anything when it is written)
        if len(events) > 1:
            half = len(events) // 2
            return written(events[:half], lose) + written(events[half:], lose)
        problem = BadBody(f"the event can't be put into a table: {error!r}")
        problem.__cause__ = error
        lose(events, problem)
        return []


class Deliveries:
    """How the events of one buffer are sent, however long it takes."""

    def __init__(self, collector_id: str, lose: Lost) -> None:
        self._id = collector_id
        self._lose = lose
        self._passage = Passage()

    def deliver(self, rows: EventRows) -> Delivery:
        """Send events; those that are too large together go in halves, and refused ones are lost.

        If the service is away, a pause may be answered with its error: then they are given up.
        """
        halving = Halving(rows, str(uuid.uuid4()), self._passage)
        for piece, key in halving:
            problem = yield from self._send(Sending(piece, key))
            if problem is None or halving.halves_after(problem):
                continue
            yield from self._go_on(piece, problem)

    def _go_on(self, rows: EventRows, problem: CollectorError) -> Delivery:
        """Drop what was refused: if new columns were the reason, the events that have them; else all events."""
        new_columns = problem.new_columns if isinstance(problem, RequestRefused) else ()
        rest, lost = rows.without(set(new_columns))
        if not lost or not rest.events:
            self._lose(rows.events, problem)
        else:
            self._lose(lost, problem)
            yield from self.deliver(rest)

    def _send(self, sending: Sending) -> Generator[Sending | Pause, CollectorError | None, CollectorError | None]:
        attempt = 0
        while isinstance(problem := (yield sending), ServiceUnavailable):
            if attempt == 0:
                _log.warning("%s; events of %s wait", problem, self._id)
            if (given_up := (yield Pause(pause_after(min(attempt, _MOST_DOUBLINGS), problem)))) is not None:
                return given_up
            attempt += 1
        return problem


def next_step(steps: Delivery, problem: CollectorError | None) -> Sending | Pause | None:
    """Return the next step of a delivery, given the error of the one before, if any; None at the end."""
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


def tell_lost(collector_id: str, events: Events, problem: CollectorError, on_lost: Lost | None) -> None:
    """Tell the log and the caller of events that are lost."""
    _log.error("%d events of %s are lost: %s", len(events), collector_id, problem)
    if on_lost is not None:
        try:
            on_lost(events, problem)
        except Exception:  # noqa: BLE001  (the caller's; the events behind these must still be sent)
            _log.exception("on_lost failed")
