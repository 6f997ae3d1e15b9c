"""Records: the journal's rows, as all other modules see them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from collector.config.labels import LABELS, MAIN
from collector.formats.frames import Frame

State = Literal["sealed", "evaluated", "delivered", "failed"]
STATES: tuple[State, ...] = get_args(State)
SnapshotState = Literal["evaluated", "delivered", "rejected", "failed", "empty"]
SNAPSHOT_STATES: tuple[SnapshotState, ...] = get_args(SnapshotState)


@dataclass(frozen=True, slots=True)
class Part:
    """A parquet file of rows, by its path in the data directory.

    If the collector's trigger goes by event time, all of its rows are of one window, which starts at ``window``;
    ``late`` of them came after their own window was closed.
    """

    path: str
    rows: int
    size: int
    window: float | None = None
    late: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed, immutable set of rows for one report; all times in Unix seconds.

    ``opened`` and ``sealed`` say when its first row came and when it was sealed; ``start`` and ``end`` are the window
    of its events' own times, if those are known. If ``report`` isn't "main", its rows were made from the rows of the
    batch ``source``: for "labels", by joining labels to them. A batch with ``is_backfill`` is history, sent after newer
    events. The snapshots of the batches that it ``replaces`` are removed before its own is delivered.
    """

    id: str
    collector: str
    state: State
    rows: int
    opened: float
    sealed: float
    attempts: int = 0
    outcome: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    report: str = MAIN
    source: str = ""
    start: float | None = None
    end: float | None = None
    is_backfill: bool = False
    replaces: tuple[str, ...] = ()

    @property
    def window(self) -> tuple[float, float]:
        """The window of its events' own times if they are known, else from its opening to its sealing."""
        return (
            self.opened if self.start is None else self.start,
            self.sealed if self.end is None else self.end,
        )


def labelled_id(batch_id: str) -> str:
    """Return the id of the batch that is made of the rows of another that have labels."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{batch_id}/{LABELS}"))


def live_first(batches: Iterable[Batch]) -> Batch | None:
    """Return the first batch that isn't history; if all are, the first one; None if there is none."""
    return min(batches, key=lambda batch: batch.is_backfill, default=None)


@dataclass(frozen=True, slots=True)
class Whole:
    """A batch that comes as one body, with the window that its sender names, and a digest to know it again.

    With ``is_replacement``, it replaces the batches of the same window.
    """

    id: str
    collector: str
    digest: bytes
    start: float
    end: float
    is_backfill: bool = False
    is_replacement: bool = False


@dataclass(frozen=True, slots=True)
class Replaced:
    """A batch that was dropped for another, the paths of its parts, and their bytes that were not delivered."""

    batch: str
    paths: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Which batch a body has become, whether that is new, and the batches that it replaced."""

    batch: str
    is_new: bool
    replaced: tuple[Replaced, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a snapshot is judged by: how many tests failed or are errors (None: it has no tests), and the drift share.

    ``told`` is the part of its outcome that is kept for trends and pages.
    """

    bad_tests: int | None
    drift_share: float | None
    is_bad: bool
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SegmentMade:
    """A segment of a batch, its rows, and its verdict; if its report failed, None and the ``error``."""

    name: str
    rows: int
    verdict: Verdict | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What came of a batch: a snapshot that waits, is delivered or was rejected by its workspace; or a failed report.

    It is "empty" if no row met the collector's conditions: there is no snapshot then. If ``segment`` isn't empty,
    it is about that segment of the batch, and ``rows`` are the segment's.

    ``made`` says when it was made, ``number`` counts the snapshots of the collector up to it. If it is bad,
    ``bad_since`` says since when all snapshots have been bad; else it is None.
    """

    batch: str
    report: str
    segment: str
    state: SnapshotState
    rows: int
    opened: float
    sealed: float
    made: float
    delivered: float | None
    number: int
    bad_tests: int | None
    drift_share: float | None
    bad_since: float | None
    outcome: dict[str, Any]
    error: str


@dataclass(frozen=True, slots=True)
class Awaited:
    """A batch that waits for its labels, or has closed: labels with numbers beyond its ``cut`` came too late for it.

    ``state`` is that of the batch itself. ``keyed`` of its rows have a key, ``labelled`` of those have a label among
    the labels that were looked at so far, which are those up to the number ``matched``. ``keys`` and ``marks`` name
    files that can be made again.
    """

    batch: str
    rows: int
    opened: float
    state: State | None
    since: float
    wait: float
    cut: int | None = None
    closed: float | None = None
    disputed: int = 0
    key: str | None = None
    keys: str | None = None
    keyed: int = 0
    repeated: int = 0
    matched: int = 0
    labelled: int = 0
    marks: str | None = None

    @property
    def due(self) -> float:
        """When it has waited for long enough."""
        return self.since + self.wait


@dataclass(frozen=True, slots=True)
class LabelPart:
    """A part of labels, the numbers of its first and last frame, and when it was written.

    It is kept at least until the time ``held``.
    """

    path: str
    rows: int
    size: int
    first: int
    last: int
    since: float
    held: float


@dataclass(frozen=True, slots=True)
class MadeReference:
    """A file to compare with that the service has made, by its path in the data directory.

    Its rows are those that ``source`` says, an address perhaps; ``since`` is when it was made. One that ``is_kept``
    can't be made again.
    """

    path: str
    source: str
    rows: int
    since: float
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Frames that follow each other and are to become one part."""

    collector: str
    first: int
    last: int
    frames: int
    rows: int
    size: int
    opened: float  # when the first row came


@dataclass(frozen=True, slots=True)
class Cut:
    """What is cut off the open batch: its rows, up to the frame ``last``, and the time from the first to the cut."""

    rows: int
    frames: int
    frame_rows: int
    frame_bytes: int
    last: int
    opened: float
    sealed: float
    batch: str = field(default="", compare=False)  # the batch's id


@dataclass(frozen=True, slots=True)
class NewColumns:
    """Names that came to a collector's open batch after a cut, as hashes in one piece.

    Those that came before the cut ``oldest`` belong to rows that are gone.
    """

    cut: int
    oldest: int
    names: bytes


@dataclass(frozen=True, slots=True)
class Fetched:
    """A frame that was read from a partition of a log: where it begins there, and when its first event came."""

    frame: Frame
    topic: str
    partition: int
    first: int
    received: float


@dataclass(frozen=True, slots=True)
class Logged:
    """What a model server has logged, as columns in JSON: an event, labels, or a half of an event.

    ``stream`` is whose it is, ``key`` what it is known by if it comes again. Both halves of an event have the same
    ``pair``; what is whole has none.
    """

    stream: str
    key: str
    body: bytes
    rows: int
    names: tuple[str, ...]
    pair: str = ""
    is_request: bool = False

    @property
    def frame(self) -> Frame:
        """It as a frame."""
        return Frame("json", self.body, self.rows, self.names)


# What became of a logged request or response: ``waiting`` is a half whose other half hasn't come.
Fate = Literal["kept", "waiting", "label", "repeated"]


# Offsets by topic and partition.
Offsets = dict[tuple[str, int], int]


class Range(NamedTuple):
    """Where events are in a log: from ``first`` on, to before ``end``."""

    topic: str
    partition: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """An undelivered batch of events from Kafka: when it was sealed, and where it ends."""

    sealed: float
    ends: Offsets


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a collector's events were read from a log: to ``next``.

    The oldest of its ``batches``, those that aren't delivered, begins at ``base``; the open batch if there are none.
    ``fired`` is when its trigger last did.
    """

    next: Offsets
    base: Offsets
    batches: tuple[Sealed, ...]
    fired: float | None


@dataclass(frozen=True, slots=True)
class AlertState:
    """How a rule for alerts stands with a collector, "" being the service itself, or with a segment of its rows.

    Times are in Unix seconds. It is firing from when it was told until its end, and ``since`` is when it began. Before
    that it counts what may lead there: ``bad`` batches in a row, or the seconds for which something has ``lasted``.
    """

    rule: str
    collector: str
    is_firing: bool = False
    bad: int = 0
    batch: str = ""  # the last bad batch
    since: float = 0.0
    lasted: float = 0.0
    told: float = 0.0
    said: dict[str, str] = field(default_factory=dict)
    segment: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that waits to be sent, and how many wait for its address, itself among them."""

    number: int
    body: str
    waiting: int
