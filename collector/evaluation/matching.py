"""Which rows meet a collector's ``where``: a missing value meets no condition, and values are compared as they are."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from collector.conditions import AGAINST_A_LIST, AGAINST_AN_ORDER
from collector.evaluation.casts import kind_of
from collector.evaluation.pandas_columns import to_series
from collector.evaluation.uncomputed import NotComputedError
from collector.evaluation.wanted import NAMES
from collector.formats.spellings import Kind
from collector.workers.exchange import Json, PathInConfig

Mask = np.ndarray[Any, np.dtype[np.bool_]]
# Returns a column of a table or a frame by its name, as Evidently would get it; None if there is none.
Columns = Callable[[str], "pa.Array | None"]

_COMPARE = {
    "gt": pc.greater,
    "gte": pc.greater_equal,
    "lt": pc.less,
    "lte": pc.less_equal,
    "eq": pc.equal,
    "not_eq": pc.not_equal,
}
_MOMENT = pa.timestamp("us")
_KINDS: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "boolean": (bool,),
    "integer": (int, float),
    "float": (int, float),
}
_WAYS = {"text": "a text", "integer": "a number", "float": "a number", "boolean": "true or false"}
_UNORDERED = {
    "boolean": "write eq or is_in",
    "text": "write eq or is_in, or give a reference that has times or numbers there: then text is read as those",
}
_TIME = 'a time, as in "2026-01-31" or "2026-01-31T12:00:00Z"'


class Incomparable(NotComputedError):
    """A condition that a column's values can't be held against; ``path`` leads to it from the collector's keys."""

    def __init__(self, path: PathInConfig, message: str) -> None:
        super().__init__(message)
        self.path = path


def columns_of_table(table: pa.Table) -> Columns:
    """Return the columns of an Arrow table."""
    names = set(table.column_names)
    return lambda name: _array(to_series(table.column(name).combine_chunks())) if name in names else None


def columns_of_frame(frame: pd.DataFrame) -> Columns:
    """Return the columns of a frame."""
    return lambda name: _array(frame[name]) if name in frame else None


def rows_matching(where: Json, columns: Columns, rows: int) -> Mask:
    """Tell for each of ``rows`` rows whether it meets all conditions; none does if a column isn't there.

    Raises Incomparable.
    """
    matching: Mask = np.ones(rows, dtype=bool)
    for name, conditions in where.items():
        column = columns(name)
        for condition, wanted in conditions.items():
            met = np.zeros(rows, dtype=bool) if column is None else _met(column, wanted, name, condition)
            matching &= met
    return matching


def plain(column: pa.Array) -> pa.Array:
    """Return categories as their values."""
    return column.cast(column.type.value_type) if types.is_dictionary(column.type) else column


def _array(series: "pd.Series[Any]") -> pa.Array:
    array = pa.array(series, from_pandas=True)  # NaN is a missing value
    return plain(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array)


def _met(column: pa.Array, wanted: Any, name: str, condition: str) -> Mask:
    if column.null_count == len(column):  # a column without values may have no kind
        return np.zeros(len(column), dtype=bool)
    path: PathInConfig = ["where", name, condition]
    kind = kind_of(column.type)
    if kind == "time":
        column = column.cast(_MOMENT, safe=False)
    if condition in AGAINST_A_LIST:
        values = [_comparable(kind, one, name, [*path, number]) for number, one in enumerate(wanted)]
        met = pc.is_in(column, value_set=_value_set(column.type, values))
        met = pc.and_(pc.is_valid(column), pc.invert(met)) if condition == "not_in" else met
    else:
        if condition in AGAINST_AN_ORDER and kind in {"text", "boolean"}:
            raise Incomparable(path, f"column {name!r} holds {NAMES[kind]}, without an order; {_UNORDERED[kind]}")
        value = _comparable(kind, wanted, name, path)
        met = _COMPARE[condition](column, pa.scalar(value, _MOMENT) if kind == "time" else value)
    result: Mask = met.fill_null(False).to_numpy(zero_copy_only=False)
    return result


def _comparable(kind: Kind | None, wanted: Any, name: str, path: PathInConfig) -> Any:
    """Return a value of the config as a value of a column's kind; raise Incomparable if it can't be one."""
    if kind == "time" and isinstance(wanted, str):
        return _time(wanted, name, path)
    if isinstance(wanted, _KINDS.get(kind or "", ())) and (kind == "boolean") == isinstance(wanted, bool):
        return float(wanted) if isinstance(wanted, int) and abs(wanted) >= 2**63 else wanted
    if kind is None or kind == "list":
        raise Incomparable(path, f"column {name!r} holds {NAMES['list'] if kind else 'what has no values to compare'}")
    way = _TIME if kind == "time" else _WAYS[kind]
    raise Incomparable(path, f"column {name!r} holds {NAMES[kind]}, and {wanted!r} isn't one of them; write {way}")


def _time(text: str, name: str, path: PathInConfig) -> datetime:
    """Read a time in the form that events have: UTC without a zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise Incomparable(path, f"column {name!r} holds times, and {text!r} isn't one; write {_TIME}") from error
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def _value_set(type_: pa.DataType, values: Sequence[Any]) -> pa.Array:
    if types.is_integer(type_):
        whole = [int(value) for value in values if value == int(value)]
        return pa.array([value for value in whole if -(2**63) <= value < 2**63], type_)
    return pa.array(values, type_)
