import pytest
from worlds import outcome_of

from collector.status.findings import has_drift
from collector.status.verdict import trend_of, verdict_of
from collector.store.records import Snapshot

OUTCOME = outcome_of([1, 2])


def made(*measures):
    """Make snapshots, newest first, of (tests that failed, share of drift)."""
    key = ("b", "main", "", "evaluated", 3, 0.0, 1.0, 5.0, None, 1)
    return [Snapshot(*key, bad_tests, share, None, {}, "") for bad_tests, share in measures]


def test_a_verdict_keeps_what_is_told_for_long_and_nothing_of_the_delivery():
    verdict = verdict_of(OUTCOME | {"tests": {"passed": 1, "failed": 2, "error": 1, "warning": 1}})
    assert (verdict.bad_tests, verdict.drift_share, verdict.is_bad) == (3, 0.25, True)
    assert verdict.told.keys() == OUTCOME.keys() - {"ok", "rows", "notes", "datasets", "bytes"}


@pytest.mark.parametrize(
    ("changes", "is_bad"),
    [
        ({}, False),
        ({"dataset_drift": True}, True),
        ({"tests": {"passed": 3, "warning": 1}}, False),
        ({"tests": {"error": 1}}, True),
        ({"failed_metrics": 1}, True),
    ],
)
def test_bad_is_drift_of_the_whole_a_test_that_is_not_passed_and_what_has_no_value(changes, is_bad):
    assert verdict_of(OUTCOME | changes).is_bad == is_bad


def test_where_nothing_is_said_of_the_whole_one_column_is_enough():
    assert has_drift(OUTCOME | {"dataset_drift": None})
    assert not has_drift(OUTCOME | {"dataset_drift": None, "findings": {"drift": []}})
    assert not has_drift({})  # of an older version


@pytest.mark.parametrize(
    ("measures", "trend"),
    [
        ([(3, None), (0, None), (1, None), (2, None)], "worse"),
        ([(2, None), (0, None), (1, None), (2, None)], "same"),
        ([(0, None), (3, None), (1, None), (2, None)], "better"),
        ([(0, 0.9), (0, 0.1), (0, 0.2), (0, 0.3)], "worse"),
        ([(0, 0.9), (1, 0.1), (1, 0.2), (1, 0.3)], "worse"),  # though more tests pass
        ([(3, 0.9), (1, 0.1), (1, 0.2)], ""),  # too few to say
        ([(3, 0.9), (None, None), (None, None), (None, None)], ""),
        ([(None, None), (1, 0.1), (1, 0.2), (1, 0.3)], ""),
    ],
)
def test_worse_is_more_than_in_each_of_those_before(measures, trend):
    assert trend_of(made(*measures)) == trend
