"""Rows: what the overview shows of each collector, without the cells that change each second."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from collector.status.findings import drift_count_words, tests_words, trend_words
from collector.status.segments import segment_words
from collector.views.columns import SIGNS, due, shares_of
from collector.views.page.concerns import KINDS, Concern
from collector.views.page.past import bad_since, drift_series, value_series
from collector.views.page.plots import plot
from collector.views.trouble import retired, troubles_of
from collector.views.words import short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collector.status.status import Status
    from collector.views.history import History
    from collector.views.page.past import Past
    from collector.views.page.plots import Plot

Show = Literal["all", "trouble", "tests", "drift", "well"]
# How many snapshots a sparkline shows, and how many numbers of a report have one.
SPARK_SNAPSHOTS = 30
SPARKS = 2
_SPARK = (120, 28)
_BAD_STATES = frozenset({"misconfigured", "crashed"})


@dataclass(frozen=True)
class Row:
    """One collector."""

    id: str
    key: str
    sign: str
    state: str
    tone: str
    concerns: tuple[Concern, ...]
    past: Past | None
    sparks: tuple[Plot, ...]
    needed: int | None
    trend: str

    @property
    def shows(self) -> frozenset[Show]:
        """Under which of the filters it comes."""
        kinds = {concern.kind for concern in self.concerns}
        found: set[Show] = {"all", "well"} if not kinds else {"all"}
        found |= {"tests"} if kinds & {"tests", "uncomputed"} else set()
        found |= {"drift"} if self.past is not None and self.past.has_drift else set()
        found |= {"trouble"} if kinds - {"tests", "uncomputed", "drift"} else set()
        return frozenset(found)

    @property
    def rank(self) -> int:
        """What to sort by: the less, the sooner it is to be looked at."""
        return min((KINDS.index(concern.kind) for concern in self.concerns), default=len(KINDS))


def row_of(status: Status, pasts: Sequence[Past]) -> Row:
    """Tell of a collector, whose last snapshots come newest first."""
    past = pasts[0] if pasts else None
    concerns = (*_troubles(status), *_of_data(status.id, pasts))
    sign, _ = SIGNS.get(status.state, ("●", ""))
    recent = pasts[:SPARK_SNAPSHOTS]
    series = [one for one in (drift_series(recent), *value_series(recent, SPARKS)) if len(one.points) > 1]
    return Row(
        status.id,
        key_of(status.id),
        "▲" if concerns and status.state not in _BAD_STATES else sign,
        status.state,
        concerns[0].tone if concerns else _calm_tone(status),
        concerns,
        past,
        tuple(filter(None, (plot(one, *_SPARK) for one in series[:SPARKS]))),
        status.rows_needed,
        trend_words(status.last_snapshot.get("trend", ""), status.last_snapshot.get("trend_over", 0)),
    )


def key_of(collector_id: str) -> str:
    """Return the id of a collector's element, of letters that any selector takes."""
    return f"c-{hashlib.blake2s(collector_id.encode(), digest_size=8).hexdigest()}"


def cells_of(status: Status, now: float, history: History) -> dict[str, str]:
    """Return what of a row may change each second."""
    rate = history.rate(status.id)
    return {
        "open": f"{short(status.rows_waiting)} / {short(status.rows_needed)}"
        if status.rows_needed
        else short(status.rows_waiting),
        "due": due(status, now),
        "share": f"{min(1.0, max(0.0, *(share or 0.0 for share in shares_of(status, now)))):.2f}",
        "rate": "" if rate is None else short(rate),
    }


def _calm_tone(status: Status) -> str:
    return {"waiting": "good", "evaluating": "busy"}.get(status.state, "calm")


def _troubles(status: Status) -> list[Concern]:
    is_retired = status.state == "retired"
    troubles = [retired(status)] if is_retired else troubles_of(status)
    found = [Concern(one.kind, status.id, one.what, one.why, one.todo, one.since) for one in troubles]
    if is_retired or not status.failed or status.state in _BAD_STATES | {"undelivered"}:
        return found
    # The last error is why the batches failed, so say it once.
    error = next((one.what for one in found if one.kind == "error"), "")
    todo = "fix the cause, then retry them on its page"
    return [replace(one, why=error, todo=todo) for one in found if one.kind != "error"]


def _of_data(collector_id: str, pasts: Sequence[Past]) -> list[Concern]:
    """Say what is wrong with the newest snapshot, and since when."""
    if not pasts:
        return []
    past, found = pasts[0], []
    details = dict(past.details())
    if past.bad_tests:
        since = bad_since(pasts, lambda one: one.bad_tests)
        what = tests_words(past.outcome["tests"])
        found.append(Concern("tests", collector_id, what, details.get("failed", ""), "look at the snapshot", since))
    if failed := past.outcome.get("failed_metrics"):
        since = bad_since(pasts, lambda one: one.outcome.get("failed_metrics"))
        why = details.get("not computed", "")
        found.append(Concern("uncomputed", collector_id, f"{failed} not computed", why, "read its notes", since))
    if past.has_drift:
        since = bad_since(pasts, lambda one: one.has_drift)
        what = drift_count_words(past.outcome)
        found.append(Concern("drift", collector_id, what, details.get("drifted", ""), "look at the snapshot", since))
    if bad := (past.outcome.get("by_segment") or {}).get("bad"):
        what, _, why = segment_words(past.outcome["by_segment"], len(bad)).partition(": ")
        found.append(Concern("segments", collector_id, what, why, "look at the snapshots of these segments"))
    return found


def matching(rows: Mapping[str, Row], show: Show, text: str) -> list[Row]:
    """Return the rows that a person looks for, those that need looking after first."""
    wanted = text.casefold()
    found = [row for row in rows.values() if show in row.shows and wanted in row.id.casefold()]
    return sorted(found, key=lambda row: row.rank)
