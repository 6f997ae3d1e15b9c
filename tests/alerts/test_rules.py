"""What a rule makes of what became of a batch."""

from dataclasses import replace

import pytest
from worlds import outcome_of

from collector.alerts.rules import MAX_SAID, Verdict, counted, said_of_batch, verdict_of
from collector.config import Alert
from collector.store.records import AlertState, Batch

SEALED = Batch("batch-1", "main", "sealed", 3, 0, 1)


def rule(when, **fields):
    return Alert.parse({"when": when, "to": ["http://hook.example/"]} | fields)


def evaluated(batch=SEALED, **outcome):
    return replace(batch, state="evaluated", outcome=outcome_of([1, 2, 3]) | outcome)


def drift_of(*drifted, calm=()):
    return {
        "drift": [
            {"column": name, "is_drifted": name in drifted, "score": 0.3, "threshold": 0.1, "method": "PSI"}
            for name in (*drifted, *calm)
        ]
    }


def verdict(alert, before=SEALED, **outcome):
    return verdict_of(alert, before, evaluated(**outcome))


@pytest.mark.parametrize(
    ("when", "outcome", "is_bad"),
    [
        ("tests_failed", {"tests": {"passed": 2, "failed": 1}}, True),
        ("tests_failed", {"tests": {"passed": 2, "error": 1}}, True),
        ("tests_failed", {"tests": {"passed": 2, "warning": 1, "failed": 0}}, False),
        ("tests_failed", {"tests": {}}, False),
        ("metric_failed", {"failed_metrics": 1}, True),
        ("metric_failed", {"failed_metrics": 0}, False),
        ("drift", {"dataset_drift": True}, True),
        ("drift", {"dataset_drift": False, "findings": drift_of("age", "plan")}, False),
        ("drift", {"dataset_drift": None, "findings": drift_of("age", "plan")}, True),
        ("drift", {"dataset_drift": None, "findings": drift_of(calm=["age"])}, False),
    ],
)
def test_what_a_report_found_is_bad_or_not(when, outcome, is_bad):
    assert verdict(rule(when), **outcome).is_bad is is_bad


def test_a_column_of_the_rule_that_drifted_is_enough():
    findings = drift_of("age", calm=["income"])
    assert verdict(rule("drift", columns=["age", "x"]), dataset_drift=False, findings=findings).is_bad
    assert not verdict(rule("drift", columns=["income"]), dataset_drift=False, findings=findings).is_bad


def test_a_verdict_names_columns_and_tests():
    told = verdict(
        rule("drift"),
        drift_share=0.5,
        dataset_drift=True,
        drifted_columns=2,
        columns=4,
        findings=drift_of("age", "income"),
    )
    assert told.summary == "2 of 4 columns drifted: age 0.3 > 0.1, income 0.3 > 0.1"
    test = {"name": "Minimal value of age", "metric": "MinValue", "column": "age", "status": "failed", "value": -3.0}
    findings = {"failed_tests": [test | {"said": ""}]}
    told = verdict(rule("tests_failed"), tests={"passed": 1, "failed": 1}, findings=findings)
    assert told.summary == "tests: 1 of 2 failed: Minimal value of age -3"


@pytest.mark.parametrize("when", ["tests_failed", "metric_failed", "drift"])
def test_a_report_counts_when_it_is_first_computed(when):
    """A snapshot whose file was damaged is computed once more; what a delivery notes changes nothing."""
    first = evaluated(dataset_drift=True)
    for before, after in [
        (first, first),
        (replace(first, state="sealed"), first),
        (first, replace(first, state="failed")),
    ]:
        assert verdict_of(rule(when), before, after) is None


@pytest.mark.parametrize(
    ("before", "after", "is_bad"),
    [
        ("sealed", "failed", True),
        ("evaluated", "failed", True),
        ("evaluated", "delivered", False),
        ("failed", "sealed", None),
        ("sealed", "evaluated", None),
        ("failed", "failed", None),
    ],
)
def test_a_batch_that_is_kept_under_failed_is_bad_until_one_is_delivered(before, after, is_bad):
    found = verdict_of(rule("batch_failed"), replace(SEALED, state=before), replace(SEALED, state=after))
    assert (None if found is None else found.is_bad) is is_bad


# Batches in a row


def run(alert, *bad):
    """Count batches; return the states, and what was told: the batch's number, with a minus where it is the end."""
    state, told = AlertState(alert.key, "main"), []
    for number, is_bad in enumerate(bad, start=1):
        batch = evaluated(replace(SEALED, id=f"batch-{number}"), dataset_drift=is_bad)
        state, change = counted(alert, state, verdict_of(alert, SEALED, batch), batch, float(number))
        told += [] if change is None else [-number if change.is_over else number]
    return state, told


def test_a_change_is_told_and_what_stays_bad_is_not():
    assert run(rule("drift"), False, True, True, False, False, True)[1] == [2, -4, 6]


def test_so_many_batches_in_a_row_are_waited_for():
    assert run(rule("drift", after=3), True, True, False, True, True, True, True, False)[1] == [6, -8]


def test_it_began_with_the_first_bad_batch():
    state, _ = run(rule("drift", after=2), False, True, True, True)
    assert (state.since, state.told, state.bad, state.batch) == (2.0, 3.0, 3, "batch-4")


def test_a_batch_counts_once():
    """It may fail, be tried again, and fail again."""
    alert = rule("batch_failed", after=2)
    failed = replace(SEALED, state="failed", error="ValueError: no")
    state = AlertState(alert.key, "main")
    for _ in range(3):
        state, change = counted(alert, state, verdict_of(alert, SEALED, failed), failed, 1.0)
        assert (state.bad, change) == (1, None)
    state, change = counted(alert, state, verdict_of(alert, SEALED, failed), replace(failed, id="2"), 1.0)
    assert change.state.said["summary"] == "main: a batch of 3 rows is kept under failed: ValueError: no"


def test_all_that_a_batch_had_is_said_whichever_rule_it_is_said_for():
    findings = drift_of("age") | {"not_computed": [{"metric": "F1Score", "column": "", "reason": "no"}]}
    said = said_of_batch(evaluated(tests={"passed": 1, "failed": 2}, findings=findings), Verdict(True, "bad"))
    assert said == {
        "summary": "main: bad",
        "batch_id": "batch-1",
        "rows": "3",
        "window_start": "1970-01-01T00:00:00.000+00:00",
        "window_end": "1970-01-01T00:00:01.000+00:00",
        "tests": "2 of 3 failed",
        "drift_share": "0.25",
        "drifted_columns": "age",
        "drift": "age 0.3 > 0.1",
        "not_computed": "F1Score",
    }


def test_what_is_said_is_cut():
    assert len(said_of_batch(SEALED, Verdict(True, "x" * 10_000))["summary"]) == MAX_SAID + 1
