"""Counting a column's distribution once in one report: a summary shows the same one with each of its statistics."""

from collections.abc import Callable
from typing import Any

from collector.evaluation.fast.columns import place_of
from collector.evaluation.fast.known import Shortcut

_CALCULATION = "evidently.legacy.utils.visualizations:get_distribution_for_column"
_NAME = _CALCULATION.partition(":")[2]


def of_a_report() -> Shortcut:
    """Return the shortcut with a memory of its own, for one report."""
    return Shortcut(
        name="distributions",
        places=(f"evidently.metrics.column_statistics:{_NAME}", f"evidently.legacy.calculations.data_drift:{_NAME}"),
        read=(_CALCULATION,),
        digests=frozenset({"df960774e48d96d5", "f1498ca74e67ef2b"}),
        make=_remembering,
    )


def _remembering(original: Callable[..., Any]) -> Callable[..., Any]:
    counted: dict[Any, Any] = {}

    def count(*, column_type: str, current: Any, reference: Any = None, **given: Any) -> Any:
        bins = given.get("bins")
        places = [None if one is None else place_of(one) for one in (current, reference)]
        if places[0] is None or (places[1] is None) != (reference is None) or not isinstance(bins, int | None):
            return original(column_type=column_type, current=current, reference=reference, **given)
        key = (column_type, bins, *places)
        if key not in counted:
            made = original(column_type=column_type, current=current, reference=reference, **given)
            counted[key] = (made, current, reference)  # the columns, so that their places stay theirs
        return counted[key][0]

    return count
