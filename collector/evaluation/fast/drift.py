"""Computing a column's drift once in one report, whichever of its metrics asks for it.

Evidently's DataDriftPreset computes the drift of each column for the count of drifted columns, for the column's own
metric, and for the table. Here the first result is given to the others. It is found by all that it depends on, so no
value, plot or test differs from Evidently's own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from evidently.legacy.core import ColumnType

from collector.evaluation.fast.known import Shortcut

_CALCULATION = "evidently.legacy.calculations.data_drift:get_one_column_drift"
_DIGESTS = frozenset({"ee7d1a94812a56dc", "eb7f4b5c90d326cc"})  # of Evidently 0.7.17 to 0.7.20, and to 0.7.23
_UNSEEDED = {"empirical_mmd"}  # draws anew each time


def of_a_report() -> Shortcut:
    """Return the shortcut with a memory of its own, for one report."""
    return Shortcut(
        name="drift",
        places=(_CALCULATION, "evidently.metrics.column_statistics:get_one_column_drift"),
        read=(_CALCULATION, "evidently.metrics.column_statistics:ValueDriftCalculation.calculate"),
        digests=_DIGESTS,
        make=_Drift,
    )


def is_computed_alike(test: Any) -> bool:
    """Tell whether a test of drift, or each of a dictionary, gives the same of the same columns at any time."""
    if isinstance(test, dict):
        return all(map(is_computed_alike, test.values()))
    return test is None or (isinstance(test, str) and test not in _UNSEEDED)


class _Drift:
    """Evidently's get_one_column_drift, with a memory."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self._original = original
        self._results: dict[Any, Any] = {}
        self._held: list[Any] = []  # what a key names by its place in memory must keep that place
        self._infinite: dict[Any, bool] = {}

    def __call__(self, **given: Any) -> Any:
        key = self._key(given)
        if key is None:
            return self._original(**given)
        if key in self._results:
            return _with_correlations(self._results[key], given)
        if given["column_type"] == ColumnType.Numerical and given["num_correlations"] is None:
            given["num_correlations"] = _correlations(given)
        self._held += [given["current_data"], given["reference_data"]]
        self._results[key] = self._original(**_narrow(given))
        return self._results[key]

    def _key(self, given: dict[str, Any]) -> Any:
        """Name all that a drift depends on but the correlations; None for what must be computed each time."""
        given.setdefault("num_correlations", None)
        given.setdefault("is_contains_nans", None)
        name, kind, options = given["column_name"], given["column_type"], given["options"]
        frames = (given["current_data"], given["reference_data"])
        special = given["dataset_columns"].utility_columns
        if name in (special.target, special.prediction) or not all(name in frame for frame in frames):
            return None
        test = options.get_feature_stattest_func(name, kind.value)
        if not is_computed_alike(test):
            return None
        threshold, bins = options.get_threshold(name, kind.value), repr((options.nbinsx, options.xbins))
        cleaned = tuple(self._is_as_cleaned(given, number) for number in (0, 1))
        places = tuple((id(frame), _place(frame[name])) for frame in frames)
        return (places, name, kind, test, threshold, bins, cleaned, special.date, given["agg_data"])

    def _is_as_cleaned(self, given: dict[str, Any], number: int) -> bool:
        """Tell whether a column is what it is once NaN and infinities are out, either being so or being made so."""
        if given["is_contains_nans"] is None or given["is_contains_nans"][number][given["column_name"]]:
            return True
        frame = (given["current_data"], given["reference_data"])[number]
        key = (id(frame), given["column_name"])
        if key not in self._infinite:
            self._held.append(frame)
            self._infinite[key] = _has_infinity(frame[given["column_name"]])
        return not self._infinite[key]


def _place(column: "pd.Series[Any]") -> int | None:
    """Tell where numbers lie: a column that is replaced in its frame lies elsewhere."""
    values = column.array
    is_numpy = isinstance(column.dtype, np.dtype)
    return int(np.asarray(values).__array_interface__["data"][0]) if is_numpy else None


def _has_infinity(column: "pd.Series[Any]") -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = pd.Series(column.cat.categories)
    if column.dtype.kind in "iubM":
        return False
    return bool(np.isinf(column).any() if column.dtype.kind == "f" else column.isin([np.inf, -np.inf]).any())


def _correlations(given: dict[str, Any]) -> tuple[Any, ...]:
    numbers = given["dataset_columns"].num_feature_names
    columns = numbers if given["column_name"] in numbers else [*numbers, given["column_name"]]
    frames = (given["current_data"], given["reference_data"])
    if len(columns) == 1:  # taking a list of one is ten times as slow
        return tuple(frame[columns[0]].to_frame().corr() for frame in frames)
    return tuple(frame[columns].corr() for frame in frames)


def _with_correlations(result: Any, given: dict[str, Any]) -> Any:
    """Return a result with the correlations among the columns of this call; who gives none shows none."""
    if given["column_type"] != ColumnType.Numerical or given["num_correlations"] is None:
        return result
    own = {
        side: getattr(result, side).copy(update={"correlations": among[given["column_name"]].to_dict()})
        for side, among in zip(("current", "reference"), given["num_correlations"], strict=True)
    }
    return result.copy(update=own)


def _narrow(given: dict[str, Any]) -> dict[str, Any]:
    """Leave out the columns that aren't read: where values are missing, whole frames are copied for each column."""
    missing = given["is_contains_nans"]
    if missing is not None and not missing[0].any():
        return given
    names = (given["column_name"], given["dataset_columns"].utility_columns.date)
    frames = {side: given[side] for side in ("current_data", "reference_data")}
    return given | {side: frame[[name for name in frame if name in names]] for side, frame in frames.items()}
