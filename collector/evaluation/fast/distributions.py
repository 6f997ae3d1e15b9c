"""Counting a column's distribution once in one report, by its values in order: a summary shows the same one often."""

from collections.abc import Callable
from typing import Any

import numpy as np
from evidently.legacy.metric_results import Distribution
from evidently.legacy.utils import visualizations

from collector.evaluation.fast.columns import Ordered, place_of
from collector.evaluation.fast.known import Shortcut

_MODULE = "evidently.legacy.utils.visualizations:"
_NAME = "get_distribution_for_column"


def of_a_report(ordered: Ordered) -> Shortcut:
    """Return the shortcut with a memory of its own, for one report."""
    return Shortcut(
        name="distributions",
        places=(f"evidently.metrics.column_statistics:{_NAME}", f"evidently.legacy.calculations.data_drift:{_NAME}"),
        read=(
            f"{_MODULE}{_NAME}",
            f"{_MODULE}get_distribution_for_numerical_column",
            f"{_MODULE}histogram_bin_edges_doane",
        ),
        digests=frozenset({"d3f0e4ae52569591", "162902a922e33c4f"}),
        make=lambda original: _remembering(original, ordered),
    )


def _remembering(original: Callable[..., Any], ordered: Ordered) -> Callable[..., Any]:
    counted: dict[Any, Any] = {}

    def count(*, column_type: str, current: Any, reference: Any = None, **given: Any) -> Any:
        bins = given.get("bins")
        places = [None if one is None else place_of(one) for one in (current, reference)]
        if places[0] is None or (places[1] is None) != (reference is None) or not isinstance(bins, int | None):
            return original(column_type=column_type, current=current, reference=reference, **given)
        key = (column_type, bins, *places)
        if key not in counted:
            made = _of_numbers(current, reference, ordered) if column_type == "num" and bins is None else None
            if made is None:
                made = original(column_type=column_type, current=current, reference=reference, **given)
            # keeps the columns alive, so that no other gets their place in memory
            counted[key] = (made, current, reference)
        return counted[key][0]

    return count


def _of_numbers(current: Any, reference: Any, ordered: Ordered) -> Any:
    """Count the values between Evidently's bins; None if the columns aren't all numbers."""
    sides = [current] if reference is None else [current, reference]
    values = [ordered(one) for one in sides]
    if any(one is None or one.dtype != values[0].dtype for one in values):
        return None
    edges = visualizations.histogram_bin_edges_doane(np.concatenate([one.to_numpy() for one in sides]))
    made = [Distribution(x=edges, y=_counts(one, edges)) for one in values]
    return made[0], None if reference is None else made[1]


def _counts(values: Any, edges: Any) -> Any:
    """Count as numpy's histogram does: a value on the last edge is in the last bin."""
    return np.diff(np.concatenate((values.searchsorted(edges[:-1], "left"), values.searchsorted(edges[-1:], "right"))))
