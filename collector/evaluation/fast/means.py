"""Parting rows into the 150 bins of a plot over time once in one report, not for each column."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from collector.evaluation.fast.known import Shortcut

_CALCULATION = "evidently.legacy.utils.visualizations:prepare_df_for_time_index_plot"
_BINS = 150
_PLOTTED_AGAINST_THEMSELVES = ("index", "per")


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
    parted: dict[int, Any] = {}  # these hold their frames

    def prepare(frame: Any, column: Any, time: Any, *args: Any) -> Any:
        index = frame.index
        is_counted = isinstance(index, pd.RangeIndex) and (index.start, index.step, index.name) == (0, 1, None)
        if not is_counted or time is not None or args or column in _PLOTTED_AGAINST_THEMSELVES:
            return original(frame, column, time, *args)
        rows = len(frame)
        if rows not in bins:
            bins[rows] = pd.cut(pd.Series(np.arange(rows)), bins=_BINS, labels=False).rename("per")
        if id(frame) not in parted:
            parted[id(frame)] = frame.groupby(bins[rows])
        values = parted[id(frame)][column]
        if not isinstance(getattr(frame[column], "dtype", None), np.dtype):
            return values.agg(["mean", "std"]).reset_index(), None
        return pd.DataFrame({"mean": values.mean(), "std": values.std()}).reset_index(), None

    return prepare
