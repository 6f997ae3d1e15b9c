"""Counting the values only of columns that may be constant, or nearly so, where a summary counts such columns."""

from collections.abc import Callable
from typing import Any

import numpy as np

from collector.evaluation.fast.known import Shortcut

_CALCULATIONS = "evidently.legacy.calculations.data_integration:"
_SUMMARY = "evidently.legacy.metrics.data_integrity.dataset_summary_metric:"
_CONSTANT = "get_number_of_constant_columns"
_ALMOST = "get_number_of_almost_constant_columns"
_HEAD = 1000  # rows: a column that isn't constant mostly shows it here


def _constant(original: Callable[..., Any]) -> Callable[..., Any]:
    """Leave out columns that have several values in the first rows: they aren't constant."""
    return lambda dataset: original(_without(dataset, lambda column: column.iloc[:_HEAD].nunique() > 1))


def _almost(original: Callable[..., Any]) -> Callable[..., Any]:
    """Leave out columns of numbers in which no value fills the share: one that fills over half stands in the middle."""

    def count(dataset: Any, threshold: float) -> Any:
        if not threshold > 0.5:
            return original(dataset, threshold)
        return original(_without(dataset, lambda column: _is_varied(column, threshold)), threshold)

    return count


def _is_varied(column: Any, threshold: float) -> bool:
    if not (isinstance(column.dtype, np.dtype) and column.dtype.kind in "fi"):
        return False
    values = column.to_numpy()
    middle = np.partition(values, len(values) // 2)[len(values) // 2]
    return bool(np.count_nonzero(values == middle) / len(values) < threshold)


def _without(dataset: Any, is_ruled_out: Callable[[Any], bool]) -> Any:
    if len(dataset) <= _HEAD or not dataset.columns.is_unique:
        return dataset
    # A column of objects may hold values that can't be counted: Evidently's own function has to raise for those.
    return dataset[[name for name, one in dataset.items() if one.dtype == object or not is_ruled_out(one)]]


SHORTCUTS = (
    Shortcut(
        name="constant columns",
        places=(_SUMMARY + _CONSTANT,),
        read=(_CALCULATIONS + _CONSTANT,),
        digests=frozenset({"c3429c1fb771841e"}),
        make=_constant,
    ),
    Shortcut(
        name="almost constant columns",
        places=(_SUMMARY + _ALMOST,),
        read=(_CALCULATIONS + _ALMOST,),
        digests=frozenset({"e73da48cefbd42c1"}),
        make=_almost,
    ),
)
