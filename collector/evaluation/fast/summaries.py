"""Summing a reference up once, as long as it is kept: missing and distinct values, constant and duplicated columns."""

from collections.abc import Callable, Hashable
from typing import Any

import pandas as pd

from collector.evaluation.cache import REFERENCES
from collector.evaluation.fast.columns import places_in
from collector.evaluation.fast.known import Shortcut

_METRIC = "evidently.legacy.metrics.data_integrity.dataset_summary_metric:DatasetSummaryMetric"
_CALCULATION = f"{_METRIC}._calculate_dataset_common_stats"
_BYTES_OF_COLUMN = 1_000  # its name, in five dictionaries


def of_a_report(reference: pd.DataFrame | None, key: Hashable) -> Shortcut:
    """Return the shortcut for one report; ``key`` names what its reference was made of, None if it isn't kept."""

    def remembering(original: Callable[..., Any]) -> Callable[..., Any]:
        kept = None if reference is None or key is None else _places(reference)

        def calculate(metric: Any, dataset: Any, mapping: Any) -> Any:
            if kept is None or _places(dataset) != kept:
                return original(metric, dataset, mapping)
            thresholds = (metric.almost_constant_threshold, metric.almost_duplicated_threshold)
            asked = (key, "summary", repr((thresholds, mapping)))
            return REFERENCES.get(
                asked, lambda: original(metric, dataset, mapping), lambda _: len(kept) * _BYTES_OF_COLUMN
            )

        return calculate

    return Shortcut(
        name="summaries of references",
        places=(_CALCULATION,),
        read=(_CALCULATION,),
        digests=frozenset({"954deb8004cb5f27"}),
        make=remembering,
    )


def _places(frame: pd.DataFrame) -> list[Hashable] | None:
    """Return the names of a frame's columns, and where their values lie; None if that can't be told of each."""
    places = list(places_in(frame))
    return None if None in places else [*frame.columns, *places]
