"""Telling: what became of a batch is reported with one call, and all who need to know hear of it.

They are the collector's log in the journal, the service's own log, the counts, and the status.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from logging import ERROR, INFO, WARNING
from typing import TYPE_CHECKING, Any, Literal

import structlog

from collector.config.labels import MAIN
from collector.status.findings import (
    MOST,
    REPORT_FAILED,
    SNAPSHOT_FAILED,
    bad_tests,
    drift_counts,
    drift_words,
    failed_test_words,
    findings_of,
    first_findings,
    has_drift,
    trend_words,
    uncomputed_words,
    value_words,
)
from collector.status.segments import BySegment, segment_words, told_by_segment
from collector.status.status import Status
from collector.status.verdict import TREND, trend_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from collector.status.counts import CollectorCounts
    from collector.store.journal import Journal
    from collector.store.records import Batch, Snapshot
    from collector.waiting.clocks import Clocks
    from collector.workers.exchange import ClosedBy, Outcome

_LOGGED = 20  # findings of each kind in an entry
_VALUES = re.compile(r"\d+ of \d+ values|\(\d+ values?: ")


@dataclass(frozen=True)
class Sealed:
    """Rows became a batch."""

    batch: Batch


@dataclass(frozen=True)
class Evaluated:
    """A report was computed; ``seconds`` is how long that took."""

    batch: Batch
    outcome: Outcome
    seconds: float


FailureKind = Literal["raised", "too_slow", "worker_failed"]


@dataclass(frozen=True)
class EvaluationFailed:
    """A report was not computed; ``is_final``: its batch is kept under failed, else it is tried again."""

    batch: Batch
    error: str
    kind: FailureKind
    is_final: bool


@dataclass(frozen=True)
class Empty:
    """There is nothing to report of a batch, as no row meets ``where``, or ``why`` else: it counts as delivered."""

    batch: Batch
    why: str
    notes: Sequence[str]

    @property
    def said(self) -> str:
        """What became of it."""
        why = self.why or "no row meets the collector's `where`"
        return f"{why}: there is no report of this batch"


@dataclass(frozen=True)
class SegmentFailed:
    """The report of one segment failed, or its snapshot ``is_rejected`` by the workspace; the others go on."""

    batch: Batch
    segment: str
    error: str
    is_rejected: bool = False

    @property
    def said(self) -> str:
        """What became of it."""
        what = "a segment's snapshot was rejected" if self.is_rejected else "a segment's report failed"
        return f"{what}; the other segments go on"


@dataclass(frozen=True)
class PartsLost:
    """Files of a batch are damaged, with ``rows`` rows; ``batch`` is what is left."""

    batch: Batch
    rows: int
    files: Sequence[str]

    @property
    def error(self) -> str:
        """What it means for the report."""
        number = len(self.files)
        return f"{self.rows} rows are lost to the report: {number} of the batch's files are damaged, and set aside"


@dataclass(frozen=True)
class Delivered:
    """A snapshot is in its workspace, without its plots if they made it too large for that."""

    batch: Batch
    workspace: str
    has_plots: bool = True


@dataclass(frozen=True)
class Undelivered:
    """A snapshot waits for its workspace; ``is_news``: the reason is another than at the last try."""

    batch: Batch
    error: str
    is_news: bool


@dataclass(frozen=True)
class Rejected:
    """A workspace will never accept a snapshot; its batch is kept under failed."""

    batch: Batch
    error: str


@dataclass(frozen=True)
class LabelsClosed:
    """A batch waits for labels no more; ``rows`` of the ``keyed`` ones, its rows with a key, have one."""

    batch: Batch
    by: ClosedBy
    rows: int
    keyed: int


@dataclass(frozen=True)
class NotShown:
    """A snapshot is delivered, and its collector's dashboard was not made."""

    batch: Batch
    error: str


_NOT_WHOLE = "a part of the report fails on its own reference, and so will fail on each batch"
_WITHOUT_PLOTS = (
    "Sent without its plots, as the whole snapshot is too large for the workspace (413). "
    "All values and tests are there."
)

_OF_WORKSPACE: dict[type, tuple[int, str, str]] = {
    Undelivered: (ERROR, "snapshot waits for its workspace", "error"),
    Rejected: (ERROR, "snapshot rejected; its batch is kept under failed", "error"),
    NotShown: (WARNING, "dashboard not made", "reason"),
}
_NO_LABELS = "none of its rows got a label in time: there is no report of them"
_CLOSED_BY = {"share": "enough have come", "wait": "it has waited long enough", "budget": "limits.max_labels_bytes"}

Event = (
    Sealed
    | Evaluated
    | EvaluationFailed
    | Empty
    | SegmentFailed
    | PartsLost
    | Delivered
    | Undelivered
    | Rejected
    | NotShown
    | LabelsClosed
)


class Telling:
    """Tells of one collector; ``kept_entries`` says how long its log may be."""

    def __init__(
        self, status: Status, counts: CollectorCounts, journal: Journal, clocks: Clocks, kept_entries: Callable[[], int]
    ) -> None:
        self.status = status
        self.log = structlog.get_logger().bind(collector=status.id)
        self.counts = counts
        self._journal = journal
        self._clocks = clocks
        self._kept_entries = kept_entries
        self._notes: AbstractSet[str] = frozenset()
        self.is_workspace_away = False  # True if the last try to deliver failed

    def note(self, **changes: Any) -> None:
        """Change what the status says."""
        self.status = replace(self.status, **changes)

    async def recall(self) -> None:
        """Have the status say what came of the last batches; the journal keeps it beyond restarts and edits."""
        made = await self._journal.snapshots(self.status.id, TREND + 1, with_failed=False)
        if made:
            self.counts.exported = made[0].outcome.get("exported", [])
            self.note(snapshots=made[0].number, last_snapshot=_shown(made))

    async def count(self) -> None:
        """Have the status say how many batches there are in each state."""
        batches = await self._journal.batches(self.status.id, "sealed", "evaluated", "failed")
        states = [batch.state for batch in batches]
        failed = [batch for batch in batches if batch.state == "failed"]
        if failed and not self.status.last_error:  # not known after a restart
            self.note(last_error=failed[-1].error)
        self.note(
            sealed=states.count("sealed"),
            backfill=sum(batch.is_backfill and batch.state != "failed" for batch in batches),
            sealed_rows=sum(batch.rows for batch in batches if batch.state == "sealed"),
            outbox=states.count("evaluated"),
            outbox_since=next((batch.sealed for batch in batches if batch.state == "evaluated"), None),
            failed=states.count("failed"),
        )

    def count_sealed(self, batch: Batch) -> None:
        """Have the status say that a batch is there before it is counted: its rows wait no more in the open one."""
        self.note(sealed=self.status.sealed + 1, sealed_rows=self.status.sealed_rows + batch.rows)

    async def tell(self, event: Event) -> None:
        """Tell all listeners; the one on disk first, so that after a crash it is told again rather than not at all."""
        if isinstance(event, Evaluated):
            await self.recall()
        await self._enter(event)
        self._log(event)
        self._add_up(event)
        self._show(event)

    async def warn(self, warnings: Sequence[str]) -> None:
        """Warn of what a report will fail at, before a batch has failed; no warnings take the earlier ones back."""
        if warnings:
            await self._enter_without_batch("CheckReport", _NOT_WHOLE, notes=list(warnings))
        for warning in warnings:
            self.log.warning(warning)
        self.note(warnings=tuple(warnings))

    async def tell_skipped(self, said: str, since: float, rows: int = 0) -> None:
        """Tell that the collector skips events, or how many rows it has skipped since then."""
        window = [iso(since), iso(self._clocks.now())] if rows else []
        await self._enter_without_batch("SkipEvents", said, rows=rows, window=window)
        self.log.warning(said)

    async def _enter_without_batch(self, type_: str, error: str, **fields: Any) -> None:
        entry = {
            "type": type_,
            "report_id": "",
            "ok": False,
            "error": error,
            "time": iso(self._clocks.now()),
            "batch_id": "",
            "rows": 0,
            "window": [],
            "notes": [],
        }
        await self._journal.log(self.status.id, entry | fields, self._kept_entries())

    # The listeners

    async def _enter(self, event: Event) -> None:
        """Add to the collector's log, in the original's form with more fields."""
        match event:
            case Evaluated(batch, outcome, seconds):
                told = {
                    "findings": first_findings(outcome, _LOGGED),
                    **self._trend(batch),
                    **_segments_of(outcome),
                }
                entry = self._entry(
                    "CreateReport", batch, outcome, **told, seconds=round(seconds, 3), notes=outcome["notes"]
                )
            case EvaluationFailed(batch) | PartsLost(batch):
                entry = self._entry("CreateReport", batch, {}, REPORT_FAILED + event.error, notes=[])
            case Empty(batch, notes=said):
                matched = {} if event.why else {"matched_rows": 0}
                entry = self._entry("CreateReport", batch, matched, notes=[f"{event.said}.", *said])
            case SegmentFailed(batch, segment, error, is_rejected):
                type_, what = ("UploadReport", SNAPSHOT_FAILED) if is_rejected else ("CreateReport", REPORT_FAILED)
                entry = self._entry(type_, batch, {}, what + error, segment=segment)
            case Delivered(batch, has_plots=has_plots):
                notes: dict[str, Any] = {} if has_plots else {"notes": [_WITHOUT_PLOTS]}
                entry = self._entry("UploadReport", batch, batch.outcome, **notes)
            case Undelivered(batch, error, is_news=True) | Rejected(batch, error):
                entry = self._entry("UploadReport", batch, batch.outcome, SNAPSHOT_FAILED + error)
            case NotShown(batch, error):
                entry = self._entry("MakeDashboard", batch, {}, error)
            case LabelsClosed(batch, rows=0):
                entry = self._entry("JoinLabels", batch, {}, _NO_LABELS)
            case _:
                return
        await self._journal.log(self.status.id, entry, self._kept_entries())

    def _entry(
        self, type_: str, batch: Batch, outcome: Mapping[str, Any], error: str = "", **fields: Any
    ) -> dict[str, Any]:
        return {
            "type": type_,
            "report_id": outcome.get("report_id", batch.id),
            "ok": not error,
            "error": error,
            "time": iso(self._clocks.now()),
            "batch_id": batch.id,
            **({} if batch.report == MAIN else {"report": batch.report}),
            "rows": batch.rows,
            "window": [iso(at) for at in batch.window],
            **({"is_backfill": True} if batch.is_backfill else {}),
            **_summary(outcome),
            **fields,
        }

    def _log(self, event: Event) -> None:
        log = self.log.bind(batch=event.batch.id)
        match event:
            case Sealed(batch):
                log.info("batch sealed", rows=batch.rows)
            case Evaluated(batch, outcome):
                log.info("report computed", rows=batch.rows, **_summary(outcome), **self._words(batch, outcome))
                self._log_notes(log, outcome["notes"])
            case EvaluationFailed(batch, error, _, is_final):
                kept, again = "report failed; its batch is kept under failed", "report failed; it is tried once more"
                log.error(kept if is_final else again, rows=batch.rows, error=error)
            case Empty(batch, notes=notes):
                log.info(event.said, rows=batch.rows)
                self._log_notes(log, notes)
            case SegmentFailed(_, segment, error):
                log.error(event.said, segment=segment, error=error)
            case PartsLost(_, _, files):
                log.error(event.error, files=list(files))
            case Delivered(_, workspace):
                log.info("snapshot delivered", workspace=workspace)
            case Undelivered(error=error, is_news=True) | Rejected(error=error) | NotShown(error=error):
                level, said, name = _OF_WORKSPACE[type(event)]
                log.log(level, said, **{name: error})
            case LabelsClosed(_, by, rows, keyed):
                said = "labels joined" if rows else _NO_LABELS
                log.log(INFO if rows else WARNING, said, rows=rows, of=keyed, reason=_CLOSED_BY[by])

    def _log_notes(self, log: Any, told: Sequence[str]) -> None:
        notes = {_gist(note): note for note in told}
        if notes.keys() != self._notes:  # a note that each batch has is logged once
            self._notes = notes.keys()
            for note in notes.values():
                log.warning(note)

    def _trend(self, batch: Batch) -> dict[str, Any]:
        """Return whether a snapshot is worse than those before it; only for main reports."""
        last = self.status.last_snapshot if batch.report == MAIN and not batch.is_backfill else {}
        return {name: value for name, value in last.items() if name in ("trend", "trend_over")}

    def _words(self, batch: Batch, outcome: Outcome) -> dict[str, str]:
        """Return the findings in words, by kind."""
        found, (drifted, columns) = findings_of(outcome), drift_counts(outcome)
        last = self._trend(batch)
        words = {
            "drifted": drift_words(found, total=drifted),
            "tests_failed": failed_test_words(found, total=bad_tests(outcome["tests"])),
            "not_computed": uncomputed_words(found, total=outcome["failed_metrics"]),
            "values": "" if columns else value_words(found),
            "segments": segment_words(_segments_of(outcome).get("by_segment")),
            "trend": trend_words(last.get("trend", ""), last.get("trend_over", 0)),
        }
        return {name: said for name, said in words.items() if said}

    def _add_up(self, event: Event) -> None:
        counts = self.counts
        match event:
            case Evaluated(batch, outcome, seconds):
                counts.evaluations["ok"] += 1
                counts.evaluation.observe(seconds)
                if not batch.is_backfill:  # Prometheus' rules are about live batches
                    counts.tests.update(outcome["tests"])
                    counts.failed_metrics += outcome["failed_metrics"]
            case EvaluationFailed(_, _, kind):
                counts.evaluations[kind] += 1
            case Empty(batch):
                counts.evaluations["empty"] += 1
                counts.delivered_rows += batch.rows
            case SegmentFailed():
                counts.failed_segments += 1
            case PartsLost(_, rows):
                counts.damaged_rows += rows
            case Delivered(batch) if batch.report == MAIN:  # count rows once: a batch may have several reports
                counts.delivered_rows += batch.rows

    def _show(self, event: Event) -> None:
        match event:
            case Evaluated(outcome=outcome) if not outcome["failed_metrics"]:
                self.note(warnings=())  # a batch without failures has proved them wrong
            case EvaluationFailed() | PartsLost():
                self.note(last_error=event.error)
            case SegmentFailed(_, segment, error):
                self.note(last_error=f"segment '{segment}': {error}")
            case Undelivered(_, error):
                self.is_workspace_away = True
                self.note(state="undelivered", last_error=error)
            case Delivered() | Rejected():
                self.is_workspace_away = False
                state, error = self.status.state, event.error if isinstance(event, Rejected) else ""
                self.note(last_error=error, state="waiting" if state == "undelivered" else state)


def _segments_of(outcome: Mapping[str, Any]) -> dict[str, BySegment]:
    """Return what is told of a batch's segments; nothing if it has none."""
    return {"by_segment": told_by_segment(outcome)} if "segments" in outcome else {}


def _gist(note: str) -> str:
    """Return a note without the number and examples of its values, which differ from batch to batch."""
    return _VALUES.split(note, maxsplit=1)[0]


def _shown(made: Sequence[Snapshot]) -> dict[str, Any]:
    """Return what the status tells of the last snapshot; ``made`` has it first."""
    last = made[0]
    return {
        "batch": last.batch,
        "rows": last.rows,
        "time": last.made,
        **_summary(last.outcome),
        "findings": first_findings(last.outcome, MOST),
        "has_drift": has_drift(last.outcome),
        "is_bad": last.bad_since is not None,
        "bad_since": last.bad_since,
        "trend": trend_of(made),
        "trend_over": len(made) - 1,
        **{name: last.outcome[name] for name in ("by_segment",) if name in last.outcome},
    }


def _summary(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an evaluation's outcome that is told with it."""
    names = ("drift_share", "drifted_columns", "columns", "tests", "matched_rows")
    failed = {"failed_metrics": outcome["failed_metrics"]} if outcome.get("failed_metrics") else {}
    return {name: outcome[name] for name in names if outcome.get(name) not in (None, {})} | failed


def iso(seconds: float) -> str:
    """Return a Unix time as ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
