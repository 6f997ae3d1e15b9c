"""Distributions that are counted once in one report."""

import evidently.legacy.utils.visualizations as drawing
import evidently.metrics.column_statistics as statistics
import numpy as np
import pandas as pd
import pytest

from collector.evaluation.fast import distributions
from collector.evaluation.fast.columns import Ordered, place_of
from collector.evaluation.fast.distributions import of_a_report
from collector.evaluation.fast.known import standing_in

COLUMNS = {
    "float": np.arange(20) / 7,
    "int": np.arange(20),
    "bool": np.arange(20) % 3 == 0,
    "text": list("abcdefghijabcdefghij"),
    "times": pd.date_range("2026-03-01", periods=20),
    "labels": pd.Categorical(list("ab") * 10),
}
FRAME = pd.DataFrame(COLUMNS)


@pytest.fixture
def counted(monkeypatch):
    """Distributions that are made."""
    counted, make = [], drawing.Distribution
    for module in (drawing, distributions):
        monkeypatch.setattr(module, "Distribution", lambda **given: counted.append(1) or make(**given))
    return counted


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_lies_where_it_lay_and_another_elsewhere(name):
    column = FRAME[name]
    assert place_of(column) == place_of(FRAME[name]) is not None
    for other in (column[1:], column[:-1], column[::2]):
        assert place_of(other) != place_of(column)
    if column.dtype != FRAME["text"].dtype:  # the texts of pandas 3 are never changed, and copies share them
        assert place_of(column.copy(deep=True)) != place_of(column)


def test_labels_of_other_names_lie_elsewhere():
    column = FRAME["labels"]
    assert place_of(column.cat.rename_categories(["x", "y"])) != place_of(column)


@pytest.mark.parametrize(("name", "kind"), [("float", "num"), ("int", "num"), ("text", "cat"), ("labels", "cat")])
def test_a_distribution_is_counted_once(name, kind, counted):
    with standing_in([of_a_report(Ordered())], []):
        first = statistics.get_distribution_for_column(column_type=kind, current=FRAME[name], reference=FRAME[name])
        times = len(counted)
        again = statistics.get_distribution_for_column(column_type=kind, current=FRAME[name], reference=FRAME[name])
    assert again is first
    assert times == len(counted) == 2


def test_another_kind_side_or_value_is_counted_anew(counted):
    frame = FRAME.copy()
    with standing_in([of_a_report(Ordered())], []):
        for reference in (None, frame["int"], frame["float"], frame["int"][1:]):
            for kind in ("num", "cat"):
                before = len(counted)
                statistics.get_distribution_for_column(column_type=kind, current=frame["int"], reference=reference)
                assert len(counted) > before
        frame["int"] = frame["int"] + 1
        before = len(counted)
        statistics.get_distribution_for_column(column_type="num", current=frame["int"])
        assert len(counted) == before + 1


@pytest.mark.filterwarnings("ignore")  # numpy's, of infinities
@pytest.mark.parametrize("rows", [1, 3, 500])
@pytest.mark.parametrize("whole", [False, True])
def test_numbers_are_counted_as_numpy_counts_them(rows, whole):
    """Also those that lie on an edge of a bin."""
    rng = np.random.default_rng(rows)
    sides = [pd.Series(rng.normal(0, 9, rows + more).round(1)) for more in (0, 7)]
    sides = [one.round().astype("int64") if whole else one for one in sides]
    for reference in (None, sides[1], pd.Series(sides[0].unique()), pd.Series([3.5, np.nan]), pd.Series([np.inf, 1.0])):
        args = {"column_type": "num", "current": sides[0], "reference": reference}
        told = []
        for shortcuts in ([], [of_a_report(Ordered())]):
            with standing_in(shortcuts, []):
                try:
                    made = statistics.get_distribution_for_column(**args)
                    told.append(repr([one and (list(one.x), list(one.y), one.y.dtype) for one in made]))
                except ValueError as error:
                    told.append(repr(error))
        assert told[0] == told[1]
