"""Messages: their values become frames; each is checked alone, so that a bad one is found and named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from collector.errors import BadBody, BodyTooLarge, CollectorError
from collector.formats.frames import Frame, check_frame
from collector.store.records import Fetched

if TYPE_CHECKING:
    from collector.formats.bounds import Bounds, Counted

ValueFormat = Literal["json", "ndjson", "arrow"]

# Whole and no more: two halves of an object, each in a message of its own, would make a sound list together.
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode


class Message(Protocol):
    """What is used of confluent_kafka.Message."""

    def topic(self) -> str | None: ...  # noqa: D102
    def partition(self) -> int | None: ...  # noqa: D102
    def offset(self) -> int | None: ...  # noqa: D102
    def timestamp(self) -> tuple[int, int]: ...  # noqa: D102
    def value(self) -> bytes | None: ...  # noqa: D102
    def key(self) -> bytes | None: ...  # noqa: D102
    def headers(self) -> list[tuple[str, bytes | None]] | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that is no event, and why."""

    message: Message
    reason: str
    told: str


@dataclass(slots=True)
class Run:
    """Messages of one partition that follow each other; ``next`` is what comes after them.

    All are checked but the ``unchecked``, which only a process of its own may read; see ``check_tables``.
    """

    topic: str
    partition: int
    next: int
    pieces: list[tuple[int, bytes, int]] = field(default_factory=list)  # offset, what goes into a frame, its rows
    names: set[str] = field(default_factory=set)
    received: float = 0.0
    rejected: list[Rejected] = field(default_factory=list)
    unchecked: list[Message] = field(default_factory=list)
    tombstones: int = 0

    @property
    def messages(self) -> int:
        """How many messages may become events."""
        return len(self.pieces) + len(self.unchecked)

    @property
    def rows(self) -> int:
        """How many events they are."""
        return sum(rows for *_, rows in self.pieces)

    def frames(self, value_format: ValueFormat, sizes: Iterator[float]) -> Iterator[Fetched]:
        """Make frames of at most so many rows each, where messages end."""
        if value_format == "arrow":
            yield from (self._frame(value_format, [piece], piece[2]) for piece in self.pieces)
            return
        pieces: list[tuple[int, bytes, int]] = []
        limit, rows = next(sizes), 0
        for piece in self.pieces:
            pieces.append(piece)
            rows += piece[2]
            if rows >= limit:
                yield self._frame(value_format, pieces, rows)
                pieces, limit, rows = [], next(sizes), 0
        if pieces:
            yield self._frame(value_format, pieces, rows)

    def _frame(self, value_format: ValueFormat, pieces: list[tuple[int, bytes, int]], rows: int) -> Fetched:
        bodies = [body for _, body, _ in pieces]
        body = b"[%b]" % b",".join(bodies) if value_format == "json" else b"\n".join(bodies)
        frame = Frame(value_format, body, rows, self.names)
        return Fetched(frame, self.topic, self.partition, pieces[0][0], self.received)

    def until(self, end: int) -> None:
        """Leave out what comes from an offset on; it is read again by whoever needs it."""
        self._keep(0, end)
        self.next = min(self.next, end)

    def begin_at(self, begin: int) -> None:
        """Leave out what comes before an offset: it is here already."""
        self._keep(begin, self.next)

    def _keep(self, begin: int, end: int) -> None:
        self.pieces = [piece for piece in self.pieces if begin <= piece[0] < end]
        self.rejected = [one for one in self.rejected if begin <= (one.message.offset() or 0) < end]
        self.unchecked = [one for one in self.unchecked if begin <= (one.offset() or 0) < end]


def check_messages(messages: list[Message], value_format: ValueFormat, bounds: Bounds, now: float) -> Run:
    """Check messages of one partition, in their order."""
    first, last = messages[0], messages[-1]
    run = Run(first.topic() or "", first.partition() or 0, (last.offset() or 0) + 1)
    # When the first of them was sent; a sender's clock may be ahead.
    sent = first.timestamp()[1] / 1000
    run.received = min(sent, now) if sent > 0 else now
    pieced: list[tuple[Message, bytes, int]] = []
    for message in messages:
        value = message.value()
        if value is None:  # of a compacted topic: its key is gone
            run.tombstones += 1
            continue
        if value_format == "arrow":
            run.unchecked.append(message)
            continue
        try:
            body, rows, names = _PIECES[value_format](value, bounds)
        except CollectorError as error:
            run.rejected.append(Rejected(message, _reason(error), str(error)))
        else:
            pieced.append((message, body, rows))
            run.names.update(names)
    run.pieces = [(message.offset() or 0, body, rows) for message, body, rows in pieced if rows]
    if run.pieces and value_format == "json":
        _check_together(run, pieced, bounds)
    return run


async def check_tables(run: Run, check: Callable[[bytes], Awaitable[Counted]]) -> None:
    """Check what wasn't, one message after the other."""
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


def _check_together(run: Run, pieced: list[tuple[Message, bytes, int]], bounds: Bounds) -> None:
    """Check what is in objects, all at once; only where that fails, each alone, to find which it is."""
    try:
        frame = check_frame("json", b"[%b]" % b",".join([body for _, body, _ in run.pieces]), bounds)
        run.names.update(frame.names)
        is_sound = frame.rows == run.rows
    except CollectorError:
        is_sound = False
    if not is_sound:
        run.pieces = []
        for message, body, rows in pieced:
            try:
                run.names.update(check_frame("json", b"[%b]" % body, bounds).names)
            except CollectorError as error:
                run.rejected.append(Rejected(message, _reason(error), str(error)))
            else:
                run.pieces += [(message.offset() or 0, body, rows)] if rows else []


# What of a value goes into a frame, its rows, and the names of its columns if they are known; raises what check_frame
# does.
_Piece = Callable[[bytes, "Bounds"], tuple[bytes, int, Collection[str]]]


def _json_piece(value: bytes, bounds: Bounds) -> tuple[bytes, int, Collection[str]]:
    is_list = value.lstrip()[:1] == b"["
    try:
        rows = len(_objects(value)) if is_list else min(1, len(_object(value)))
    except msgspec.MsgspecError:
        # It may hold NaN, which JSON hasn't and Python writes; or it is told what is wrong with it.
        rows = check_frame("json", value if is_list else b"[%b]" % value, bounds).rows
        if rows > 1 and not is_list:
            raise BadBody(
                "a message with several objects is a list: put [ before the first and ] after the last"
            ) from None
    return (value.strip()[1:-1] if is_list else value), rows, ()


def _lines_piece(value: bytes, bounds: Bounds) -> tuple[bytes, int, Collection[str]]:
    frame = check_frame("ndjson", value, bounds)
    return value.strip(), frame.rows, frame.names


_PIECES: dict[str, _Piece] = {"json": _json_piece, "ndjson": _lines_piece}


def _reason(error: CollectorError) -> str:
    return {"BodyTooLarge": "too_large"}.get(type(error).__name__, "not_a_table")
