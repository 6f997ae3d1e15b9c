"""Quantiles of values in order, against those that pandas takes."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from evidently.metrics.column_statistics import QuantileValueCalculation
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.evaluation.fast import quantiles
from collector.evaluation.fast.columns import Ordered
from collector.evaluation.fast.known import standing_in

pytestmark = pytest.mark.filterwarnings("ignore")
SHARES = st.sampled_from([0, 0.25, 0.5, 0.75, 1, 1 / 3]) | st.floats(0, 1)
NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324])
COLUMNS = st.lists(NUMBERS, min_size=1, max_size=30) | st.lists(
    st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9), min_size=1, max_size=30
)


def taken(values, share):
    calculation = SimpleNamespace(metric=SimpleNamespace(quantile=share))
    return repr(QuantileValueCalculation.calculate_value(calculation, SimpleNamespace(data=pd.Series(values))))


@settings(max_examples=400, deadline=None)
@given(values=COLUMNS, share=SHARES)
def test_a_quantile_is_the_same_to_the_last_bit(values, share):
    direct = taken(values, share)
    with standing_in([quantiles.of_a_report(Ordered())], []):
        assert taken(values, share) == direct


def test_so_is_one_of_many_values_and_with_another_numpy(monkeypatch):
    values = np.random.default_rng(1).normal(0, 1, 5_001)
    for known in (quantiles._KNOWN_NUMPYS, frozenset()):  # noqa: SLF001
        monkeypatch.setattr(quantiles, "_KNOWN_NUMPYS", known)
        for share in (0.05, 0.25, 0.5, 0.75, 0.999):
            with standing_in([quantiles.of_a_report(Ordered())], []):
                assert taken(values, share) == repr(pd.Series(values).quantile(share))


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_that_is_none_is_refused_as_by_pandas(share):
    with standing_in([quantiles.of_a_report(Ordered())], []), pytest.raises(ValueError, match="percentiles should all"):
        taken([1.0, 2.0], share)
