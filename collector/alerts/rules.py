"""Rules: whether a batch is bad by a rule, and the summary that says why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from collector.config.labels import MAIN
from collector.status.findings import (
    drift_count_words,
    drift_words,
    drifted_columns,
    failed_test_words,
    findings_of,
    has_drift,
    uncomputed_words,
    verdict_words,
)
from collector.status.telling import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collector.config import Alert, CollectorServiceConfig
    from collector.store.records import AlertState, Batch, Snapshot

Json = dict[str, Any]

# Characters that a message quotes of another program's error, or of names that somebody else chose.
MAX_SAID = 1_000


@dataclass(frozen=True)
class Verdict:
    """A rule's verdict on a batch, or on a segment of it, with a sentence that says why."""

    is_bad: bool
    summary: str


@dataclass(frozen=True)
class Change:
    """A change to report: a rule's new state; with ``is_over``, that the alert is over."""

    alert: Alert
    state: AlertState
    is_over: bool = False


def verdict_of(alert: Alert, before: Batch, after: Batch) -> Verdict | None:
    """Return a rule's verdict on a change of a batch; None if it has none.

    A batch that is evaluated once more, as its snapshot's file was damaged, was heard of already.
    """
    if alert.when == "batch_failed":
        return _of_failure(before, after)
    return _of_report(alert, after.outcome) if is_news(before, after) else None


def is_news(before: Batch, after: Batch) -> bool:
    """Tell whether a batch's report was computed, for the first time."""
    return after.state == "evaluated" and "generation" not in before.outcome


def verdict_of_segment(alert: Alert, segment: Snapshot) -> Verdict | None:
    """Return a rule's verdict on a segment of a batch; None if it has none."""
    if alert.when == "batch_failed":
        return None
    if segment.state == "failed":
        is_told = alert.when == "metric_failed"
        return Verdict(is_bad=True, summary=f"its report failed: {segment.error}") if is_told else None
    return _of_report(alert, segment.outcome)


def _of_report(alert: Alert, outcome: Json) -> Verdict:
    if alert.when == "tests_failed":
        return _of_tests(outcome)
    if alert.when == "metric_failed":
        return _of_metrics(outcome)
    return _of_drift(outcome, alert.columns)


def _of_failure(before: Batch, after: Batch) -> Verdict | None:
    if before.state == after.state:
        return None
    if after.state == "failed":
        return Verdict(is_bad=True, summary=f"a batch of {after.rows} rows is kept under failed: {after.error}")
    return Verdict(is_bad=False, summary="batches are delivered again") if after.state == "delivered" else None


def _of_tests(outcome: Json) -> Verdict:
    tests = outcome.get("tests", {})
    if not tests.get("failed") and not tests.get("error"):
        return Verdict(is_bad=False, summary="no test failed")
    return Verdict(
        is_bad=True, summary=_joined(f"tests: {verdict_words(tests)}", failed_test_words(findings_of(outcome)))
    )


def _of_metrics(outcome: Json) -> Verdict:
    number = outcome.get("failed_metrics", 0)
    if not number:
        return Verdict(is_bad=False, summary="all of the report could be computed")
    told = f"{number} {'part' if number == 1 else 'parts'} of the report could not be computed"
    return Verdict(is_bad=True, summary=_joined(told, uncomputed_words(findings_of(outcome))))


def _of_drift(outcome: Json, columns: Sequence[str]) -> Verdict:
    found = findings_of(outcome)
    is_bad = has_drift(outcome) or not set(drifted_columns(found)).isdisjoint(columns)
    return Verdict(is_bad, _joined(drift_count_words(outcome), drift_words(found)) or "no column drifted")


def _joined(*parts: str) -> str:
    return ": ".join(filter(None, parts))


def counted(
    alert: Alert, state: AlertState, verdict: Verdict, batch: Batch, now: float
) -> tuple[AlertState, Change | None]:
    """Return a rule's state after a batch, and the change to report, if any; a batch counts once."""
    if not verdict.is_bad:
        calm = replace(state, is_firing=False, bad=0, batch="")
        if not state.is_firing:
            return calm, None
        over = replace(calm, said=said_of_batch(batch, verdict, state.segment))
        return over, Change(alert, over, is_over=True)
    if state.batch == batch.id:
        return state, None
    begun = state if state.bad else replace(state, since=now)
    bad = replace(begun, bad=begun.bad + 1, batch=batch.id)
    if bad.is_firing or bad.bad < alert.after:
        return bad, None
    firing = replace(bad, is_firing=True, told=now, said=said_of_batch(batch, verdict, state.segment))
    return firing, Change(alert, firing)


def firing(states: Iterable[AlertState], config: CollectorServiceConfig) -> list[AlertState]:
    """Return the states that fire, except those of collectors that aren't in the config any more."""
    return [one for one in states if one.is_firing and (not one.collector or config.find(one.collector) is not None)]


def said_of_batch(batch: Batch, verdict: Verdict, segment: str = "") -> dict[str, str]:
    """Return the annotations of an alert about a batch; empty ones are left out."""
    parts = {"report": "" if batch.report == MAIN else batch.report, "segment": segment}
    who = ", ".join([batch.collector, *(f"{name} '{part}'" for name, part in parts.items() if part)])
    found = findings_of(batch.outcome)
    share = batch.outcome.get("drift_share")
    start, end = batch.window
    said = {
        "summary": f"{who}: {verdict.summary}",
        **parts,
        "batch_id": batch.id,
        "rows": str(batch.rows),
        "window_start": iso(start),
        "window_end": iso(end),
        "tests": verdict_words(batch.outcome.get("tests", {})),
        "failed_tests": failed_test_words(found, most=20),
        "drift_share": "" if share is None else f"{share:.4g}",
        "drifted_columns": ", ".join(drifted_columns(found)),
        "drift": drift_words(found, most=20),
        "not_computed": uncomputed_words(found, most=20),
    }
    return {name: cut(text) for name, text in said.items() if text}


def cut(text: str) -> str:
    """Return a text with no more of it than is read."""
    return text if len(text) <= MAX_SAID else f"{text[:MAX_SAID]}…"
