"""Drift of a whole table, counted over the columns for which it can be computed.

Evidently computes a table's drift in one function and raises if one of its columns can't be compared. Here it is then
asked for the other columns, and who wants the result can ask which columns are not in it::

    asked for age, note, city    raises, as no row has a note
    asked for each alone         note raises: its reason is kept
    asked for age, city          the result that the metric gets; ``missing_from`` tells of note

Some columns can be computed alone and not beside others, as Evidently also correlates the numbers of a table: then as
few as possible are left out, and first those whose type isn't the reference's.
"""

import importlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from collector.evaluation.uncomputed import PASSING, comparable, reason_of, sides_of

_CALCULATION = "evidently.legacy.calculations.data_drift"
_FUNCTION = "get_drift_for_columns"
_USERS = {  # the module that calls the function, and the metric that does so
    "evidently.legacy.metrics.data_drift.dataset_drift_metric": "DatasetDriftMetric",
    "evidently.legacy.metrics.data_drift.data_drift_table": "DataDriftTable",
}


class TableDrift:
    """Which columns are missing from the drift results of one report."""

    def __init__(self) -> None:
        self._results: list[tuple[Any, dict[str, str]]] = []
        self._reasons: dict[str, str] = {}

    def missing_from(self, result: Any) -> dict[str, str]:
        """Return the columns that a metric's result doesn't count, with the reasons."""
        return next((reasons for known, reasons in self._results if known is result), {})

    def remembering(self, calculate: Callable[..., Any]) -> Callable[..., Any]:
        """Return a metric's ``calculate`` that remembers which columns its result lacks."""

        def remembered(metric: Any, data: Any) -> Any:
            self._reasons = {}
            result = calculate(metric, data)
            if self._reasons:
                self._results.append((result, self._reasons))
            return result

        return remembered

    def over_the_rest(self, original: Callable[..., Any], columns_of: Callable[..., list[str]]) -> Callable[..., Any]:
        """Return Evidently's function, which leaves out what it raises for instead of raising."""

        def computed(*, columns: list[str] | None = None, **given: Any) -> Any:
            try:
                return original(columns=columns, **given)
            except PASSING:
                raise
            except Exception:
                asked = columns_of(given["dataset_columns"]) if columns is None else columns
                reasons = _reasons(original, asked, given)
                rest = [name for name in asked if name not in reasons]
                if not rest:
                    raise
                result, apart = _compute_together(original, rest, given)
                reasons |= apart
                # A column on one side only doesn't count in a table's drift, unless the report names it.
                told = comparable(given["reference_data"]) if columns is None else set(asked)
                self._reasons |= {name: reason for name, reason in reasons.items() if name in told}
                return result

        return computed


@contextmanager
def over_computable_columns() -> Iterator[TableDrift]:
    """Have a table's drift counted over what can be compared, for one report at a time in a process."""
    drift = TableDrift()
    columns_of = importlib.import_module(_CALCULATION)._get_all_columns_for_drift  # noqa: SLF001  # it has no other name
    with ExitStack() as stack:
        for path, name in _USERS.items():
            module = importlib.import_module(path)
            metric, original = getattr(module, name), getattr(module, _FUNCTION)
            stack.enter_context(patch.object(module, _FUNCTION, drift.over_the_rest(original, columns_of)))
            stack.enter_context(patch.object(metric, "calculate", drift.remembering(metric.calculate)))
        yield drift


def _compute_together(
    original: Callable[..., Any], columns: list[str], given: dict[str, Any]
) -> tuple[Any, dict[str, str]]:
    """Compute the columns that can be computed together, of those that can be alone; say why others can't."""
    current, reference = given["current_data"], given["reference_data"]
    kept = sorted(columns, key=lambda name: bool(current[name].dtype != reference[name].dtype))
    reasons: dict[str, str] = {}

    def raises(count: int) -> bool:
        try:
            original(columns=kept[:count], **given)
        except PASSING:
            raise
        except Exception:  # noqa: BLE001  # whatever Evidently raises for columns is theirs
            return True
        return False

    while True:
        try:
            return original(columns=[name for name in columns if name in kept], **given), reasons
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001  # the same
            name = kept.pop(bisect_left(range(1, len(kept)), True, key=raises))
            reasons[name] = reason_of(error, [name], sides_of(current, reference))


def _reasons(original: Callable[..., Any], columns: list[str], given: dict[str, Any]) -> dict[str, str]:
    """Try each column alone; return those that can't be computed, with the reasons."""
    sides = sides_of(given["current_data"], given["reference_data"])
    reasons: dict[str, str] = {}
    for name in columns:
        try:
            original(columns=[name], **given)
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001  # whatever Evidently raises for a column is the column's
            reasons[name] = reason_of(error, [name], sides)
    return reasons
