"""Where a column lies: the same values are at one place, others at another, and each place can be a key."""

import numpy as np
import pandas as pd
import pytest

from collector.evaluation.cache import Warm
from collector.evaluation.fast import columns
from collector.evaluation.fast.columns import Ordered, Side, place_of

COLUMNS = {
    "numbers": pd.Series([1.0, 2.0]),
    "text": pd.Series(["a", None], dtype="str"),
    "text without a value": pd.Series([None, None], dtype="str"),
    "empty text": pd.Series(["", ""], dtype="str"),
    "no text at all": pd.Series([], dtype="str"),
    "labels": pd.Series(["a", "b"], dtype="category"),
    "objects": pd.Series([[1], None]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_lies_where_its_view_lies_and_a_copy_elsewhere(name):
    """A buffer without bytes is falsy: taken for none, it stood in the place itself, and can't be hashed."""
    column = COLUMNS[name]
    place = place_of(column)
    assert hash(place) == hash(place_of(column.rename("other")))
    assert place is None or len(column) == 0 or place != place_of(COLUMNS["numbers"].copy())


def test_what_has_no_place_that_we_know_has_none():
    assert place_of(pd.Series(np.array([1, 2]), dtype="Int64")) is None


def test_values_in_order_are_those_of_the_columns_asked_for_last():
    ordered = Ordered()
    columns = [pd.Series([2.0, 1.0]), pd.Series([5, 4, 3]), pd.Series([7.0])]
    made = [ordered(one) for one in columns[:2]]
    assert [one.tolist() for one in made] == [[1.0, 2.0], [3, 4, 5]]
    assert [ordered(one) is there for one, there in zip(columns, made, strict=False)] == [True, True]
    ordered(columns[2])
    assert ordered(columns[1]) is made[1]
    assert ordered(columns[0]) is not made[0]


@pytest.mark.parametrize("values", [[1.0, np.nan], [np.inf, 1.0], [-np.inf, 1.0], [], ["a"], [True]], ids=repr)
def test_what_are_no_finite_numbers_has_no_order(values):
    assert Ordered()(pd.Series(values)) is None


def test_a_side_is_the_frame_that_it_is_of():
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    side = Side(frame, "a")
    assert side["a"] is side["a"]
    assert side["b"].equals(frame["b"])
    assert side[["b"]].equals(frame[["b"]])
    assert ("a" in side, "c" in side, side.index is frame.index) == (True, False, True)
    assert type(side.copy()) is pd.DataFrame


def test_a_kept_references_order_is_kept_for_the_next_report(monkeypatch):
    monkeypatch.setattr(columns, "_FEW", 3)
    monkeypatch.setattr(columns, "REFERENCES", Warm(1_000))
    reference = pd.DataFrame({"a": [3.0, 1.0, 2.0], "b": [6, 5, 4], "c": [1.0, np.nan, 0.5]})
    made = {name: Ordered(reference, "key")(reference[name]) for name in reference}
    assert made["a"].tolist() == [1.0, 2.0, 3.0]
    assert made["b"].tolist() == [4, 5, 6]
    assert made["c"] is None
    assert Ordered(reference, "key")(reference["a"]) is made["a"]
    assert Ordered(reference, "another")(reference["a"]) is not made["a"]
    assert Ordered(reference, None)(reference["a"]) is not made["a"]


WORDS = [{}, {"sort": False}, {"dropna": False}, {"normalize": False, "dropna": False}, {"normalize": True}]
LABELS = {
    "text": ["b", "a", "b", "c"],
    "text with holes": ["b", None, "b", None, None, "a"],
    "labels": pd.Categorical(["b", "a", "b"], categories=["z", "a", "b"]),
    "labels with holes": pd.Categorical(["b", None, "b"]),
    "objects": pd.Series([1, "a", None, 1], dtype=object),
    "times": pd.to_datetime(["2026-03-01", None, "2026-03-01"]),
    "none": pd.Series([], dtype="str"),
}


@pytest.mark.parametrize("labels", LABELS)
def test_labels_are_counted_as_pandas_counts_them(labels):
    frame = pd.DataFrame({"a": LABELS[labels]})
    side = Side(frame, "a")["a"]
    for words in WORDS * 2:
        pd.testing.assert_series_equal(side.value_counts(**words), frame["a"].value_counts(**words))
    for _ in range(2):
        assert repr(side.unique()) == repr(frame["a"].unique())
        assert repr(side.dropna().unique()) == repr(frame["a"].dropna().unique())
        assert side.nunique() == frame["a"].nunique()
    assert type(side.iloc[:1]) is type(side.astype(str)) is type(pd.concat([side, side])) is pd.Series


def test_labels_are_counted_once():
    side = Side(pd.DataFrame({"a": list("abc")}), "a")["a"]
    counted = side.value_counts()
    assert side.value_counts(dropna=False, normalize=False) is counted
    assert side.value_counts(sort=False) is not counted
