"""Kinds of columns and tests of drift that are chosen by little, compared with those chosen by all."""

import evidently.legacy.calculations.data_drift as drift_module
import numpy as np
import pandas as pd
import pytest
from evidently.legacy.calculations.stattests import registry
from evidently.legacy.core import ColumnType
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.utils.data_operations import process_columns

from collector.evaluation.fast.choices import SHORTCUTS
from collector.evaluation.fast.known import standing_in

from .reports import mixed


@pytest.mark.parametrize("rows", [3, 1000, 1001, 1500])
@pytest.mark.parametrize("values", [1, 2, 3, 5, 6, 500])
@pytest.mark.parametrize("are_last", [False, True])
@pytest.mark.parametrize("kind", [ColumnType.Numerical, ColumnType.Categorical, ColumnType.Text])
def test_the_same_test_is_chosen(rows, values, are_last, kind):
    one = np.arange(rows) % values if not are_last else np.maximum(np.arange(rows) - rows + values, 0)
    column = pd.Series(one if kind == ColumnType.Numerical else one.astype(str))
    for current in (column, column[:2], column[::-1]):
        direct = registry._get_default_stattest(column, current, kind)  # noqa: SLF001
        with standing_in(SHORTCUTS, []):
            assert registry._get_default_stattest(column, current, kind) is direct  # noqa: SLF001


@pytest.mark.parametrize("target", [None, "few", "int", "cat"])
@pytest.mark.parametrize("prediction", [None, "float", "few", "cat", ["float", "skewed"]])
@pytest.mark.parametrize("task", [None, "regression", "classification"])
def test_a_column_has_the_same_kind(target, prediction, task):
    frame = mixed(40, 1)
    mapping = ColumnMapping(target=target, prediction=prediction, task=task, datetime="date", id="int")
    columns = process_columns(frame, mapping)

    def kinds():
        recognize = drift_module.recognize_column_type_
        return [recognize(dataset=frame, column_name=name, columns=columns) for name in frame]

    direct = kinds()
    with standing_in(SHORTCUTS, []):
        assert kinds() == direct


@pytest.mark.parametrize("target", [None, "few", "int", "cat", "only here", "nowhere"])
@pytest.mark.parametrize("prediction", [None, "float", ["float", "skewed"]])
def test_a_column_of_both_sides_has_the_kind_that_it_has_in_one_frame_of_both(target, prediction):
    sides = [mixed(40, 1).assign(**{"only here": 1.5}), mixed(30, 2)]
    columns = process_columns(sides[0], ColumnMapping(target=target, prediction=prediction))
    columns.utility_columns.target = target

    def kinds():
        dataset, told = drift_module.pd.concat(sides), {}
        for name in (*sides[0], "nowhere"):
            try:
                told[name] = drift_module.recognize_column_type_(dataset=dataset, column_name=name, columns=columns)
            except KeyError as error:
                told[name] = repr(error)
        return told

    direct = kinds()
    with standing_in(SHORTCUTS, []):
        assert kinds() == direct
        assert drift_module.pd.concat([pd.Series([1]), pd.Series([2])]).tolist() == [1, 2]
        assert drift_module.pd.Series is pd.Series
