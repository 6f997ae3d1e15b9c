"""Counts: what the stages and the HTTP border count from the start of the service; plain numbers, read at a scrape."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collector.workers.exchange import Value

# Upper bounds in seconds. A request takes milliseconds, a body at most a minute, and a report up to its time-out.
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_EVALUATION_SECONDS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_DELIVERY_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)
_LATENESS_SECONDS = (0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 3600)
# What may become of things. Each has a count of 0 from the start: Prometheus sees no rate in a number that first
# appears as 1.
REFUSALS = (
    "bad_body",
    "bad_media_type",
    "body_too_large",
    "body_too_slow",
    "buffer_full",
    "evaluation_error",
    "forbidden",
    "is_fetched",
    "is_follower",
    "key_reused",
    "no_labels",
    "not_ready",
    "out_of_files",
    "storage_error",
    "too_many_columns",
    "unauthorized",
    "worker_died",
)
NOBODYS_REFUSALS = ("unknown_collector", "unauthorized", "forbidden", "not_ready")
EVALUATIONS = ("ok", "empty", "raised", "too_slow", "worker_failed", "damaged")
# What became of a logged request or response: ``waiting`` is a half of an event, ``kept`` a whole one.
LOGGED = ("kept", "waiting", "label", "repeated", "left_out", "expired")
DELIVERIES = ("ok", "failed", "refused", "rejected", "too_large")
KAFKA_COMMITS = ("ok", "fenced", "failed")
KAFKA_REJECTIONS = ("not_a_table", "too_large")


class Histogram:
    """Counts values by upper bounds, the last of which is infinity."""

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value; a value that equals a bound counts below it."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[int]:
        """Return how many values were at most each bound, and how many there were in all."""
        return list(accumulate(self._counts))


def zeros(names: Iterable[str]) -> Counter[str]:
    """Count nothing yet under each name."""
    return Counter(dict.fromkeys(names, 0))


@dataclass(slots=True)
class KafkaCounts:
    """What is counted of a collector whose events come from Kafka, at this service."""

    # messages that aren't read yet, by topic and partition
    lag: dict[tuple[str, int], int] = field(default_factory=dict)
    takeovers: int = 0
    commits: Counter[str] = field(default_factory=lambda: zeros(KAFKA_COMMITS))  # by outcome
    rejected: Counter[str] = field(default_factory=lambda: zeros(KAFKA_REJECTIONS))  # messages left out, by reason
    dead_letters: int = 0
    reread_rows: int = 0
    twins_removed: int = 0
    # By topic, partition and the position of the reader: how many offsets were gone.
    skipped_offsets: dict[tuple[str, int, int], int] = field(default_factory=dict)


@dataclass(slots=True)
class Restarts:
    """How often something was restarted after it failed."""

    restarts: int = 0


@dataclass(slots=True)
class GroupCounts(Restarts):
    """What is counted of a service that shares collectors with others by Kafka."""

    members: int = 0  # services that have a collector at work
    rebalances: int = 0


@dataclass(slots=True)
class CollectorCounts(Restarts):
    """What is counted of one collector; it outlives its pipeline, as that is restarted when its config changes."""

    accepted_requests: int = 0
    accepted_bytes: int = 0
    late_rows: int = 0
    logged: Counter[str] = field(default_factory=lambda: zeros(LOGGED))
    skipped_rows: int = 0  # as a follower without room
    refused_requests: Counter[str] = field(default_factory=lambda: zeros(REFUSALS))  # by reason
    lateness: Histogram = field(default_factory=lambda: Histogram(*_LATENESS_SECONDS))
    evaluation: Histogram = field(default_factory=lambda: Histogram(*_EVALUATION_SECONDS))
    evaluations: Counter[str] = field(default_factory=lambda: zeros(EVALUATIONS))  # by outcome
    delivery: Histogram = field(default_factory=lambda: Histogram(*_DELIVERY_SECONDS))
    deliveries: Counter[str] = field(default_factory=lambda: zeros(DELIVERIES))  # by outcome
    delivered_rows: int = 0
    tests: Counter[str] = field(default_factory=Counter)  # by outcome
    exported: list[Value] = field(default_factory=list)  # of the last snapshot
    failed_metrics: int = 0  # and tests, presets and descriptors
    failed_segments: int = 0  # whose report raised, or whose snapshot was rejected
    damaged_rows: int = 0
    kafka: KafkaCounts | None = None


@dataclass(slots=True)
class AlertCounts:
    """What is counted of the messages to one address."""

    sent: int = 0
    failed: int = 0  # tries
    dropped: int = 0
    waiting: int = 0


class Answered(NamedTuple):
    """A kind of request that was answered: its route as the docs have it, never the path that a client asked for."""

    route: str
    method: str
    status: int


class Counts:
    """All that is counted; one event loop counts, so that nothing is locked."""

    def __init__(self) -> None:
        self.answered: Counter[Answered] = Counter()
        self.answer_seconds: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(*_REQUEST_SECONDS))
        self.refused_connections = 0  # over the limit
        self.refused_requests = zeros(NOBODYS_REFUSALS)  # of events for no collector that is there, by reason
        self.alerts: defaultdict[str, AlertCounts] = defaultdict(AlertCounts)  # by address, as it may be shown
        self.group: GroupCounts | None = None
        self._collectors: defaultdict[str, CollectorCounts] = defaultdict(CollectorCounts)

    def of(self, collector_id: str) -> CollectorCounts:
        """Return the counts of a collector that is there."""
        return self._collectors[collector_id]

    def note_answer(self, kind: Answered, seconds: float) -> None:
        """Count a request that was answered."""
        self.answered[kind] += 1
        self.answer_seconds[kind.route].observe(seconds)

    def rename(self, old: str, new: str) -> None:
        """Let a collector's counts go on under its new id."""
        if old in self._collectors:
            self._collectors[new] = self._collectors.pop(old)

    def forget(self, collector_id: str) -> None:
        """Drop a collector that was deleted."""
        self._collectors.pop(collector_id, None)
