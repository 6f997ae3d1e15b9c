"""Multiplying where Evidently takes a power of each value, 20 times as slow, to know how many bins a histogram has."""

from collections.abc import Callable
from typing import Any

import numpy as np

from collector.evaluation.fast.known import Shortcut

_MODULE = "evidently.legacy.utils.visualizations:"
_WIDTH = f"{_MODULE}_doane_width"
_SURE = 1e-6  # of a bin: products differ from powers in the last bits, which comes to less than this


def _multiplying(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a width that gives the same number of bins, which is all it is used for; if unsure, Evidently's own."""

    def width(values: Any, first: Any, last: Any) -> Any:
        if values.dtype not in (np.float64, np.int64) or values.size <= 2:
            return original(values, first, last)
        off = values - np.mean(values)
        deviation = np.std(values)
        if not (np.isfinite(deviation) and deviation > 0):
            return original(values, first, last)
        off /= deviation
        skewness = np.mean(off * off * off)
        usual = np.sqrt(6.0 * (values.size - 2) / ((values.size + 1.0) * (values.size + 3)))
        bins = 1.0 + np.log2(values.size) + np.log2(1.0 + np.absolute(skewness) / usual)
        if not abs(bins - round(bins)) > _SURE:
            return original(values, first, last)
        return (float(last) - float(first)) / bins

    return width


SHORTCUT = Shortcut(
    name="bins of histograms",
    places=(_WIDTH,),
    read=(_WIDTH, f"{_MODULE}histogram_bin_edges_doane"),
    digests=frozenset({"4abdce7609c522e4"}),
    make=_multiplying,
)
