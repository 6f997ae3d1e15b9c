"""Quantiles of values that are in order already, where a summary has each looked for anew."""

from collections.abc import Callable
from typing import Any

import numpy as np

from collector.evaluation.fast.columns import Ordered
from collector.evaluation.fast.known import Shortcut, is_known

_CALCULATION = "evidently.metrics.column_statistics:QuantileValueCalculation.calculate_value"
_BETWEEN = ("numpy.lib._function_base_impl:_lerp",)
_KNOWN_NUMPYS = frozenset({"529be4a4795833a1", "5e06577425f2a2ad"})  # of numpy 2.2 and 2.3, and of 2.4


def of_a_report(ordered: Ordered) -> Shortcut:
    """Return the shortcut for one report."""
    return Shortcut(
        name="quantiles",
        places=(_CALCULATION,),
        read=(_CALCULATION,),
        digests=frozenset({"cdb235520dd8437f"}),
        make=lambda original: _taking(original, ordered) if is_known(_BETWEEN, _KNOWN_NUMPYS) else original,
    )


def _taking(original: Callable[..., Any], ordered: Ordered) -> Callable[..., Any]:
    def calculate_value(calculation: Any, column: Any) -> Any:
        values, share = ordered(column.data), calculation.metric.quantile
        is_plain = 0 <= share <= 1 and share * 100.0 / 100.0 == share  # pandas 2 goes by way of percent
        found = _quantile(values, share) if values is not None and is_plain else None
        return original(calculation, column) if found is None else found

    return calculate_value


def _quantile(values: Any, share: float) -> Any:
    """Interpolate between two values as numpy does, to the last bit; None between zeros, whose signs have no order."""
    place = (len(values) - 1) * np.float64(share)
    before = int(place) if place < len(values) - 1 else -1
    low, high = values[before], values[before + 1 if before >= 0 else -1]
    if low == 0 or high == 0:
        return None
    part, gap = place - before, high - low
    return high - gap * (1 - part) if part >= 0.5 else low + gap * part
