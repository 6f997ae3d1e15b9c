"""What became of a batch is said once; log, counts and status hear of it."""

import pytest
from structlog.testing import capture_logs
from worlds import outcome_of

from collector.status.counts import CollectorCounts
from collector.status.findings import MOST, first_findings
from collector.status.status import Status
from collector.status.telling import (
    Delivered,
    Evaluated,
    EvaluationFailed,
    PartsLost,
    Rejected,
    Sealed,
    Telling,
    Undelivered,
)
from collector.store.records import Batch, Snapshot
from collector.waiting.clocks import Clocks

BATCH = Batch("batch-1", "main", "sealed", 3, 0, 1, outcome=outcome_of([1, 2, 3]))
KEPT = 7


def fresh(journal):
    return Telling(Status("main", "waiting"), CollectorCounts(), journal, Clocks(lambda: 2.0), lambda: KEPT)


def snapshot_of(outcome, number=1, bad_tests=None, bad_since=None, drift_share=None):
    key = ("b", "main", "", "evaluated", 3, 0.0, 1.0, 5.0, None)
    return Snapshot(*key, number, bad_tests, drift_share, bad_since, outcome, "")


class FakeLog:
    """Stands for the journal: keeps the log's entries, or refuses them; knows the snapshots that a test says."""

    def __init__(self, refusal=None, snapshots=()):
        self.entries = []
        self._snapshots = list(snapshots)
        self._refusal = refusal

    async def log(self, collector, entry, keep):
        assert (collector, keep) == ("main", KEPT)
        if self._refusal:
            raise self._refusal
        self.entries.append(entry)

    async def snapshots(self, collector, limit, *, with_failed):
        assert (collector, with_failed) == ("main", False)
        return self._snapshots[:limit]


async def told(*events):
    """Tell of events; return the journal's entries, the lines logged, and the telling."""
    journal = FakeLog()
    telling = fresh(journal)
    with capture_logs() as lines:
        for event in events:
            await telling.tell(event)
    return journal.entries, lines, telling


async def test_an_entry_has_the_originals_form_and_more():
    ((entry,), _, _) = await told(Evaluated(BATCH, outcome_of([1, 2, 3]), 0.12345))
    assert entry == {
        "type": "CreateReport",
        "report_id": "report",
        "ok": True,
        "error": "",
        "time": "1970-01-01T00:00:02.000+00:00",
        "batch_id": "batch-1",
        "rows": 3,
        "window": ["1970-01-01T00:00:00.000+00:00", "1970-01-01T00:00:01.000+00:00"],
        "drift_share": 0.25,
        "drifted_columns": 1,
        "columns": 4,
        "findings": first_findings(outcome_of([1, 2, 3]), 20),
        "seconds": 0.123,
        "notes": [],
    }


@pytest.mark.parametrize(
    ("event", "type_", "error"),
    [
        (EvaluationFailed(BATCH, "no", "raised", is_final=True), "CreateReport", "Error running report: no"),
        (PartsLost(BATCH, 2, ["a"]), "CreateReport", "Error running report: 2 rows are lost to the report: 1 of"),
        (Undelivered(BATCH, "away", is_news=True), "UploadReport", "Error saving snapshot: away"),
        (Rejected(BATCH, "never"), "UploadReport", "Error saving snapshot: never"),
        (Delivered(BATCH, "workspace"), "UploadReport", ""),
    ],
)
async def test_what_failed_is_told_everywhere_with_its_error(event, type_, error):
    (entry,), (line,), telling = await told(event)
    assert (entry["type"], entry["ok"]) == (type_, not error)
    assert entry["error"].startswith(error)
    assert (line["log_level"], line["batch"]) == ("error" if error else "info", "batch-1")
    assert telling.status.last_error == getattr(event, "error", "")


async def test_what_is_no_news_is_in_the_status_only():
    entries, lines, telling = await told(Undelivered(BATCH, "away", is_news=False))
    assert (entries, lines, telling.status.state) == ([], [], "undelivered")


async def test_a_sealed_batch_is_a_line_only():
    entries, (line,), _ = await told(Sealed(BATCH))
    assert (entries, line["event"], line["rows"]) == ([], "batch sealed", 3)


async def test_a_note_that_is_so_with_every_batch_is_logged_once():
    with_note = outcome_of([1]) | {"notes": ["column a is left out"]}
    _, lines, _ = await told(*[Evaluated(BATCH, with_note, 1)] * 3)
    assert [line["event"] for line in lines].count("column a is left out") == 1


async def test_all_that_is_counted_adds_up():
    outcome = outcome_of([1]) | {"tests": {"passed": 2, "failed": 1}, "failed_metrics": 1}
    evaluated = [Evaluated(BATCH, outcome, 0.5)] * 2
    failed = [EvaluationFailed(BATCH, "no", "too_slow", is_final=False)]
    _, _, telling = await told(*evaluated, *failed, PartsLost(BATCH, 2, ["a"]), Delivered(BATCH, "workspace"))
    counts = telling.counts
    assert {name: number for name, number in counts.evaluations.items() if number} == {"ok": 2, "too_slow": 1}
    assert (counts.tests, counts.damaged_rows, counts.delivered_rows) == ({"passed": 4, "failed": 2}, 2, 3)
    assert (counts.evaluation.sum, counts.failed_metrics) == (1, 2)


async def test_what_could_not_be_computed_is_told_to_all():
    error = "MinValue of 'a' could not be computed: the batch has no column 'a'"
    outcome = outcome_of([1]) | {"failed_metrics": 1, "notes": [error]}
    ((entry, _), lines, _) = await told(*[Evaluated(BATCH, outcome, 0.5)] * 2)
    assert (entry["ok"], entry["failed_metrics"], entry["notes"]) == (True, 1, [error])
    assert [line["event"] for line in lines].count(error) == 1  # what is so with every batch is said once


async def test_the_status_remembers_the_last_snapshot_and_what_is_worse_about_it():
    outcome = outcome_of([1, 2, 3]) | {"tests": {"passed": 1, "failed": 2}, "failed_metrics": 1}
    snapshots = [snapshot_of(outcome, number=7, bad_tests=2, bad_since=3.0), *[snapshot_of({}, bad_tests=0)] * 3]
    telling = fresh(FakeLog(snapshots=snapshots))
    await telling.recall()
    assert telling.status.snapshots == 7
    assert telling.status.last_snapshot == {
        "batch": "b",
        "rows": 3,
        "time": 5.0,
        "drift_share": 0.25,
        "drifted_columns": 1,
        "columns": 4,
        "tests": {"passed": 1, "failed": 2},
        "failed_metrics": 1,
        "findings": first_findings(outcome, MOST),
        "has_drift": False,
        "is_bad": True,
        "bad_since": 3.0,
        "trend": "worse",
        "trend_over": 3,
    }


async def test_the_line_of_a_report_names_columns_and_tests_and_says_whether_it_is_worse():
    test = {"name": "Recall metric: Equal 1", "metric": "", "column": "", "status": "failed", "value": 0.5, "said": ""}
    outcome = outcome_of([1]) | {"tests": {"failed": 2}}
    outcome["findings"]["failed_tests"] = [test]
    journal = FakeLog(snapshots=[snapshot_of(outcome, bad_tests=2), *[snapshot_of({}, bad_tests=0)] * 3])
    with capture_logs() as lines:
        await fresh(journal).tell(Evaluated(BATCH, outcome, 0.5))
    assert {name: lines[0].get(name) for name in ("drifted", "tests_failed", "values", "trend")} == {
        "drifted": "age 0.31 > 0.1",
        "tests_failed": "Recall metric 0.5, and 1 more",
        "values": None,
        "trend": "worse than the last 3",
    }
    assert (journal.entries[0]["trend"], journal.entries[0]["trend_over"]) == ("worse", 3)


async def test_a_collector_without_snapshots_has_none_in_its_status():
    telling = fresh(FakeLog())
    await telling.recall()
    assert (telling.status.snapshots, telling.status.last_snapshot) == (0, {})


async def test_what_a_report_will_fail_at_is_in_both_logs_and_the_status_until_a_batch_proves_it_wrong():
    journal = FakeLog()
    telling = fresh(journal)
    failed = outcome_of([1]) | {"failed_metrics": 1}
    with capture_logs() as lines:
        await telling.warn(["MinValue of 'a' could not be computed"])
        assert telling.status.warnings == ("MinValue of 'a' could not be computed",)
        await telling.tell(Evaluated(BATCH, failed, 0.1))
        assert telling.status.warnings
        await telling.tell(Evaluated(BATCH, outcome_of([1]), 0.1))
        assert telling.status.warnings == ()
    assert journal.entries[0] == {
        "type": "CheckReport",
        "report_id": "",
        "ok": False,
        "error": "a part of the report fails on its own reference, and so will fail on each batch",
        "time": "1970-01-01T00:00:02.000+00:00",
        "batch_id": "",
        "rows": 0,
        "window": [],
        "notes": ["MinValue of 'a' could not be computed"],
    }
    assert (lines[0]["event"], lines[0]["log_level"]) == ("MinValue of 'a' could not be computed", "warning")


async def test_a_report_that_can_compute_its_reference_is_no_news():
    telling = fresh(FakeLog(AssertionError("logged")))
    await telling.warn([])
    assert telling.status.warnings == ()


async def test_a_delivery_ends_the_wait_for_the_workspace_and_no_other_state():
    _, _, telling = await told(Undelivered(BATCH, "away", is_news=True), Delivered(BATCH, "workspace"))
    assert (telling.status.state, telling.status.last_error) == ("waiting", "")
    telling.note(state="evaluating")
    await telling.tell(Delivered(BATCH, "workspace"))
    assert telling.status.state == "evaluating"


async def test_what_the_journal_cannot_take_is_told_to_nobody():
    """It is told again with the next try."""
    telling = fresh(FakeLog(OSError("full")))
    with capture_logs() as lines, pytest.raises(OSError, match="full"):
        await telling.tell(Delivered(BATCH, "workspace"))
    assert (lines, telling.status.last_error, telling.counts.delivered_rows) == ([], "", 0)


async def test_a_note_that_differs_by_its_values_alone_is_logged_once():
    notes = [
        ["Column 'a' came as text and was cast to integers, and 1 of 3 values ('N/A') was taken as missing."],
        ["Column 'a' came as text and was cast to integers, and 2 of 9 values ('-', '?') was taken as missing."],
        ["Column 'a' came as text and was cast to times, as in the reference (3 values: 'x')."],
    ]
    events = [Evaluated(BATCH, outcome_of([1]) | {"notes": some}, 0.1) for some in notes]
    entries, lines, _ = await told(*events)
    assert [entry["notes"] for entry in entries] == notes
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == [notes[0][0], notes[2][0]]
