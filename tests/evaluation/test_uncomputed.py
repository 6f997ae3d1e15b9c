import numpy as np
import pandas as pd
import pytest

from collector.evaluation.uncomputed import (
    MAX_REASON,
    NotComputedError,
    Uncomputed,
    comparable,
    reason_of,
    sides_of,
)

CURRENT = pd.DataFrame({"a": [1.0, 2.0], "empty": [np.nan, np.nan], "infinite": [np.inf, -np.inf], "bar": [1, 2]})
SIDES = sides_of(CURRENT, CURRENT.drop(columns="a").assign(old=1, empty=1.0))


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


def test_a_reason_is_short_however_much_an_error_quotes():
    reason = reason_of(ValueError("x y\n" * 100_000), [], SIDES)
    assert len(reason) == MAX_REASON
    assert reason.endswith(" …")
    assert "\n" not in reason


def test_only_what_has_a_finite_value_can_be_compared():
    times = pd.to_datetime(["2026-01-01", None])
    frame = CURRENT.assign(text=["x", None], none=None, time=times, flag=[True, False])
    assert comparable(frame) == {"a", "bar", "text", "time", "flag"}


def test_a_failure_is_a_sentence_with_its_column():
    assert str(Uncomputed("MinValue", "a", "so")) == "MinValue of 'a' could not be computed: so"
    assert str(Uncomputed("RowCount", None, "so")) == "RowCount could not be computed: so"
    assert str(Uncomputed("Drift", "a", "so", is_partial=True)) == "Drift was computed without 'a': so"
