"""Comparing samples that are in order, for which scipy sorts them again, looks each value up, and checks them all."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import _stats_py

from collector.evaluation.fast.columns import Ordered
from collector.evaluation.fast.known import Shortcut, is_known

_TESTS = "evidently.legacy.calculations.stattests."
_DISTANCE = f"{_TESTS}wasserstein_distance_norm"
_KS = f"{_TESTS}ks_stattest"
_SCIPYS = ("scipy.stats._stats_py:wasserstein_distance", "scipy.stats._stats_py:_cdf_distance")
# of scipy 1.16 and 1.17; older versions sum in another way
_KNOWN_SCIPYS = frozenset({"224206473c15bc92", "7df2b447f9e137f6"})
_EXACT = 2**53  # floats don't hold all larger integers


def of_a_report(ordered: Ordered) -> tuple[Shortcut, ...]:
    """Return the shortcuts for one report; the order of values is no matter to them."""
    return (
        Shortcut(
            name="distances",
            places=(f"{_DISTANCE}:stats",),
            read=(f"{_DISTANCE}:_wasserstein_distance_norm",),
            digests=frozenset({"f9389496cadf7833", "ec78a5bc3aa4f4a0"}),
            make=lambda original: _Stats(original, ordered),
        ),
        Shortcut(
            name="Kolmogorov-Smirnov tests",
            places=(f"{_KS}:ks_2samp",),
            read=(f"{_KS}:_ks_stat_test",),
            digests=frozenset({"98abc51065a8bdc8"}),
            make=lambda original: _undecorated(original, ordered),
        ),
    )


class _Stats:
    """Stands for scipy.stats in a module that takes the distance of two columns."""

    def __init__(self, original: Any, ordered: Ordered) -> None:
        self._original = original
        self._ordered = ordered
        self._merges = is_known(_SCIPYS, _KNOWN_SCIPYS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def wasserstein_distance(self, *samples: Any) -> Any:
        values = [self._ordered(one) for one in samples]
        if any(one is None for one in values):
            return self._original.wasserstein_distance(*samples)
        return _distance(*values) if self._merges else self._original.wasserstein_distance(*values)


def _distance(first: Any, second: Any) -> Any:
    """Compute what scipy does. Its counts differ among equal values, which are 0 apart and so add nothing."""
    both = np.concatenate((first, second), dtype=float)
    order = np.argsort(both, kind="stable")  # merges two sorted runs
    firsts = np.cumsum(order[:-1] < len(first))
    shares = np.abs(firsts / len(first) - (np.arange(1, len(both)) - firsts) / len(second))
    return _stats_py.np_vecdot(shares, np.diff(both[order]))


def _undecorated(original: Callable[..., Any], ordered: Ordered) -> Callable[..., Any]:
    """Leave out scipy's handling of axes and missing values, as scipy does when it calls the function itself."""
    if "_no_deco" not in (getattr(original, "__kwdefaults__", None) or {}):
        return original

    def ks_2samp(*samples: Any) -> Any:
        values = [ordered(one) for one in samples]
        if any(one is None or abs(one[[0, -1]]).max() >= _EXACT for one in values):
            return original(*samples)
        return original(*values, _no_deco=True)

    return ks_2samp
