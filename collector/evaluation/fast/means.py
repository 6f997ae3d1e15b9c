"""Means over time of all columns at once, for a frame whose rows are parted into the 150 bins of a plot once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from collector.evaluation.fast.columns import whole_of
from collector.evaluation.fast.known import Shortcut

_CALCULATION = "evidently.legacy.utils.visualizations:prepare_df_for_time_index_plot"
_BINS = 150
_PLOTTED_AGAINST_THEMSELVES = ("index", "per")
_MANY = 1_000_000  # values; with more, computing all columns at once takes memory and gains nothing


def of_a_report() -> Shortcut:
    """Return the shortcut with a memory of its own, for one report."""
    return Shortcut(
        name="means over time",
        places=("evidently.legacy.calculations.data_drift:prepare_df_for_time_index_plot",),
        read=(_CALCULATION,),
        digests=frozenset({"241441107a225e10", "37dee350d4927b76"}),
        make=_parting_once,
    )


def _parting_once(original: Callable[..., Any]) -> Callable[..., Any]:
    bins: dict[int, Any] = {}
    parted: dict[int, _Parted] = {}  # their keys are places in memory, so these keep the frames alive

    def prepare(given: Any, column: Any, time: Any, *args: Any) -> Any:
        frame = whole_of(given)
        index = frame.index
        is_counted = isinstance(index, pd.RangeIndex) and (index.start, index.step, index.name) == (0, 1, None)
        if not is_counted or time is not None or args or column in _PLOTTED_AGAINST_THEMSELVES:
            return original(frame, column, time, *args)
        rows = len(frame)
        if rows not in bins:
            bins[rows] = pd.cut(pd.Series(np.arange(rows)), bins=_BINS, labels=False).rename("per")
        if id(frame) not in parted:
            parted[id(frame)] = _Parted(frame, bins[rows])
        return parted[id(frame)].means_of(column), None

    return prepare


class _Parted:
    """A frame divided by rows. The second time a mean is asked for, the means of all columns are computed at once."""

    def __init__(self, frame: pd.DataFrame, bins: "pd.Series[Any]") -> None:
        self._frame = frame
        self._bins = bins
        self._parted = frame.groupby(bins)
        self._asked: set[Any] = set()
        self._means: dict[Any, pd.DataFrame] = {}

    def means_of(self, column: Any) -> pd.DataFrame:
        """Return mean and standard deviation of a column for each part that has rows."""
        dtype = getattr(self._frame[column], "dtype", None)
        if not isinstance(dtype, np.dtype):
            made: pd.DataFrame = self._parted[column].agg(["mean", "std"]).reset_index()
            return made
        self._asked.add(column)
        if len(self._asked) == 2 and self._frame.size <= _MANY and self._frame.columns.is_unique:
            self._means = self._of_all()
        if column not in self._means:
            values = self._parted[column]
            self._means[column] = _together(values.mean(), values.std())
        return self._means[column]

    def _of_all(self) -> dict[Any, pd.DataFrame]:
        numbers = self._frame.select_dtypes([np.float64, np.int64])
        parted = numbers.groupby(self._bins)
        mean, spread = parted.mean(), parted.std()
        return {name: _together(mean[name], spread[name]) for name in numbers}


def _together(mean: "pd.Series[Any]", spread: "pd.Series[Any]") -> pd.DataFrame:
    return pd.DataFrame({"per": mean.index.to_numpy(), "mean": mean.to_numpy(), "std": spread.to_numpy()})
