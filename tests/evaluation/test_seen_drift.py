import math
import sys
from types import SimpleNamespace

import evidently.metrics.column_statistics as asking
import pytest

from collector.evaluation.seen_drift import SeenDrift, seeing_drift


def see(*results):
    seen = SeenDrift()
    for column, is_drifted, score, threshold in results:
        result = SimpleNamespace(
            column_name=column,
            drift_detected=is_drifted,
            drift_score=score,
            stattest_threshold=threshold,
            stattest_name="method",
        )
        assert seen.seeing(lambda result: result)(result=result) is result
    return seen.worst_first()


def names(seen):
    return [one["column"] for one in seen]


def test_p_values_are_worse_the_smaller_and_distances_the_larger():
    assert names(see(("a", True, 0.04, 0.05), ("b", True, 1e-9, 0.05), ("c", True, 0.01, 0.05))) == ["b", "c", "a"]
    assert names(see(("a", True, 0.2, 0.1), ("b", True, 3.0, 0.1), ("c", True, 0.5, 0.1))) == ["b", "c", "a"]


def test_methods_of_both_kinds_are_compared_by_how_many_times_a_score_is_beyond_its_threshold():
    assert names(see(("twice", True, 0.025, 0.05), ("thrice", True, 0.3, 0.1))) == ["thrice", "twice"]


def test_what_has_drifted_comes_first_and_what_is_near_to_it_next():
    calm = [("calm", False, 0.9, 0.05), ("near", False, 0.06, 0.05), ("nearer", False, 0.099, 0.1)]
    assert names(see(*calm, ("drifted", True, 0.11, 0.1))) == ["drifted", "nearer", "near", "calm"]


@pytest.mark.parametrize(("score", "told"), [(math.inf, [sys.float_info.max]), (math.nan, []), (0.0, [0.0])])
def test_a_score_is_a_number_that_json_knows(score, told):
    assert [one["score"] for one in see(("a", True, score, 0.1))] == told


def test_evidently_is_as_before_afterwards():
    before = asking.get_one_column_drift
    with seeing_drift():
        assert asking.get_one_column_drift is not before
    assert asking.get_one_column_drift is before
