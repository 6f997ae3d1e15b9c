"""Tables appended to each other though their columns and types may differ."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from collector.formats.json_body import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa


def concatenate(tables: Sequence[pa.Table]) -> pa.Table:
    """Append tables whose columns and types may differ."""
    import pyarrow as pa

    names = dict.fromkeys(name for table in tables for name in table.column_names)
    if not names:
        return pa.table({})
    by_name = [dict(zip(table.column_names, table.columns, strict=True)) for table in tables]
    missing = [pa.chunked_array([pa.nulls(table.num_rows)]) for table in tables]
    pieces = {
        name: [columns.get(name, nulls) for columns, nulls in zip(by_name, missing, strict=True)] for name in names
    }
    return pa.table({name: _join(column) for name, column in pieces.items()}).unify_dictionaries()


def _join(pieces: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Append columns under the type that holds all their values: their own, a wider one, a float, or text."""
    import pyarrow as pa

    for type_ in _common_types([piece.type for piece in pieces if piece.type != pa.null()]):
        with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            cast = [_cast(piece, type_) for piece in pieces]
            return pa.chunked_array([chunk for piece in cast for chunk in piece.chunks], type_)
    texts = [_to_text(piece) for piece in pieces]
    return pa.chunked_array([chunk for piece in texts for chunk in piece.chunks], pa.string())


def _cast(piece: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa

    if piece.type == type_:
        return piece
    # As pandas does it: integers of over 53 bits are rounded beside floats.
    return piece.cast(type_, safe=not pa.types.is_floating(type_))


def _common_types(types: Sequence[pa.DataType]) -> Iterator[pa.DataType]:
    """Give the types that may hold values of all these types, best first."""
    import pyarrow as pa

    different = list(dict.fromkeys(types))
    if not different:
        yield pa.null()
    elif all(pa.types.is_dictionary(type_) for type_ in different):
        is_ordered = all(type_.ordered for type_ in different)
        for values in _common_types([type_.value_type for type_ in different]):
            yield pa.dictionary(pa.int32(), values, ordered=is_ordered)  # pandas' int8 is too small for all together
    elif len(different) == 1:
        yield different[0]
    else:
        fields = [pa.schema([("column", type_)]) for type_ in different]
        with suppress(pa.ArrowTypeError, pa.ArrowInvalid):
            yield pa.unify_schemas(fields, promote_options="permissive").field(0).type
        if all(pa.types.is_integer(type_) or pa.types.is_floating(type_) for type_ in different):
            yield pa.float64()


def _to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    if not pa.types.is_nested(column.type) and not pa.types.is_floating(column.type):
        with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return column.cast(pa.string())
    return pa.chunked_array([pa.array([text_of(value) for value in column.to_pylist()], pa.string())])
