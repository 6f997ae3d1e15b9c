"""Messages: their values become frames; each is checked alone, so that a bad one is found and named."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from collector.errors import BadBody, BodyTooLarge, CollectorError
from collector.formats.frames import Frame, check_frame
from collector.formats.json_body import count_each, is_list, list_of
from collector.store.records import Fetched

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator

    from confluent_kafka import Message

    from collector.formats.bounds import Bounds, Counted

ValueFormat = Literal["json", "ndjson", "arrow"]
_TOGETHER: dict[str, Callable[[list[bytes]], bytes]] = {"json": list_of, "ndjson": b"\n".join}


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that isn't an event, and why."""

    message: Message
    reason: str
    told: str


@dataclass(slots=True)
class Run:
    """Messages of one partition that follow each other, from ``first`` on; ``next`` is what comes after them.

    All are checked but the ``unchecked``, which only a process of its own may read; see ``check_tables``.
    """

    topic: str
    partition: int
    first: int
    next: int
    pieces: list[tuple[int, bytes, int]] = field(default_factory=list)  # offset, bytes for the frame, and rows
    names: set[str] = field(default_factory=set)
    received: float = 0.0
    rejected: list[Rejected] = field(default_factory=list)
    unchecked: list[Message] = field(default_factory=list)
    size: int = 0  # bytes of all messages
    is_apart: bool = False  # whether each message needs a frame of its own
    together: bytes = b""  # the body of one frame for all messages, if they fit one

    @property
    def rows(self) -> int:
        """How many events they are."""
        return sum(rows for *_, rows in self.pieces)

    def frames(self, value_format: ValueFormat, sizes: Iterator[float]) -> Iterator[Fetched]:
        """Make frames of whole messages; each frame ends once it has as many rows as the next of ``sizes`` says."""
        if self.is_apart:
            yield from (self._frame(value_format, [piece], piece[2]) for piece in self.pieces)
            return
        pieces: list[tuple[int, bytes, int]] = []
        limit, rows = next(sizes), self.rows
        if rows and self.together and rows <= limit:
            yield self._frame(value_format, self.pieces, rows)
            return
        rows = 0
        for piece in self.pieces:
            pieces.append(piece)
            rows += piece[2]
            if rows >= limit:
                yield self._frame(value_format, pieces, rows)
                pieces, limit, rows = [], next(sizes), 0
        if pieces:
            yield self._frame(value_format, pieces, rows)

    def _frame(self, value_format: ValueFormat, pieces: list[tuple[int, bytes, int]], rows: int) -> Fetched:
        if self.is_apart:
            body = pieces[0][1]
        elif self.together and pieces is self.pieces:
            body = self.together
        else:
            body = _TOGETHER[value_format]([body for _, body, _ in pieces])
        frame = Frame(value_format, body, rows, self.names)
        return Fetched(frame, self.topic, self.partition, pieces[0][0], self.received)

    def until(self, end: int) -> Run | None:
        """Leave out what comes from an offset on, and return it if there is any."""
        if self.next <= end:
            return None
        rest = replace(self)
        rest.begin_at(end)
        self._keep(self.first, end)
        self.next = end
        return rest

    def begin_at(self, begin: int) -> None:
        """Leave out what comes before an offset: it is here already."""
        if self.first < begin:
            self._keep(begin, self.next)

    def _keep(self, begin: int, end: int) -> None:
        self.first, self.together = begin, b""
        self.pieces = [piece for piece in self.pieces if begin <= piece[0] < end]
        self.rejected = [one for one in self.rejected if begin <= (one.message.offset() or 0) < end]
        self.unchecked = [one for one in self.unchecked if begin <= (one.offset() or 0) < end]


def check_messages(messages: list[Message], value_format: ValueFormat, bounds: Bounds, now: float) -> Run:
    """Check messages of one partition, in their order."""
    first, last = messages[0], messages[-1]
    run = Run(first.topic() or "", first.partition() or 0, first.offset() or 0, (last.offset() or 0) + 1)
    # When the first message was sent. A sender's clock may be ahead.
    sent = first.timestamp()[1] / 1000
    run.received = min(sent, now) if sent > 0 else now
    # a message without a value says only that its key is gone
    given = [message for message in messages if message.value() is not None]
    values = [message.value() or b"" for message in given]
    run.size = sum(map(len, values))
    if value_format == "arrow":
        run.is_apart = True
        run.unchecked = given
    elif not _check_together(run, given, values, value_format, bounds):
        _check_each(run, given, values, value_format, bounds)
    return run


async def check_tables(run: Run, check: Callable[[bytes], Awaitable[Counted]]) -> None:
    """Check the messages that weren't checked yet, one after the other."""
    for message in run.unchecked:
        value = message.value() or b""
        try:
            rows, names = await check(value)
        except (BadBody, BodyTooLarge) as error:
            run.rejected.append(Rejected(message, _reason(error), str(error)))
        else:
            run.names.update(names)
            run.pieces += [(message.offset() or 0, value, rows)] if rows else []
    run.unchecked = []


def _check_together(
    run: Run, given: list[Message], values: list[bytes], value_format: ValueFormat, bounds: Bounds
) -> bool:
    """Take messages if each is sound by itself and all are sound in one frame; tell whether that is so."""
    together = _TOGETHER[value_format](values)
    count = count_each if value_format == "json" else _count_lines
    counted = count(values, together, bounds)
    if counted is None:
        return False
    rows, names = counted
    run.names.update(names)
    run.pieces = list(zip([message.offset() or 0 for message in given], values, rows, strict=True))
    if all(rows):
        run.together = together
    else:
        run.pieces = [piece for piece in run.pieces if piece[2]]
    return True


def _count_lines(values: list[bytes], together: bytes, bounds: Bounds) -> tuple[list[int], Collection[str]] | None:
    """Count lines as count_each does; None for lists and nameless objects, which are other rows alone than together."""
    if any(map(is_list, values)):
        return None
    try:
        frame = check_frame("ndjson", together, bounds)
        rows = [check_frame("ndjson", value, bounds).rows for value in values]
    except CollectorError:
        return None
    return (rows, frame.names) if sum(rows) == frame.rows else None


def _check_each(run: Run, given: list[Message], values: list[bytes], value_format: ValueFormat, bounds: Bounds) -> None:
    """Check each message alone, to find the one that isn't sound; the others may not be sound in one frame."""
    run.is_apart = True
    for message, value in zip(given, values, strict=True):
        is_record = value_format == "json" and not is_list(value)
        body = b"[%b]" % value if is_record else value
        try:
            frame = check_frame(value_format, body, bounds)
            if is_record and frame.rows > 1:
                raise BadBody("a message with several objects is a list: put [ before the first and ] after the last")
        except CollectorError as error:
            run.rejected.append(Rejected(message, _reason(error), str(error)))
        else:
            run.names.update(frame.names)
            run.pieces += [(message.offset() or 0, body, frame.rows)] if frame.rows else []


def _reason(error: CollectorError) -> str:
    return {"BodyTooLarge": "too_large"}.get(type(error).__name__, "not_a_table")
