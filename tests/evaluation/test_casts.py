import datetime as dt

import numpy as np
import pandas as pd
import pytest

from collector.evaluation.casts import cast_to, kind_of

TIMES = pd.Series(pd.to_datetime(["2026-03-01 10:00", "2026-03-02 10:00"])).astype("datetime64[us]")
NUMBERS, FLOATS, FLAGS = pd.Series([1, 2]), pd.Series([1.5, 2.5]), pd.Series([True, False])
WORDS = pd.Series(["x", "y"], dtype="str")
CATEGORIES = WORDS.astype("category")
NOON = dt.datetime(2026, 3, 1, 12)  # noqa: DTZ001  # naive, as frames have it


def text(*values):
    return pd.Series(values, dtype="str")


@pytest.mark.parametrize(
    ("current", "reference", "expected"),
    [
        (text("2026-03-01T12:00:00", None), TIMES, [NOON, pd.NaT]),
        (text("2026-03-01T12:00:00Z", "2026-03-01 14:00+02:00"), TIMES, [NOON, NOON]),
        (text("2026-03-01"), TIMES, [NOON.replace(hour=0)]),
        (pd.Series([1772366400000]), TIMES, [NOON]),  # milliseconds, as DataFrame.to_json writes them
        (pd.Series([1772366400]), TIMES, [NOON]),
        (pd.Series([1772366400000.0, np.nan]), TIMES, [NOON, pd.NaT]),
        (text("3", "-4"), NUMBERS, [3, -4]),
        (text("3", None), NUMBERS, [3.0, np.nan]),
        (pd.Series([3.0, 4.0]), NUMBERS, [3, 4]),
        (pd.Series([3.0, np.nan]), NUMBERS, [3.0, np.nan]),
        (text("1e-3", "2", None), FLOATS, [0.001, 2.0, np.nan]),
        (pd.Series([1, 2]), FLOATS, [1.0, 2.0]),
        (text("true", "False"), FLAGS, [True, False]),
        (text("true", None), FLAGS, [True, np.nan]),
        (pd.Series([1, 0]), FLAGS, [True, False]),
        (pd.Series([1.0, np.nan]), FLAGS, [True, np.nan]),
        (FLAGS, NUMBERS, [1, 0]),
        (pd.Series([10, 20]), WORDS, ["10", "20"]),
        (text("x", "new", None), CATEGORIES, ["x", "new", np.nan]),
        (text("3", "4"), pd.Series([3, 5]).astype("category"), [3, 4]),
        (CATEGORIES, WORDS, ["x", "y"]),
    ],
)
def test_a_cast_keeps_every_value_and_gives_the_references_type(current, reference, expected):
    done = cast_to(current, reference)
    missing = done.isna().any() and kind_of(reference) in ("integer", "boolean")
    assert missing or done.dtype.kind == reference.dtype.kind or kind_of(done) == kind_of(reference) == "text"
    assert [None if pd.isna(value) else value for value in done] == [
        None if pd.isna(value) else value for value in expected
    ]


@pytest.mark.parametrize(
    ("current", "reference"),
    [
        (text("2026-03-01", "yesterday"), TIMES),
        (pd.Series([12, 13]), TIMES),  # near in no unit
        (pd.Series([1.5]), TIMES),
        (text("3", "x"), NUMBERS),
        (text("007"), NUMBERS),
        (text("99999999999999999999"), NUMBERS),
        (pd.Series([3.5]), NUMBERS),
        (pd.Series([np.inf]), NUMBERS),
        (text("1", "N/A"), FLOATS),
        (pd.Series([2**60 + 1]), FLOATS),
        (text("yes"), FLAGS),
        (pd.Series([2]), FLAGS),
        (pd.Series([1.5]), WORDS),  # "1.5" or "1.50"?
        (TIMES, NUMBERS),
        (text("x"), pd.Series([1, 2]).astype("category")),
    ],
)
def test_no_cast_is_made_that_loses_or_guesses(current, reference):
    assert cast_to(current, reference) is None


def test_numbers_that_are_times_in_two_units_are_left():
    """A reference that spans a thousand years makes 10^9 a time in seconds (2001) and in milliseconds (1970)."""
    wide = pd.Series(pd.to_datetime(["1960-01-01", "2060-01-01"]))
    assert cast_to(pd.Series([10**9]), wide) is None


def test_a_category_gets_its_own_values_only():
    """An unused category would be counted as a zero by Evidently."""
    done = cast_to(text("x", "new"), pd.Series(["x", "y"], dtype="str").astype("category"))
    assert list(done.cat.categories) == ["new", "x"]
