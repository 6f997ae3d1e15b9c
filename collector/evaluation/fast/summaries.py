"""Summing a dataset up: a reference once, while it is kept, and rows compared only where no column tells all apart."""

from collections.abc import Callable, Hashable
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from collector.evaluation.cache import REFERENCES
from collector.evaluation.fast.columns import Ordered, places_in
from collector.evaluation.fast.known import Shortcut

_METRIC = "evidently.legacy.metrics.data_integrity.dataset_summary_metric:DatasetSummaryMetric"
_CALCULATION = f"{_METRIC}._calculate_dataset_common_stats"
_HEAD = 1000  # rows: a column with repeated values mostly repeats one here
_FEW = 2  # columns that are sorted to find one without repeated values
_BYTES_OF_COLUMN = 1_000  # bytes that five dictionaries take for its name


class _Rows(pd.DataFrame):
    """A frame whose rows needn't be compared if one of its columns has no value twice."""

    _internal_names_set = pd.DataFrame._internal_names_set | {"ordered"}  # type: ignore[attr-defined]  # noqa: SLF001  # pandas takes others for columns
    ordered: Ordered

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame  # what pandas makes from it is an ordinary frame

    def duplicated(self, *args: Any, **given: Any) -> Any:
        """Tell which rows equal an earlier row."""
        if args or given or not any(map(self._are_distinct, self._likely())):
            return super().duplicated(*args, **given)
        return pd.Series(np.zeros(len(self), bool), index=self.index)

    def _likely(self) -> list[Any]:
        """Return the first few columns of numbers that have no value twice in the first rows."""
        numbers = (column for _, column in self.items() if column.dtype == np.float64)
        heads = ((column, column.to_numpy()[:_HEAD]) for column in numbers)
        return list(islice((column for column, head in heads if len(np.unique(head)) == len(head)), _FEW))

    def _are_distinct(self, column: Any) -> bool:
        values = self.ordered(column)
        return values is not None and bool((values[1:] != values[:-1]).all())


def of_a_report(reference: pd.DataFrame | None, key: Hashable, ordered: Ordered) -> Shortcut:
    """Return the shortcut for one report; ``key`` names what its reference was made of, None if it isn't kept."""

    def remembering(original: Callable[..., Any]) -> Callable[..., Any]:
        kept = None if reference is None or key is None else _places(reference)

        def calculate(metric: Any, dataset: Any, mapping: Any) -> Any:
            rows = _Rows(dataset, copy=False)
            rows.ordered = ordered
            if kept is None or _places(dataset) != kept:
                return original(metric, rows, mapping)
            thresholds = (metric.almost_constant_threshold, metric.almost_duplicated_threshold)
            asked = (key, "summary", repr((thresholds, mapping)))
            return REFERENCES.get(
                asked, lambda: original(metric, rows, mapping), lambda _: len(kept) * _BYTES_OF_COLUMN
            )

        return calculate

    return Shortcut(
        name="summaries",
        places=(_CALCULATION,),
        read=(_CALCULATION,),
        digests=frozenset({"954deb8004cb5f27"}),
        make=remembering,
    )


def _places(frame: pd.DataFrame) -> list[Hashable] | None:
    """Return the names of a frame's columns and where their values lie; None if a column has no single place."""
    places = list(places_in(frame))
    return None if None in places else [*frame.columns, *places]
