"""Comparisons of samples in order, against scipy's of the samples as they are."""

import evidently.legacy.calculations.stattests.ks_stattest as ks
import evidently.legacy.calculations.stattests.wasserstein_distance_norm as module
import numpy as np
import pandas as pd
import pytest
from evidently.legacy.core import ColumnType
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.evaluation.fast import distances
from collector.evaluation.fast.columns import Ordered
from collector.evaluation.fast.known import standing_in

NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1e308, 5e-324, np.inf])
LARGE = st.integers(2**53 - 2, 2**53 + 2)
SAMPLES = (
    st.lists(NUMBERS, min_size=1, max_size=30)
    | st.lists(st.integers(-5, 5), min_size=1, max_size=30)
    | st.lists(LARGE, min_size=1, max_size=9)
)
TESTS = {"wasserstein": module._wasserstein_distance_norm, "ks": ks._ks_stat_test}  # noqa: SLF001


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("test", TESTS)
@settings(max_examples=150, deadline=None)
@given(reference=SAMPLES, current=SAMPLES)
def test_a_comparison_is_the_same_to_the_last_bit(test, reference, current):
    def compared():
        return repr(TESTS[test](*sides, ColumnType.Numerical, 0.1))

    sides = (pd.Series(reference), pd.Series(current))
    direct = compared()
    with standing_in(distances.of_a_report(Ordered()), []):
        assert module.stats.norm is not None  # all else is scipy's
        assert compared() == compared() == direct


def test_scipys_checks_are_left_out():
    """A scipy that doesn't let them be left out is asked as Evidently asks it."""
    asked = []

    def ks_2samp(*samples, _no_deco=False):
        asked.append((samples, _no_deco))

    side = pd.Series([2.0, 1.0])
    distances._undecorated(ks_2samp, Ordered())(side, side)  # noqa: SLF001
    assert ([one.tolist() for one in asked[0][0]], asked[0][1]) == ([[1.0, 2.0]] * 2, True)
    assert distances._undecorated(print, Ordered()) is print  # noqa: SLF001
    assert distances._undecorated(ks.ks_2samp, Ordered()) is not ks.ks_2samp  # noqa: SLF001


@pytest.mark.parametrize(("rows", "digits"), [(2_000, 9), (1_500, 1)], ids=["apart", "often equal"])
def test_so_is_one_of_many_values(rows, digits, monkeypatch):
    rng = np.random.default_rng(rows)
    sides = [pd.Series(rng.normal(shift, 1, rows + shift).round(digits)) for shift in (0, 1)]
    direct = [repr(test(*sides, ColumnType.Numerical, 0.1)) for test in TESTS.values()]
    with standing_in(distances.of_a_report(Ordered()), []):
        assert [repr(test(*sides, ColumnType.Numerical, 0.1)) for test in TESTS.values()] == direct
    monkeypatch.setattr(distances, "_KNOWN_SCIPYS", frozenset())
    with standing_in(distances.of_a_report(Ordered()), []):  # scipy's own, of what is in order
        assert [repr(test(*sides, ColumnType.Numerical, 0.1)) for test in TESTS.values()] == direct
