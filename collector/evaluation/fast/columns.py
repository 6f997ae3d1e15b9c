"""Columns of frames: where their values lie, by which they are told apart, and their values in order."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from collector.evaluation.cache import REFERENCES

_FEW = 10_000  # rows, which are sorted in no time
_MANY = 5_000_000  # values; to keep more would take memory from the reports


class Frame:
    """What stands in place of a frame, which is the ``whole``."""

    def __init__(self, whole: pd.DataFrame) -> None:
        self.whole = whole

    def __contains__(self, name: Any) -> bool:
        return name in self.whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)


class Side(Frame):
    """A frame that has one of its columns at hand: pandas makes a series anew each time that it is asked for one."""

    def __init__(self, whole: pd.DataFrame, name: str) -> None:
        super().__init__(whole)
        self._name = name
        column = whole[name]
        self._column = column if column.dtype.kind in "biuf" else _Labels(column, copy=False)

    def __getitem__(self, name: Any) -> Any:
        return self._column if isinstance(name, str) and name == self._name else self.whole[name]


class _Labels(pd.Series):
    """A column whose values are counted once, whatever arguments Evidently passes."""

    _internal_names_set = pd.Series._internal_names_set | {"made"}  # type: ignore[attr-defined]  # noqa: SLF001  # pandas takes others for columns
    made: dict[Any, Any]

    @property
    def _constructor(self) -> Any:
        return pd.Series  # what pandas makes from it is an ordinary series

    def value_counts(self, *args: Any, **given: Any) -> Any:
        """Count the values. Whether missing ones are left out makes no difference if none is missing."""
        words = {name: value for name, value in given.items() if (name, value) != ("normalize", False)}
        if not self._once("hasnans", lambda: self.hasnans):
            words.pop("dropna", None)
        return self._once((args, *words.items()), lambda: super(_Labels, self).value_counts(*args, **given))

    def unique(self) -> Any:
        """Return each value once."""
        return self._once("unique", super().unique)

    def dropna(self, **given: Any) -> Any:
        """Return the values that aren't missing: the column itself, if none is."""
        has_all = not given and not self._once("hasnans", lambda: self.hasnans)
        return self if has_all else super().dropna(**given)

    def _once(self, what: Any, make: Callable[[], Any]) -> Any:
        if not hasattr(self, "made"):
            self.made = {}
        if what not in self.made:
            self.made[what] = make()
        return self.made[what]


class Ordered:
    """Sorted values of the columns that were asked for last: a column's drift sorts both sides several times.

    Those of a ``reference`` of some size are kept for the next report by ``key``, if that is given.
    """

    def __init__(self, reference: pd.DataFrame | None = None, key: Hashable = None) -> None:
        self._kept: list[tuple[Hashable, Any, Any]] = []
        self._key = key
        self._reference: dict[Hashable, int] = {}
        if reference is not None and key is not None and len(reference) >= _FEW and reference.size <= _MANY:
            self._reference = {place: number for number, place in enumerate(places_in(reference))}

    def __call__(self, column: "pd.Series[Any]") -> Any:
        """Return a column's values, sorted; None if they aren't all finite numbers."""
        if column.dtype not in (np.float64, np.int64) or column.empty:
            return None
        place = place_of(column)
        for known, _, values in self._kept:
            if known == place:
                return values
        if place in self._reference:
            kept = (self._key, "ordered", self._reference[place])
            values = REFERENCES.get(kept, lambda: np.sort(column.to_numpy()), lambda made: int(made.nbytes))
        else:
            values = np.sort(column.to_numpy())
        made = values if np.isfinite(values[[0, -1]]).all() else None  # NaN sorts last
        self._kept = [*self._kept[-1:], (place, column, made)]
        return made


def whole_of(frame: Any) -> Any:
    """Return a frame itself, whatever stands in its place."""
    return frame.whole if isinstance(frame, Frame) else frame


def places_in(frame: pd.DataFrame) -> Iterator[Hashable]:
    """Yield where the values of each column lie."""
    return map(_place, frame._iter_column_arrays())  # type: ignore[operator]  # noqa: SLF001  # a series takes ten times as long


def place_of(column: "pd.Series[Any]") -> Hashable:
    """Name the place of a column's values; None if it can't be told.

    It is another column's once this one is gone, so who keeps a place keeps the column.
    """
    return _place(column.to_numpy() if isinstance(column.dtype, np.dtype) else column.array)


def _place(values: Any) -> Hashable:
    if isinstance(values, pd.Categorical):
        return ("labels", _memory(values.codes), id(values.dtype))
    if isinstance(values.dtype, np.dtype):
        return _memory(np.asarray(values))
    arrow = getattr(values, "_pa_array", None)  # a text column of pandas 3
    if arrow is None:
        return None
    return (str(values.dtype), tuple((len(one), one.offset, *map(_address, one.buffers())) for one in arrow.chunks))


def _address(buffer: Any) -> int | None:
    return None if buffer is None else buffer.address  # a buffer of no bytes is falsy


def _memory(values: Any) -> Hashable:
    seen = values.__array_interface__
    return (seen["data"][0], seen["shape"], values.strides, seen["typestr"])
