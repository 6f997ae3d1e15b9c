"""Statistics of a dataset's columns that are computed later."""

import copy

import numpy as np
import pandas as pd
import pytest
from evidently import DataDefinition, Dataset
from evidently.core.datasets import DatasetColumn, PandasDataset
from evidently.legacy.core import ColumnType

from collector.evaluation.fast.known import standing_in
from collector.evaluation.fast.statistics import SHORTCUT

from .reports import mixed

pytestmark = pytest.mark.filterwarnings("ignore")


def test_who_asks_for_statistics_gets_evidentlys():
    frame = mixed(60, 1)
    direct = Dataset.from_pandas(frame)
    with standing_in([SHORTCUT], []):
        later = Dataset.from_pandas(frame)
    names = ["general_stats", "numerical_stats", "categorical_stats"]
    for one in (later, copy.deepcopy(later)):
        for column in frame:
            sides = [dataset.stats().column_stats[column] for dataset in (direct, one)]
            assert repr([getattr(sides[0], name) for name in names]) == repr(
                [getattr(sides[1], name) for name in names]
            )


def test_nobody_pays_for_statistics_that_are_not_asked_for(monkeypatch):
    monkeypatch.setattr("evidently.core.datasets._collect_numerical_stats", None)
    with standing_in([SHORTCUT], []):
        Dataset.from_pandas(pd.DataFrame({"a": [1.5, 2.5]}))


def test_what_has_no_statistics_raises_as_it_does_with_evidently():
    """A descriptor whose values are no numbers fails when its column is added."""
    odd, definition = pd.Series(["a", "b"], dtype=object), DataDefinition(numerical_columns=["a"])
    with standing_in([SHORTCUT], []):
        dataset = PandasDataset(pd.DataFrame({"a": np.arange(2)}))
        with pytest.raises(TypeError):
            dataset.add_column("b", DatasetColumn(ColumnType.Numerical, odd))
        with pytest.raises(TypeError):
            Dataset.from_pandas(pd.DataFrame({"a": odd}), definition)
        with pytest.raises(TypeError):
            Dataset.from_pandas(pd.DataFrame({"a": [True, False]}), definition)
        with pytest.raises(ValueError, match="not 1-dimensional"):
            Dataset.from_pandas(pd.DataFrame([[1, 2]], columns=["a", "a"]), DataDefinition(categorical_columns=["a"]))
