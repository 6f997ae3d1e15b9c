"""Findings in words."""

import pytest

from collector.status.findings import (
    drift_words,
    drifted_columns,
    failed_test_words,
    findings_of,
    metadata_of,
    number,
    said_of,
    tags_of,
    trend_words,
    uncomputed_words,
    value_words,
    verdict_words,
)

EMPTY = findings_of({})


def drift(column, score, threshold, *, is_drifted=True, method="PSI"):
    return {"column": column, "is_drifted": is_drifted, "score": score, "threshold": threshold, "method": method}


def failed(name, value, *, column="", status="failed"):
    return {"name": name, "metric": "M", "column": column, "status": status, "value": value, "said": "Evidently's."}


def test_drift_is_told_with_score_and_threshold_on_the_side_on_which_it_lies():
    found = EMPTY | {"drift": [drift("age", 0.3149, 0.1), drift("plan", 1.834e-21, 0.05), drift("zip", 0.1, 0.1)]}
    assert drift_words(found) == "age 0.315 > 0.1, plan 1.83e-21 < 0.05, zip 0.1 = 0.1"


def test_a_score_that_is_near_its_threshold_is_told_apart_from_it():
    assert drift_words(EMPTY | {"drift": [drift("age", 0.049996, 0.05)]}) == "age 0.049996 < 0.05"


def test_what_is_cut_is_counted_and_what_has_not_drifted_is_left_out():
    found = EMPTY | {"drift": [*(drift(f"c{one}", 3, 1) for one in range(8)), drift("d", 0, 1, is_drifted=False)]}
    assert drift_words(found, 2) == "c0 3 > 1, c1 3 > 1, and 6 more"
    assert drift_words(found).endswith(", and 3 more")


def test_a_column_that_drifted_by_two_methods_is_named_once():
    found = EMPTY | {"drift": [drift("age", 3, 1), drift("age", 0.01, 0.05, method="K-S p_value"), drift("zip", 3, 1)]}
    assert drifted_columns(found) == ["age", "zip"]


def test_tests_are_told_by_name_column_and_value_without_their_condition():
    tests = [
        failed("ValueDrift of 'age': drift", None, column="age", status="error"),
        failed("Minimal value of 'age': Equal 18.000 ± 1.800", -3.0, column="age"),
        failed("Drift per Column", 0.682, column="income"),
        failed("Unique Value Count: plan for label a: Less 3.000", 5.0, column="plan"),
        failed("Minimal value of 'a: b': Value in list [1, 2]", 3.0, column="a: b"),
        failed("Mean value of 'age': Equal 1", None, column="age"),
        failed("Recall metric: Equal 0.449", 1.0, status="warning"),
    ]
    assert failed_test_words(EMPTY | {"failed_tests": tests}, most=10) == (
        "ValueDrift of 'age' error, Minimal value of 'age' -3, Drift per Column of income 0.682, "
        "Unique Value Count: plan for label a 5, Minimal value of 'a: b' 3, Mean value of 'age'"
    )


def test_tests_of_one_number_are_told_apart_by_their_conditions():
    """They were told as "Mean value of 'age' 41.3, Mean value of 'age' 41.3"."""
    tests = [
        failed("Mean value of 'age': Less 1.000", 41.3, column="age"),
        failed("Mean value of 'age': Equal 2.000", 41.3, column="age"),
        failed("MeanValue of 'gone': not_eq", None, column="gone", status="error"),
    ]
    said = "Mean value of 'age' 41.3 (Less 1.000), Mean value of 'age' 41.3 (Equal 2.000), MeanValue of 'gone' error"
    assert failed_test_words(EMPTY | {"failed_tests": tests}) == said


def test_one_column_and_one_test_are_counted_as_one():
    outcome = {"drifted_columns": 1, "columns": 1, "tests": {"failed": 1}}
    assert said_of(outcome) == ["1 of 1 column drifted", "1 of 1 test failed"]


def test_values_are_told_by_metric_label_and_column():
    values = [
        {"metric": "Accuracy", "column": "", "label": "", "value": 0.543333},
        {"metric": "MissingValueCount", "column": "age", "label": "count", "value": 3.0},
    ]
    assert value_words(EMPTY | {"values": values}) == "Accuracy 0.543, MissingValueCount count of age 3"


def test_what_has_no_value_is_named_with_its_column():
    uncomputed = [
        {"metric": "ValueDrift", "column": "age", "reason": "."},
        {"metric": "MAE", "column": "", "reason": "."},
    ]
    assert uncomputed_words(EMPTY | {"not_computed": uncomputed}) == "ValueDrift of age, MAE"


def outcome(**changes):
    tests = {"passed": 11, "failed": 2, "error": 1}
    drifts = [drift("age", 3, 1), drift("zip", 2, 1), drift("d", 0, 1, is_drifted=False)]
    found = EMPTY | {"drift": drifts, "failed_tests": [failed("Recall metric: Equal 1", 0.5)]}
    return {"drifted_columns": 2, "columns": 3, "dataset_drift": True, "tests": tests, "findings": found} | changes


def test_all_that_came_of_a_batch_is_said_in_pieces():
    assert said_of(outcome(failed_metrics=1)) == [
        "2 of 3 columns drifted (age 3 > 1, zip 2 > 1)",
        "1 could not be computed",
        "3 of 14 tests failed (Recall metric 0.5, and 2 more)",
    ]
    assert said_of(outcome(tests={"passed": 1}), 1) == [
        "2 of 3 columns drifted (age 3 > 1, and 1 more)",
        "1 test passed",
    ]


def test_drift_that_is_asked_of_columns_alone_is_counted_by_them():
    assert said_of(outcome(drifted_columns=None, columns=None, tests={})) == [
        "2 of 3 columns drifted (age 3 > 1, zip 2 > 1)"
    ]


def test_without_drift_the_main_numbers_are_said():
    values = [{"metric": "MAE", "column": "", "label": "mean", "value": 60.0}]
    assert said_of({"findings": EMPTY | {"values": values}}) == ["MAE mean 60"]
    assert said_of({}) == []


@pytest.mark.parametrize(
    ("changes", "tags"),
    [
        ({}, ["drift", "tests-failed"]),
        ({"dataset_drift": False, "tests": {"passed": 1}}, ["tests-passed"]),
        ({"dataset_drift": None, "tests": {}}, ["drift"]),
        ({"dataset_drift": None, "tests": {}, "findings": EMPTY}, []),
    ],
)
def test_tags_tell_snapshots_apart(changes, tags):
    assert tags_of(outcome(**changes)) == tags


def test_metadata_names_the_columns_and_counts_the_tests():
    assert metadata_of(outcome()) == {"drifted": "age, zip", "tests": "3 of 14 failed"}
    many = EMPTY | {"drift": [drift(f"c{number}", 2, 1) for number in range(23)]}
    assert metadata_of({"findings": many})["drifted"].endswith("c19, and 3 more")
    assert metadata_of({}) == {}


def test_what_is_as_it_was_is_no_trend():
    assert [trend_words(trend, 10) for trend in ("worse", "same", "")] == ["worse than the last 10", "", ""]


def test_nothing_found_is_told_in_no_words():
    assert [say(EMPTY) for say in (drift_words, failed_test_words, value_words, uncomputed_words)] == [""] * 4


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ({"passed": 11, "failed": 2, "error": 1, "warning": 0}, "3 of 14 failed"),
        ({"passed": 2}, "0 of 2 failed"),
        ({}, ""),
    ],
)
def test_tests_are_counted_with_those_that_are_errors(tests, said):
    assert verdict_words(tests) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (300.0, "300"),
        (-0.02338, "-0.0234"),
        (12345.6, "12346"),
        (1.834e-21, "1.83e-21"),
        (999.6, "1000"),
        (1e300, "1e+300"),
    ],
)
def test_numbers_are_short(value, said):
    assert number(value) == said
