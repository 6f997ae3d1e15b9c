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

from collector.evaluation.fast.columns import Side, whole_of
from collector.evaluation.fast.correlations import NONE
from collector.evaluation.fast.known import Shortcut

_CALCULATION = "evidently.legacy.calculations.data_drift:get_one_column_drift"
_DIGESTS = frozenset({"ee7d1a94812a56dc", "eb7f4b5c90d326cc"})  # of Evidently 0.7.17 to 0.7.20, and 0.7.21 to 0.7.23
_UNSEEDED = {"empirical_mmd"}  # tests that draw at random each time
# Evidently finds no drift method for other kinds
_KINDS = (ColumnType.Numerical, ColumnType.Categorical, ColumnType.Text)


def of_a_report(*, shows_correlations: bool = True) -> Shortcut:
    """Return the shortcut with a memory of its own, for one report."""
    return Shortcut(
        name="drift",
        places=(_CALCULATION, "evidently.metrics.column_statistics:get_one_column_drift"),
        read=(_CALCULATION, "evidently.metrics.column_statistics:ValueDriftCalculation.calculate"),
        digests=_DIGESTS,
        make=lambda original: _Drift(original, shows_correlations=shows_correlations),
    )


def is_computed_alike(test: Any) -> bool:
    """Tell whether a test of drift, or each of a dictionary, gives the same of the same columns at any time."""
    if isinstance(test, dict):
        return all(map(is_computed_alike, test.values()))
    return test is None or (isinstance(test, str) and test not in _UNSEEDED)


class _Drift:
    """Evidently's get_one_column_drift, which remembers its results."""

    def __init__(self, original: Callable[..., Any], *, shows_correlations: bool) -> None:
        self._original = original
        self._shows_correlations = shows_correlations
        self._results: dict[Any, Any] = {}
        self._held: list[Any] = []  # keeps alive what a key names by its place in memory
        self._infinite: dict[Any, bool] = {}
        self._missing: dict[int, _Flags] = {}

    def __call__(self, **given: Any) -> Any:
        given |= {side: whole_of(given[side]) for side in ("current_data", "reference_data")}
        if not self._shows_correlations:
            given["num_correlations"] = NONE
        key = self._key(given)
        if key is None:
            return self._original(**given)
        if key in self._results:
            result = self._results[key]
            return _with_correlations(result, given) if self._shows_correlations else result
        if given["column_type"] == ColumnType.Numerical and given["num_correlations"] is None:
            given["num_correlations"] = _correlations(given)
        self._held += [given["current_data"], given["reference_data"]]
        self._results[key] = self._original(**_of_one(given))
        return self._results[key]

    def _key(self, given: dict[str, Any]) -> Any:
        """Return a key of all that a drift depends on, except correlations; None if it must be computed each time."""
        given.setdefault("num_correlations", None)
        given.setdefault("is_contains_nans", None)
        name, kind, options = given["column_name"], given["column_type"], given["options"]
        frames = (given["current_data"], given["reference_data"])
        special = given["dataset_columns"].utility_columns
        columns = [_values_of(frame, name) for frame in frames]
        if kind not in _KINDS or name in (special.target, special.prediction) or any(one is None for one in columns):
            return None
        test = options.get_feature_stattest_func(name, kind.value)
        if not is_computed_alike(test):
            return None
        threshold, bins = options.get_threshold(name, kind.value), repr((options.nbinsx, options.xbins))
        if given["is_contains_nans"] is not None:
            given["is_contains_nans"] = tuple(map(self._flags, given["is_contains_nans"]))
        cleaned = tuple(self._is_as_cleaned(given, number, columns[number]) for number in (0, 1))
        places = tuple((id(frame), _place(column)) for frame, column in zip(frames, columns, strict=True))
        return (places, name, kind, test, threshold, bins, cleaned, special.date, given["agg_data"])

    def _flags(self, missing: "pd.Series[Any]") -> "_Flags":
        if id(missing) not in self._missing:
            self._held.append(missing)
            self._missing[id(missing)] = _Flags(missing)
        return self._missing[id(missing)]

    def _is_as_cleaned(self, given: dict[str, Any], number: int, column: Any) -> bool:
        """Tell whether a column is the same without NaN and infinities, because it has none or was cleaned already."""
        if given["is_contains_nans"] is None or given["is_contains_nans"][number][given["column_name"]]:
            return True
        frame = (given["current_data"], given["reference_data"])[number]
        key = (id(frame), given["column_name"])
        if key not in self._infinite:
            self._held.append(frame)
            self._infinite[key] = _has_infinity(column)
        return not self._infinite[key]


class _Flags(dict[Any, bool]):
    """Which columns have missing values, in the form in which Evidently asks a series for it."""

    def __init__(self, missing: "pd.Series[Any]") -> None:
        super().__init__(missing.to_dict())
        self._any = bool(missing.any())

    def any(self) -> bool:
        return self._any


def _values_of(frame: pd.DataFrame, name: Any) -> Any:
    """Return a column's array; None if no column has that name, or several have."""
    try:
        place = frame.columns.get_loc(name)
    except KeyError:
        return None
    return frame._get_column_array(place) if isinstance(place, int) else None  # type: ignore[operator]  # noqa: SLF001  # a series takes ten times as long


def _place(values: Any) -> int | None:
    """Return where numbers lie in memory: a column that is replaced in its frame has another place."""
    return int(values.__array_interface__["data"][0]) if isinstance(values, np.ndarray) else None


def _has_infinity(values: Any) -> bool:
    if isinstance(values.dtype, pd.StringDtype):
        return False
    if isinstance(values, pd.Categorical):
        values = values.categories.array
    if values.dtype.kind in "iubM":
        return False
    return bool(np.isinf(values).any() if values.dtype.kind == "f" else pd.Series(values).isin([np.inf, -np.inf]).any())


def _correlations(given: dict[str, Any]) -> tuple[Any, ...]:
    numbers = given["dataset_columns"].num_feature_names
    columns = numbers if given["column_name"] in numbers else [*numbers, given["column_name"]]
    frames = (given["current_data"], given["reference_data"])
    if len(columns) == 1:  # to take a list of one column is ten times as slow
        return tuple(frame[columns[0]].to_frame().corr() for frame in frames)
    return tuple(frame[columns].corr() for frame in frames)


def _with_correlations(result: Any, given: dict[str, Any]) -> Any:
    """Return a result with the correlations among this call's columns; with none, if none are asked for."""
    if given["column_type"] != ColumnType.Numerical or given["num_correlations"] is None:
        return result
    own = {
        side: getattr(result, side).copy(update={"correlations": among[given["column_name"]].to_dict()})
        for side, among in zip(("current", "reference"), given["num_correlations"], strict=True)
    }
    return result.copy(update=own)


def _of_one(given: dict[str, Any]) -> dict[str, Any]:
    """Leave out columns that aren't read: where values are missing, Evidently copies whole frames for each column."""
    missing, name = given["is_contains_nans"], given["column_name"]
    frames = {side: given[side] for side in ("current_data", "reference_data")}
    if missing is None or missing[0].any():
        names = (name, given["dataset_columns"].utility_columns.date)
        frames = {side: frame[[one for one in frame if one in names]] for side, frame in frames.items()}
    return given | {side: Side(frame, name) for side, frame in frames.items()}
