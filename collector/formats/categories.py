"""Categories in parquet, which itself remembers only those of text: what the others are stands in the metadata.

pandas' own files say of a column that it is one of categories, and whether those are ordered, but not which there are.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from collector.formats.kinds import is_text

# Keys of metadata: the names of all columns of categories, and the values of those categories that aren't text.
NAMES = b"collector.categories"
VALUES = b"collector.category_values"


def metadata_of(table: pa.Table) -> dict[bytes, str]:
    """Return what a parquet file is to say of a table's categories."""
    columns = {field.name: table.column(field.name) for field in table.schema if types.is_dictionary(field.type)}
    values = {name: _written(column) for name, column in columns.items() if not is_text(column.type.value_type)}
    return {NAMES: json.dumps(list(columns)), VALUES: json.dumps(values)}


def restored(table: pa.Table) -> pa.Table:
    """Return a table that was read from parquet with its categories."""
    metadata = table.schema.metadata or {}
    values = json.loads(metadata.get(VALUES, b"{}"))
    known = {name: _read(values[name]) if name in values else None for name in json.loads(metadata.get(NAMES, b"[]"))}
    for name, dictionary in known.items():
        number = table.schema.get_field_index(name)
        if number >= 0 and not types.is_dictionary(table.column(number).type):
            table = _with_categories(table, number, dictionary)
    return table


def restored_by_pandas(table: pa.Table, told: Mapping[str, bool]) -> pa.Table:
    """Return a table with the categories that pandas tells of, each with whether they are ordered."""
    for number, name in enumerate(table.column_names):
        kind = table.column(number).type
        if name in told and not types.is_dictionary(kind) and not types.is_nested(kind):
            table = _with_categories(table, number, (own_values(table.column(number)), told[name]))
    return table


def own_values(column: pa.ChunkedArray) -> pa.Array:
    """Return the different values of a column, sorted."""
    values = pc.unique(column).drop_null()
    return values.take(pc.sort_indices(values))


def encoded(column: pa.ChunkedArray, values: pa.Array, *, is_ordered: bool = False) -> pa.ChunkedArray:
    """Return a column as categories, which are these values."""
    codes = pc.index_in(column, value_set=values)
    chunks = [pa.DictionaryArray.from_arrays(chunk, values, ordered=is_ordered) for chunk in codes.chunks]
    return pa.chunked_array(chunks, pa.dictionary(pa.int32(), values.type, is_ordered))


def pandas_categories(schema: pa.Schema) -> dict[str, bool]:
    """Return which columns pandas says are categories, and whether those are ordered; it may say anything."""
    try:
        columns = (schema.pandas_metadata or {}).get("columns", [])
        told = {one["name"]: bool(one["metadata"]["ordered"]) for one in columns if one["pandas_type"] == "categorical"}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return {}
    return {name: is_ordered for name, is_ordered in told.items() if isinstance(name, str)}


def _with_categories(table: pa.Table, number: int, known: tuple[pa.Array, bool] | None) -> pa.Table:
    column, field = table.column(number), table.field(number)
    made = column.dictionary_encode() if known is None else encoded(column, known[0], is_ordered=known[1])
    return table.set_column(number, field.with_type(made.type), made)


def _written(column: pa.ChunkedArray) -> dict[str, object]:
    chunks = column.unify_dictionaries().chunks
    values = chunks[0].dictionary if chunks else pa.array([], column.type.value_type)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("values", values.type)])) as writer:
        writer.write_batch(pa.record_batch([values], names=["values"]))
    return {"ordered": column.type.ordered, "values": base64.b64encode(sink.getvalue()).decode()}


def _read(written: dict[str, str]) -> tuple[pa.Array, bool]:
    values = pa.ipc.open_stream(base64.b64decode(written["values"])).read_all().column(0).combine_chunks()
    return values, bool(written["ordered"])
