"""Segments in words: which of a batch's are bad, for the log, the status, the page and the terminal alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from collector.status.findings import is_bad, said_of
from collector.wording import counted, listed

# Findings of each kind that are named for a segment.
_MOST = 3


class BySegment(TypedDict):
    """What is reported of a batch's segments: those that have a report, and those that are too small for one.

    ``bad`` says of each that is bad why.
    """

    names: list[str]
    skipped: list[str]
    bad: dict[str, str]


def told_by_segment(outcome: Mapping[str, Any]) -> BySegment:
    """Return what is reported of the segments in a job's outcome."""
    segments = outcome.get("segments") or []
    return {
        "names": [one["segment"] for one in segments],
        "skipped": list(outcome.get("skipped_segments") or ()),
        "bad": {one["segment"]: said for one in segments if (said := _why_bad(one))},
    }


def _why_bad(segment: Mapping[str, Any]) -> str:
    if not segment["ok"]:
        return f"its report failed: {segment['error']}"
    return "; ".join(said_of(segment, _MOST)) if is_bad(segment) else ""


def count_segments(told: BySegment | None) -> dict[str, int]:
    """Count a batch's segments that are good, bad and skipped; nothing if there are none."""
    if not told:
        return {}
    bad = len(told["bad"])
    return {"good": len(told["names"]) - bad, "bad": bad, "skipped": len(told["skipped"])}


def segment_words(told: BySegment | None, most: int = 5) -> str:
    """Say which segments are bad: "2 of 9 segments are bad: de (1 of 4 columns drifted (age 0.3 > 0.1)), fr (…)"."""
    if not told or not told["names"]:
        return ""
    bad, number = len(told["bad"]), len(told["names"])
    if not bad:
        return f"{counted(number, 'segment')} {'is' if number == 1 else 'are'} all right"
    return f"{bad} of {counted(number, 'segment')} {'is' if bad == 1 else 'are'} bad: {bad_words(told, most)}"


def bad_words(told: BySegment | None, most: int = 5) -> str:
    """Name the segments that are bad, each with the reason; empty if none is."""
    return listed([f"{name} ({said})" for name, said in told["bad"].items()], most) if told else ""
