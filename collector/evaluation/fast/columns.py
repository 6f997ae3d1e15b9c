"""Where the values of a column lie: two columns at one place are the same column, however they were come by."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd


def place_of(column: "pd.Series[Any]") -> Hashable:
    """Name the place of a column's values; None if it can't be told.

    It is another column's once this one is gone, so who keeps a place keeps the column.
    """
    values: Any = column.array
    if isinstance(values, pd.Categorical):
        return ("labels", _memory(values.codes), id(values.dtype))
    if isinstance(column.dtype, np.dtype):
        return _memory(np.asarray(values))
    arrow = getattr(values, "_pa_array", None)  # a text of pandas 3
    if arrow is None:
        return None
    return (str(column.dtype), tuple((len(one), one.offset, *map(_address, one.buffers())) for one in arrow.chunks))


def _address(buffer: Any) -> int | None:
    return None if buffer is None else buffer.address  # one of no bytes is falsy


def _memory(values: Any) -> Hashable:
    seen = values.__array_interface__
    return (seen["data"][0], seen["shape"], values.strides, seen["typestr"])
