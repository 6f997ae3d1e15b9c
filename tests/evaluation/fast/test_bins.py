"""Bins of histograms chosen by multiplying, compared with those that Evidently chooses."""

import evidently.legacy.utils.visualizations as module
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.evaluation.fast.bins import SHORTCUT
from collector.evaluation.fast.known import standing_in

NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, np.inf])
SAMPLES = (
    st.lists(NUMBERS, max_size=30)
    | st.lists(st.floats(-3, 3), min_size=3, max_size=60)
    | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30)
    | st.lists(st.integers(-9, 9), min_size=1, max_size=60)
)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=400, deadline=None)
@given(sample=SAMPLES, kind=st.sampled_from([None, "float32", "int8", "bool", "object"]))
def test_the_bins_are_the_same_to_the_last_bit(sample, kind):
    values = np.asarray(sample) if kind is None else np.asarray(sample).astype(kind)
    assert _told(values) == _told(values, SHORTCUT)


@pytest.mark.parametrize("draw", ["normal", "exponential", "integers"])
def test_the_bins_of_many_values_are_the_same(draw):
    random = np.random.default_rng(1)
    drawn = [random.integers(0, 50, rows) if draw == "integers" else getattr(random, draw)(size=rows) for rows in ROWS]
    assert [_told(values) for values in drawn] == [_told(values, SHORTCUT) for values in drawn]


ROWS = (3, 10, 1_001, 30_000)


def _told(values, *shortcuts):
    with standing_in(shortcuts, notes := []):
        try:
            told = repr(list(module.histogram_bin_edges_doane(values)))
        except Exception as error:  # noqa: BLE001  # Evidently's, and what it says
            told = repr(error)
    assert notes == []
    return told
