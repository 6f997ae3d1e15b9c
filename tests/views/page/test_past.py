from dataclasses import replace

from collector.views.page.past import Past, bad_since, drift_series, failures_series, value_series

from ..statuses import MINUTE, NOON
from .pasts import past, value_of

WELL = past(9, drift=[("age", 0.0), ("plan", 0.0)], tests=2)
BAD = past(4, drift=[("age", 0.3), ("plan", 0.0)], tests=2, failed=["Share of x < 1"])


def test_a_snapshot_says_what_came_of_it():
    assert BAD.verdicts == [("1 of 2 tests failed", "bad"), ("1 of 2 columns drifted", "warn")]
    assert WELL.verdicts == [("2 tests passed", "good"), ("0 of 2 columns drifted", "good")]
    assert dict(BAD.details()) == {"failed": "Share of x < 1", "drifted": "age 0.3 > 0.1"}


def test_the_default_of_evidently_is_when_a_dataset_counts_as_drifted():
    assert (BAD.has_drift, WELL.has_drift, past(drift=[("a", 0.3), ("b", 0), ("c", 0)]).has_drift) == (
        True,
        False,
        False,
    )


def test_a_report_without_drift_and_tests_says_its_numbers():
    assert past(values=[value_of(0.9), value_of(1, "F1Score")]).details() == [("", "Accuracy 0.9, F1Score 1")]


def test_a_snapshot_of_an_older_version_says_what_it_can():
    old = Past("b", NOON, 10, outcome={"drift_share": 0.5, "drifted_columns": 1, "columns": 2, "tests": {}})
    assert old.verdicts == [("1 of 2 columns drifted", "calm")]
    assert [words for _, words in old.details() if words] == []


def test_columns_that_were_asked_for_one_by_one_are_counted():
    outcome = dict(past(drift=[("age", 0.3), ("plan", 0.0)]).outcome)
    alone = {name: None if name in {"drift_share", "drifted_columns", "columns"} else outcome[name] for name in outcome}
    assert Past("b", NOON, 10, outcome=alone).verdicts == [("1 of 2 columns drifted", "warn")]


def test_it_is_bad_since_the_first_of_those_in_a_row():
    pasts = [BAD, past(14, tests=1, failed=["a"]), past(24, tests=1), past(34, tests=1, failed=["a"])]
    assert bad_since(pasts, lambda one: one.bad_tests) == NOON - 14 * MINUTE
    assert bad_since(pasts[2:], lambda one: one.bad_tests) is None


def test_what_is_bad_for_longer_than_is_seen_is_so_since_the_journal_says():
    pasts = [replace(one, bad_since=NOON - 99 * MINUTE) for one in (BAD, past(14, tests=1, failed=["a"]))]
    assert bad_since(pasts, lambda one: one.bad_tests) == NOON - 99 * MINUTE


def test_series_go_from_the_oldest_to_the_newest():
    assert [(point.value, point.is_bad) for point in drift_series([BAD, WELL]).points] == [(0, False), (0.5, True)]
    assert [point.value for point in failures_series([BAD, WELL, past(20)]).points] == [0, 1]


def test_the_drift_share_is_not_drawn_twice():
    values = [value_of(4, "DriftedColumnsCount", label="count"), value_of(0.3, "ValueDrift", "age")]
    assert [one.name for one in value_series([past(values=values)], 2)] == ["ValueDrift of age"]


def test_the_numbers_that_the_config_exports_are_followed_before_others():
    outcome = dict(past(values=[value_of(0.9)]).outcome) | {"exported": [value_of(5, "Mean", "age"), None]}
    assert [one.name for one in value_series([Past("b", NOON, 10, outcome=outcome)], 2)] == ["Mean of age"]


def test_values_are_followed_by_metric_column_and_label():
    pasts = [
        past(4, values=[value_of(3, "Mean", "age"), value_of(1), value_of(2, "F1", label="yes")]),
        past(9, values=[value_of(4), value_of(5, "Mean", "age"), value_of(6, "Mean", "plan")]),
    ]
    found = {one.name: [point.value for point in one.points] for one in value_series(pasts, 2)}
    assert found == {"Mean of age": [5, 3], "Accuracy": [4, 1]}
