"""Distances of sorted samples, compared with scipy's of the samples as they are."""

import evidently.legacy.calculations.stattests.wasserstein_distance_norm as module
import numpy as np
import pandas as pd
import pytest
from evidently.legacy.core import ColumnType
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.evaluation.fast.distances import SHORTCUT
from collector.evaluation.fast.known import standing_in

NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1e308, 5e-324, np.inf])
SAMPLES = st.lists(NUMBERS, min_size=1, max_size=30) | st.lists(st.integers(-5, 5), min_size=1, max_size=30)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(reference=SAMPLES, current=SAMPLES)
def test_a_distance_is_the_same_to_the_last_bit(reference, current):
    def distance():
        return repr(module._wasserstein_distance_norm(*sides, ColumnType.Numerical, 0.1))  # noqa: SLF001

    sides = (pd.Series(reference), pd.Series(current))
    direct = distance()
    with standing_in([SHORTCUT], []):
        assert module.stats.norm is not None  # all else is scipy's
        assert distance() == direct
