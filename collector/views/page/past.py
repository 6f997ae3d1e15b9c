"""Past: the snapshots that a collector has made, as the page tells of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collector.status.findings import (
    bad_tests,
    drift_count_words,
    drift_words,
    failed_test_words,
    findings_of,
    has_drift,
    is_bad,
    tests_words,
    uncomputed_words,
    value_words,
)
from collector.status.segments import bad_words, segment_words
from collector.views.page.plots import Point, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from collector.store.records import Snapshot
    from collector.workers.exchange import Findings, Value

# How many columns and tests a row of a table names.
_NAMED = 3


@dataclass(frozen=True)
class Past:
    """One snapshot: its batch, when it was made, and its outcome."""

    batch: str
    time: float
    rows: int
    state: str = "delivered"
    # when the first of the bad snapshots in a row up to this one was made; None if this one isn't bad
    bad_since: float | None = None
    outcome: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, snapshot: Snapshot) -> Past:
        """Return what the journal keeps of a snapshot."""
        return cls(snapshot.batch, snapshot.made, snapshot.rows, snapshot.state, snapshot.bad_since, snapshot.outcome)

    @property
    def findings(self) -> Findings:
        """What its report found."""
        return findings_of(self.outcome)

    @property
    def drift_share(self) -> float | None:
        """The share of columns that drifted; None if none was asked for."""
        return self.outcome.get("drift_share")

    @property
    def bad_tests(self) -> int:
        """How many tests failed or are errors."""
        return bad_tests(self.outcome.get("tests") or {})

    @property
    def tests(self) -> int:
        """How many tests there are."""
        return sum((self.outcome.get("tests") or {}).values())

    @property
    def has_drift(self) -> bool:
        """Whether it counts as drifted as a whole."""
        return has_drift(self.outcome)

    @property
    def chosen(self) -> list[Value]:
        """The numbers that the collector's config exports; if it says nothing of that, those that its report has."""
        exported = [one for one in self.outcome.get("exported") or [] if one]
        # The drift share says already how many columns drifted.
        return exported or [one for one in self.findings["values"] if one and one["metric"] != "DriftedColumnsCount"]

    @property
    def is_bad(self) -> bool:
        """Whether a person should look at it."""
        return is_bad(self.outcome)

    @property
    def verdicts(self) -> list[tuple[str, str]]:
        """What it says in a few words, each with its tone."""
        said, outcome = [], self.outcome
        if failed := outcome.get("failed_metrics"):
            said.append((f"{failed} not computed", "warn"))
        if tests := outcome.get("tests"):
            said.append((tests_words(tests), "bad" if self.bad_tests else "good"))
        if drift := drift_count_words(outcome):
            said.append((drift, "warn" if self.has_drift else "good" if drift.startswith("0 ") else "calm"))
        if self.state == "empty":
            said.append(("nothing to report", "calm"))
        if segments := segment_words(self.outcome.get("by_segment")).partition(":")[0]:
            said.append((segments, "warn" if self.outcome["by_segment"]["bad"] else "good"))
        return said

    def details(self, most: int = _NAMED) -> list[tuple[str, str]]:
        """Return which columns and tests, worst first, and its first numbers if it is about neither."""
        found = self.findings
        told = [
            ("not computed", uncomputed_words(found, most)),
            ("failed", failed_test_words(found, most)),
            ("drifted", drift_words(found, most)),
            ("segments", bad_words(self.outcome.get("by_segment"), most)),
        ]
        named = [one for one in told if one[1]]
        return named if named or self.tests or found["drift"] else [("", value_words(found, most))]


def bad_since(pasts: Sequence[Past], is_bad: Callable[[Past], object]) -> float | None:
    """Return since when snapshots are bad without a good one between; ``pasts`` come newest first.

    If all that are seen are, it is since the journal knows of one that is bad.
    """
    since = None
    for past in pasts:
        if not is_bad(past):
            return since
        since = past.time
    return pasts[0].bad_since or since if pasts else None


def drift_series(pasts: Sequence[Past]) -> Series:
    """Return the shares of drifted columns of snapshots, which come newest first."""
    points = [
        Point(past.time, past.drift_share, past.has_drift) for past in reversed(pasts) if past.drift_share is not None
    ]
    return Series("drift share", tuple(points), is_share=True)


def failures_series(pasts: Sequence[Past]) -> Series:
    """Return how many tests of each snapshot failed."""
    points = [Point(past.time, past.bad_tests, bool(past.bad_tests)) for past in reversed(pasts) if past.tests]
    return Series("failed tests", tuple(points))


def value_series(pasts: Sequence[Past], most: int) -> list[Series]:
    """Return the series of the first numbers that were chosen, those that the newest snapshot has."""
    if not pasts:
        return []
    wanted = [(one["metric"], one["column"], one["label"]) for one in pasts[0].chosen[:most]]
    by_key: dict[tuple[str, str, str], list[Point]] = {key: [] for key in wanted}
    for past in reversed(pasts):
        for one in past.chosen:
            key = one["metric"], one["column"], one["label"]
            if key in by_key and isinstance(one["value"], int | float):
                by_key[key].append(Point(past.time, one["value"]))
    return [Series(_name(*key), tuple(points)) for key, points in by_key.items()]


def _name(metric: str, column: str, label: str) -> str:
    return " ".join(filter(None, [metric, label, column and f"of {column}"]))
