"""Tables of JSON: frames that were read as columns of Python values become Arrow, each column at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from collector.formats.apart import Form, Gathered
from collector.formats.json_body import length, text_of
from collector.formats.sources import JSON, LIST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collector.formats.apart import Pieces
    from collector.formats.json_body import Columns

# A column that at least one row in this many has is written out for all rows, which is faster than piece by piece.
_SPREAD = 4
_TEXTS = {str, dict, list}


def table_of(frames: Iterable[Columns]) -> pa.Table:
    """Gather JSON frames column by column, so that each column becomes Arrow once, not once a frame."""
    columns: dict[str, _Column] = {}
    rows = 0
    for frame in frames:
        for name, values in frame.items():
            if name not in columns:
                columns[name] = _Column()
            columns[name].add(rows, values)
        rows += length(frame)
    gathered = Gathered()
    for name, column in columns.items():
        for row, pieces in column.pieces(rows):
            gathered.add(name, row, pieces)
    return gathered.table(rows)


class _Column:
    """The values of a column in many frames, and which runs of rows have it."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._runs: list[tuple[int, int]] = []

    def add(self, row: int, values: list[Any]) -> None:
        """Add the values of the rows from ``row`` on."""
        start, count = self._runs.pop() if self._runs and sum(self._runs[-1]) == row else (row, 0)
        self._runs.append((start, count + len(values)))
        self._values.extend(values)

    def pieces(self, rows: int) -> Iterator[tuple[int, Pieces]]:
        """Yield the values in all their forms, each with the row at which it begins.

        A column that few rows have isn't written out for all: with new names in each frame, the size would grow by the
        square.
        """
        if len(self._values) * _SPREAD >= rows:
            yield 0, _arrays_of(self._spread(rows))
            return
        arrays = _arrays_of(self._values)
        taken = 0
        for row, count in self._runs:
            yield row, [(form, array.slice(taken, count)) for form, array in arrays]
            taken += count

    def _spread(self, rows: int) -> list[Any]:
        """Return a value for each row, None where there is none; without a copy if all are there."""
        if len(self._values) == rows:
            return self._values
        spread: list[Any] = []
        taken = 0
        for row, count in self._runs:
            spread += [None] * (row - len(spread))
            spread += self._values[taken : taken + count]
            taken += count
        return spread + [None] * (rows - len(spread))


def _arrays_of(values: list[Any]) -> Pieces:
    """Return JSON values as Arrow: one array if they are of one kind, else one array for each kind.

    NaN is a missing value, nested values are JSON text. Integers join other numbers if none of them is rounded.
    """
    kinds = set(map(type, values)) - {type(None)}
    if float in kinds and not kinds <= {int, float}:  # NaN among anything else is a missing value
        values = [None if value != value else value for value in values]  # noqa: PLR0124
        kinds = set(map(type, values)) - {type(None)}
    array = _array_of(values, kinds)
    arrays = _arrays_by_kind(values) if array is None else [array]
    marks = JSON | LIST if kinds == {list} else JSON
    return [(Form(array.type, marks), array) for array in arrays if array.null_count < len(array)]


def _array_of(values: list[Any], kinds: set[type]) -> pa.Array | None:
    """Return JSON values of one kind as Arrow; None if they are of several kinds."""
    if kinds in ({bool}, {str}):
        return pa.array(values)
    if kinds <= {int, float}:
        try:
            return pa.array(values, from_pandas=True)
        except (pa.ArrowInvalid, OverflowError):  # integers that don't fit int64, nor a float without being rounded
            return None
    return pa.array(list(map(text_of, values)), pa.string()) if kinds <= {str, dict, list} else None


def _arrays_by_kind(values: list[Any]) -> list[pa.Array]:
    return [
        pa.array([value if type(value) is int and value < 2**63 else None for value in values], pa.int64()),
        pa.array([value if type(value) is int and value >= 2**63 else None for value in values], pa.uint64()),
        pa.array([value if type(value) is float else None for value in values], pa.float64(), from_pandas=True),
        pa.array([value if type(value) is bool else None for value in values], pa.bool_()),
        pa.array([text_of(value) if type(value) in _TEXTS else None for value in values], pa.string()),
    ]
