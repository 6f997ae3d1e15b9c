"""Sorting samples before scipy takes their distance: it sorts them anyway, twice, and is quick with what is sorted."""

from typing import Any

import numpy as np

from collector.evaluation.fast.known import Shortcut

_MODULE = "evidently.legacy.calculations.stattests.wasserstein_distance_norm"


class _Stats:
    """scipy.stats for a module that takes the distance of two columns; the order of their values is no matter to it."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def wasserstein_distance(self, *samples: Any) -> Any:
        return self._original.wasserstein_distance(*(np.sort(one.to_numpy()) for one in samples))


SHORTCUT = Shortcut(
    name="distances",
    places=(f"{_MODULE}:stats",),
    read=(f"{_MODULE}:_wasserstein_distance_norm",),
    digests=frozenset({"f9389496cadf7833", "ec78a5bc3aa4f4a0"}),
    make=_Stats,
)
