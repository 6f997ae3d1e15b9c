"""Columns of frames: where their values lie, by which they are told apart, and their values in order."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd


class Side:
    """A frame that has one of its columns at hand: pandas makes a series anew each time that it is asked for one."""

    def __init__(self, whole: pd.DataFrame, name: str) -> None:
        self.whole = whole
        self._name = name
        self._column = whole[name]

    def __contains__(self, name: Any) -> bool:
        return name in self.whole

    def __getitem__(self, name: Any) -> Any:
        return self._column if isinstance(name, str) and name == self._name else self.whole[name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)


class Ordered:
    """Sorted values of the columns that were asked for last: a column's drift sorts both sides several times."""

    def __init__(self) -> None:
        self._kept: list[tuple[Hashable, Any, Any]] = []

    def __call__(self, column: "pd.Series[Any]") -> Any:
        """Return a column's values in order; None if it isn't one of numbers that are all finite."""
        if column.dtype not in (np.float64, np.int64) or column.empty:
            return None
        place = place_of(column)
        for known, _, values in self._kept:
            if known == place:
                return values
        values = np.sort(column.to_numpy())
        made = values if np.isfinite(values[[0, -1]]).all() else None  # NaN is last
        self._kept = [*self._kept[-1:], (place, column, made)]
        return made


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
