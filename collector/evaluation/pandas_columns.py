"""Arrow tables as the pandas frames that Evidently understands: numpy's own types, text, and categories.

To Evidently nullable and unsigned columns are "unknown", and left out; to a legacy report zoned times are
categories, and lists stop it. So: integers are int64, or float64 where one is missing; times are naive UTC; booleans
with one missing are categories; what is nested is JSON text.
"""

from collections.abc import Callable, Collection
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from collector.formats.as_text import as_json_text
from collector.formats.kinds import is_binary, is_list, is_text, is_time
from collector.formats.merging import UNFIT, left_out
from collector.wording import first_line

_types = pa.types

# A key in a frame's attributes: the columns that are left out because their values' types don't fit, and why.
FAILED = "collector.failed"
_MANY = 100_000  # rows: with more, each column is copied by itself
# The unit of times that have no other reason for one: what pandas itself reads.
UNIT = "us" if pd.__version__ >= "3" else "ns"


def to_frame(table: pa.Table, *, keep_lists: Collection[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """Return the frame, with a fresh RangeIndex, and a note on every column that changed its kind.

    ``keep_lists`` names the columns of lists that a report asks for. Columns that pandas can't take are left out, and
    are FAILED among the frame's attributes. A table of many rows that nobody else holds is freed column by column.
    """
    notes: list[str] = []
    columns: dict[str, Any] = {}
    failed: dict[str, str] = {}
    schema, rows, arrays = table.schema, table.num_rows, table.columns[::-1]
    del table
    for field in schema:
        column = arrays.pop().combine_chunks()
        if is_list(field.type) and field.name in keep_lists:
            columns[field.name] = pd.Series(column.to_pylist(), dtype=object)
            continue
        try:
            columns[field.name] = to_series(column)
            if rows >= _MANY:
                columns[field.name] = columns[field.name].copy()
                del column
                pa.default_memory_pool().release_unused()
        except UNFIT as error:
            failed[field.name] = f"pandas can't take its values, which are {field.type}: {first_line(error)}"
            notes.append(left_out(field.name, failed[field.name]))
            continue
        if said := _change(field.type):
            notes.append(f"Column {field.name!r} holds {field.type}: {said}.")
    frame = pd.DataFrame(columns, index=pd.RangeIndex(rows), copy=rows < _MANY)
    if failed:
        frame.attrs[FAILED] = failed
    return frame, notes


def to_series(column: Any) -> "pd.Series[Any]":
    """Convert one Arrow array."""
    if _types.is_dictionary(column.type):
        return _categories(column)
    convert = next(convert for fits, convert in _CONVERSIONS if fits(column.type))
    return cast("pd.Series[Any]", convert(column))


def _categories(column: Any) -> "pd.Series[Any]":
    """Keep categories as they are, with their order and unused ones; integers stay integers beside a missing value."""
    values = to_series(column.dictionary)
    if column.dictionary.null_count or not values.is_unique:
        return to_series(column.cast(column.type.value_type)).astype("category")
    codes = column.indices.fill_null(-1).to_numpy()
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(values), ordered=column.type.ordered))


def text(values: Any) -> "pd.Series[Any]":
    """Return text as this pandas has it, missing values as NaN: Evidently sorts labels, and None can't be sorted."""
    series = pd.Series(values, dtype="str" if pd.__version__ >= "3" else object)
    return series.where(series.notna(), np.nan)


def _integers(column: Any) -> "pd.Series[Any]":
    whole = column.null_count == 0 and not (_types.is_uint64(column.type) and _exceeds_int64(column))
    return _numpy(column.cast(pa.int64() if whole else pa.float64(), safe=False))


def _exceeds_int64(column: Any) -> bool:
    return bool(len(column)) and cast("int", pc.max(column).as_py()) > np.iinfo(np.int64).max


def _booleans(column: Any) -> "pd.Series[Any]":
    return _numpy(column) if column.null_count == 0 else pd.Series(column.to_pylist(), dtype="category")


def _floats(column: Any) -> "pd.Series[Any]":
    return _numpy(column.cast(pa.float64(), safe=False))


def _times(column: Any) -> "pd.Series[Any]":
    # In the unit in which they came, as in a user's own frame. Zoned times become the same instants in UTC.
    unit = column.type.unit if _types.is_timestamp(column.type) else UNIT
    return _numpy(column.cast(pa.timestamp(unit), safe=False))


def _numpy(column: Any) -> "pd.Series[Any]":
    return pd.Series(column.to_numpy(zero_copy_only=False))


def _seconds(column: Any) -> "pd.Series[Any]":
    return _numpy(pc.divide(column.cast(pa.duration("us"), safe=False).cast(pa.int64()).cast(pa.float64()), 1e6))


_CONVERSIONS: list[tuple[Callable[[Any], bool], Callable[[Any], Any]]] = [
    (_types.is_boolean, _booleans),
    (_types.is_integer, _integers),
    (_types.is_floating, _floats),
    (_types.is_decimal, _floats),
    (_types.is_null, lambda column: pd.Series(np.full(len(column), np.nan))),
    (is_text, lambda column: text(column.to_pandas())),
    (is_time, _times),
    (_types.is_duration, _seconds),
    (_types.is_time, lambda column: text(column.cast(pa.string()).to_pandas())),
    (is_binary, lambda column: text([None if value is None else value.hex() for value in column.to_pylist()])),
    (lambda _: True, lambda column: text(as_json_text(column))),
]
_CHANGES: list[tuple[Callable[[Any], bool], str]] = [
    (_types.is_decimal, "taken as floating-point numbers"),
    (_types.is_duration, "taken as seconds"),
    (_types.is_time, "taken as text"),
    (is_binary, "taken as hexadecimal text"),
    (_types.is_nested, "taken as JSON text"),
]


def _change(kind: pa.DataType) -> str | None:
    return next((said for fits, said in _CHANGES if fits(kind)), None)
