"""Leaving out correlations among columns, which a drift computes of both sides and a modern report shows nowhere."""

from collections.abc import Callable
from typing import Any

import numpy as np

from collector.evaluation.fast.choices import DIGESTS_OF_DRIFT, FUNCTIONS_OF_DRIFT
from collector.evaluation.fast.columns import Frame
from collector.evaluation.fast.known import Shortcut

_METRICS = "evidently.legacy.metrics.data_drift."
_NAME = "get_drift_for_columns"


class _Uncorrelated:
    """Stands for columns that are asked for their correlations only to throw these away."""

    def __init__(self, columns: int = 0) -> None:
        self.values = np.repeat([[0.0], [1.0]], columns, axis=1)  # two rows, which numpy correlates in no time

    def __getitem__(self, name: Any) -> "_Uncorrelated":
        return self

    def corr(self) -> "_Uncorrelated":
        return self

    def to_dict(self) -> dict[str, float]:
        return {}


NONE = (_Uncorrelated(), _Uncorrelated())


class _Side(Frame):
    """A frame that is asked for several columns to correlate them, and otherwise for single columns."""

    def __getitem__(self, name: Any) -> Any:
        return _Uncorrelated(len(name)) if isinstance(name, list) and self._are_numbers(name) else self.whole[name]

    def _are_numbers(self, names: list[Any]) -> bool:
        """Tell whether the columns can be correlated: Evidently raises for others, and for a name that stands twice."""
        kinds = self.whole.dtypes
        return all(isinstance(kinds[name], np.dtype) and kinds[name].kind in "iuf" for name in names)


def _without(original: Callable[..., Any]) -> Callable[..., Any]:
    def compute(**given: Any) -> Any:
        if isinstance(given["dataset_columns"].utility_columns.prediction, list):  # labels are made from these columns
            return original(**given)
        return original(**given | {side: _Side(given[side]) for side in ("current_data", "reference_data")})

    return compute


SHORTCUT = Shortcut(
    name="correlations",
    places=(f"{_METRICS}dataset_drift_metric:{_NAME}", f"{_METRICS}data_drift_table:{_NAME}"),
    read=FUNCTIONS_OF_DRIFT,
    digests=DIGESTS_OF_DRIFT,
    make=_without,
)
