import numpy as np
import pandas as pd
import pytest
from evidently.core.report import ReferenceMetricNotFound

from collector.evaluation.uncomputed import (
    MAX_REASON,
    NotComputedError,
    Uncomputed,
    comparable,
    reason_of,
    sides_of,
)

CURRENT = pd.DataFrame({"a": [1.0, 2.0], "empty": [np.nan, np.nan], "infinite": [np.inf, -np.inf], "bar": [1, 2]})
CURRENT = CURRENT.assign(both=[1, 2], late=[np.nan, 1.0])
SIDES = sides_of(CURRENT, CURRENT.drop(columns="a").assign(old=1, empty=1.0, both=1, late=0.0))


@pytest.mark.parametrize(
    ("error", "column", "reason"),
    [
        (ValueError("bad\n  kind."), None, "ValueError: bad kind"),
        (ValueError(), "bar", "ValueError: no message"),
        (KeyError("old"), "old", "the batch has no column 'old'"),
        (KeyError("old"), None, "the batch has no column 'old'"),
        (KeyError("a"), "a", "the reference has no column 'a'"),
        (ValueError("x"), "nowhere", "the batch has no column 'nowhere'"),
        (ValueError("x"), "empty", "column 'empty' has no finite value in the batch (ValueError: x)"),
        (ValueError("x"), "infinite", "column 'infinite' has no finite value in the batch (ValueError: x)"),
        (KeyError("bar"), None, "'bar' is not among the labels that occur (KeyError: 'bar')"),
        (KeyError("2"), "both", "no 'both' of the reference is '2' (KeyError: '2')"),
        (KeyError(1.0), "late", "no 'late' of the reference is '1.0' (KeyError: 1.0)"),
        (KeyError("1"), "both", "KeyError: '1'"),
        (
            ValueError("float not supported as Label"),
            "late",
            "1 of 2 values of 'late' are missing in the batch (ValueError: float not supported as Label)",
        ),
        (KeyError(None), None, "KeyError: None"),
        (KeyError("unheard"), None, "KeyError: 'unheard'"),
        (
            NotComputedError("MinValue of 'a' could not be computed: x"),
            "bar",
            "MinValue of 'a' could not be computed: x",
        ),
    ],
)
def test_a_reason_says_what_is_wrong_with_which_column(error, column, reason):
    assert reason_of(error, [] if column is None else [column], SIDES) == reason


def test_what_is_compared_with_a_reference_that_is_not_there_says_so():
    error = ReferenceMetricNotFound("38e574bb2be464f8ea596383d2ed00e9")
    assert reason_of(error, ["a"], sides_of(CURRENT, None)) == "it is compared with a reference, and there is none"


def test_frames_without_a_column_in_common_are_told_as_that():
    error = ZeroDivisionError("division by zero")
    assert reason_of(error, [], sides_of(CURRENT, pd.DataFrame({"other": [1]}))) == (
        "the batch and the reference have no column in common"
    )
    assert reason_of(error, [], SIDES) == "ZeroDivisionError: division by zero"


def test_a_reason_is_short_however_much_an_error_quotes():
    reason = reason_of(ValueError("x y\n" * 100_000), [], SIDES)
    assert len(reason) == MAX_REASON
    assert reason.endswith(" …")
    assert "\n" not in reason


def test_only_what_has_a_finite_value_can_be_compared():
    times = pd.to_datetime(["2026-01-01", None])
    frame = CURRENT.assign(text=["x", None], none=None, time=times, flag=[True, False])
    assert comparable(frame) == {"a", "bar", "both", "late", "text", "time", "flag"}


def test_a_failure_is_a_sentence_with_its_column():
    assert str(Uncomputed("MinValue", "a", "so")) == "MinValue of 'a' could not be computed: so"
    assert str(Uncomputed("RowCount", None, "so")) == "RowCount could not be computed: so"
    assert str(Uncomputed("Drift", "a", "so", is_partial=True)) == "Drift was computed without 'a': so"
