"""The verdict on a snapshot: whether it is bad, and whether it is worse than those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from collector.status.findings import bad_tests, first_findings, is_bad
from collector.status.segments import told_by_segment
from collector.store.records import SegmentMade, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collector.store.records import Snapshot

# How many earlier snapshots one is compared with. With fewer than ``_LEAST``, there is no trend.
TREND = 10
_LEAST = 3
TOLD = (
    *("generation", "kind", "report_id", "drift_share", "drifted_columns", "columns", "dataset_drift"),
    *("tests", "failed_metrics", "findings", "exported", "matched_rows", "by_segment"),
)
# Findings of each kind that are kept for a segment: there may be fifty segments in each of a thousand batches.
_OF_SEGMENT = 20

Trend = Literal["worse", "better", "same", ""]


def verdict_of(outcome: Mapping[str, Any]) -> Verdict:
    """Judge what came of a batch's report, or of a segment's."""
    if outcome.get("segments") is not None:
        outcome = {**outcome, "by_segment": told_by_segment(outcome)}
    tests = outcome.get("tests") or {}
    bad = bad_tests(tests)
    return Verdict(
        bad if tests else None,
        outcome.get("drift_share"),
        is_bad(outcome),
        {name: outcome[name] for name in TOLD if name in outcome},
    )


def made_segments(outcome: Mapping[str, Any]) -> list[SegmentMade]:
    """Judge what came of each segment of a batch."""
    return [_made(one) for one in outcome.get("segments") or ()]


def _made(segment: Mapping[str, Any]) -> SegmentMade:
    name, rows = segment["segment"], segment["matched_rows"]
    if not segment["ok"]:
        return SegmentMade(name, rows, None, segment["error"])
    return SegmentMade(name, rows, verdict_of({**segment, "findings": first_findings(segment, _OF_SEGMENT)}))


def trend_of(snapshots: Sequence[Snapshot]) -> Trend:
    """Compare the first, which is the newest, with those before it: by tests that failed, and by the share of drift.

    It is worse if either is more than in each of the others. Empty: there is nothing to compare, or too few.
    """
    newest, *others = snapshots
    compared = [
        (now, earlier)
        for name in ("bad_tests", "drift_share")
        if (now := getattr(newest, name)) is not None
        and len(earlier := [was for one in others if (was := getattr(one, name)) is not None]) >= _LEAST
    ]
    if any(now > max(earlier) for now, earlier in compared):
        return "worse"
    if any(now < min(earlier) for now, earlier in compared):
        return "better"
    return "same" if compared else ""
