"""Statistics of a dataset's columns, computed when asked for: a dataset is made with them, and no preset asks."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import pandas as pd
from evidently.legacy.core import ColumnType
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from collector.evaluation.fast.known import Shortcut

_COLLECTING = "evidently.core.datasets:PandasDataset._collect_stats"


class _Later:
    """Evidently's ColumnStats, computed only when one of its fields is asked for."""

    def __init__(self, collect: Callable[[], Any]) -> None:
        self._collect = collect

    general_stats = cached_property(lambda self: self._collected.general_stats)
    numerical_stats = cached_property(lambda self: self._collected.numerical_stats)
    categorical_stats = cached_property(lambda self: self._collected.categorical_stats)

    @cached_property
    def _collected(self) -> Any:
        return self._collect()


def _later(original: Callable[..., Any]) -> Callable[..., Any]:
    def collect(dataset: Any, kind: Any, data: Any) -> Any:
        # a descriptor adds a column, and has to fail here if its kind is wrong
        is_made = hasattr(dataset, "_dataset_stats")
        if (
            is_made
            or not isinstance(data, pd.Series)
            or data.dtype == object
            or (kind == ColumnType.Numerical and not _are_numbers(data))
        ):
            return original(dataset, kind, data)
        return _Later(lambda: original(dataset, kind, data))

    return collect


def _are_numbers(data: Any) -> bool:
    return is_numeric_dtype(data) and not is_bool_dtype(data)  # Evidently raises for quantiles of booleans


SHORTCUT = Shortcut(
    name="statistics of columns",
    places=(_COLLECTING,),
    read=(_COLLECTING, "evidently.core.datasets:ColumnStats"),
    digests=frozenset({"859668fbd6b2920a"}),
    make=_later,
)
