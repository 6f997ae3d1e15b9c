"""Columns that are constant, or nearly so, counted by little, compared with those counted by all values."""

import evidently.legacy.metrics.data_integrity.dataset_summary_metric as summary
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.evaluation.fast.constants import SHORTCUTS
from collector.evaluation.fast.known import standing_in

ROWS = 1_200
FILLERS = [0.0, -0.0, 7.0, -1e9, np.nan, np.inf]


@st.composite
def frames(draw):
    """Frames of which the first rows, the last, or some of any hold one value, about as often as counts."""
    columns = {}
    for number in range(draw(st.integers(0, 4))):
        filled = draw(st.sampled_from([0, 1, ROWS // 2, ROWS // 2 + 1, 1_139, 1_140, 1_141, ROWS - 1, ROWS]))
        others = np.random.default_rng(number).choice([-3.0, 0.0, 5.0, 11.5, np.nan], ROWS - filled)
        values = np.concatenate([np.full(filled, draw(st.sampled_from(FILLERS))), others])
        order = draw(st.sampled_from(["first", "last", "any"]))
        values = {"first": values, "last": values[::-1], "any": np.random.default_rng(1).permutation(values)}[order]
        kind = draw(st.sampled_from(["float", "int", "text", "category", "bool", "object", "float32"]))
        columns[number] = {
            "float": lambda v=values: v,
            "float32": lambda v=values: v.astype("float32"),
            "int": lambda v=values: np.nan_to_num(v, nan=2, posinf=3).astype("int64"),
            "text": lambda v=values: pd.Series(v).astype(str),
            "object": lambda v=values: pd.Series(list(v), dtype=object),
            "category": lambda v=values: pd.Categorical(v),
            "bool": lambda v=values: v > 1,
        }[kind]()
    return pd.DataFrame(columns, index=range(ROWS))


@settings(max_examples=80, deadline=None)
@given(frame=frames(), threshold=st.sampled_from([0.2, 0.5, 0.5001, 0.95, 1.0]))
def test_as_many_are_counted(frame, threshold):
    def counts():
        almost = summary.get_number_of_almost_constant_columns(frame, threshold)
        return summary.get_number_of_constant_columns(frame), almost

    direct = counts()
    with standing_in(SHORTCUTS, []):
        assert counts() == direct


@pytest.mark.parametrize("rows", [0, 1, 1_001])
def test_columns_of_one_name_and_few_rows_are_counted_by_evidently(rows):
    frame = pd.DataFrame(np.ones((rows, 2)), columns=["a", "a"])
    direct = [summary.get_number_of_constant_columns(frame)]
    with standing_in(SHORTCUTS, []):
        assert [summary.get_number_of_constant_columns(frame)] == direct
