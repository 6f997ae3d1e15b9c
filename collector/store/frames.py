"""Frames: the rows of one POST, checked before they are accepted and decoded for good when they leave the journal."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

import orjson

from collector.errors import BadBody, BodyTooLarge

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["json", "ndjson", "csv", "arrow", "parquet"]
Columns = dict[str, list[Any]]

FORMATS: dict[str, Format] = {
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/x-jsonlines": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/parquet": "parquet",
}
TYPED_FORMATS = frozenset({"arrow", "parquet"})
_INDEX_COLUMN = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True, slots=True)
class Frame:
    """The rows of one POST as they came."""

    format: Format
    body: bytes
    rows: int


def format_of(media_type: str) -> Format:
    """Give the format of a body by its Content-Type; JSON for none or any that we don't know."""
    return FORMATS.get(media_type.partition(";")[0].strip().lower(), "json")


def check_frame(format_: Format, body: bytes, max_bytes: float = math.inf) -> Frame:
    """Make sure that the body is a table and count its rows; raise BadBody, saying why not.

    Arrow and parquet compress by themselves: BodyTooLarge is raised when they hold more than ``max_bytes``.

    What passes here decodes later: nothing is accepted that could not be evaluated.
    """
    if format_ in _PARSERS:
        return Frame(format_, body, sum(_checked_length(columns) for columns in _PARSERS[format_](body)))
    table = _read_typed(format_, body, max_bytes)
    return Frame(format_, body, table.num_rows)


def decode_frames(frames: Iterable[tuple[Format, bytes]]) -> pa.Table:
    """Make one table of frames, in their order.

    Columns are aligned by name, missing ones filled with nulls. Where types differ, numbers are promoted, and all else
    becomes text.
    """
    tables = []
    for is_json, run in groupby(frames, key=lambda frame: frame[0] in _PARSERS):
        if is_json:
            tables.append(_table_of(_PARSERS[format_](body) for format_, body in run))
        else:
            tables.extend(_read_typed(format_, body) for format_, body in run)
    return concatenate(tables)


def concatenate(tables: Sequence[pa.Table]) -> pa.Table:
    """Append tables whose columns and types may differ."""
    import pyarrow as pa

    names = dict.fromkeys(name for table in tables for name in table.column_names)
    if not names:
        return pa.table({})
    columns = {name: [_column(table, name) for table in tables] for name in names}
    return pa.table({name: _join(pieces) for name, pieces in columns.items()}).unify_dictionaries()


def loads(body: bytes, where: str = "") -> Any:
    """Parse JSON, NaN and Infinity included; raise BadBody for what isn't JSON, saying at which byte."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        strict = error
    # Python's json, and so the original's client, writes NaN and Infinity, which orjson refuses.
    if b"NaN" not in body and b"Infinity" not in body:
        raise BadBody(f"JSON is malformed{where}: {strict.msg} (byte {strict.pos})") from strict
    try:
        data = json.loads(body)
        json.dumps(data, ensure_ascii=False).encode()  # lone surrogates pass json.loads and fail in every table
    except (ValueError, RecursionError) as error:
        raise BadBody(f"JSON is malformed{where}: {error}") from error
    return data


def _parse_json(body: bytes) -> Iterator[Columns]:
    yield _columns_of(loads(body))


def _parse_ndjson(body: bytes) -> Iterator[Columns]:
    lines = enumerate(body.split(b"\n"), 1)
    yield _of_records([loads(line, f" in line {number}") for number, line in lines if line.strip()])


_PARSERS: dict[str, Callable[[bytes], Iterator[Columns]]] = {"json": _parse_json, "ndjson": _parse_ndjson}


def _columns_of(data: object) -> Columns:
    if isinstance(data, list):
        return _of_records(data)
    if not isinstance(data, dict):
        raise BadBody(
            f"the body is {_kind(data)}, not a table; send columns as in "
            '{"age": {"0": 41, "1": 37}} or {"age": [41, 37]}, or records as in [{"age": 41}, {"age": 37}]'
        )
    columns: dict[str, Any] = {name: column for name, column in data.items() if isinstance(column, dict | list)}
    kinds = {type(column) for column in columns.values()}
    if kinds == {dict, list}:
        raise BadBody("some columns are objects, some are lists; send all of them in one form")
    if data and not columns:
        name, value = next(iter(data.items()))
        raise BadBody(
            f"column '{name}' is {_kind(value)}, not an object or list of values; "
            'one row is {"age": [41]} or [{"age": 41}]'
        )
    aligned = _of_keyed_columns(columns) if kinds == {dict} else _of_lists(columns)
    rows = _length(aligned)
    return {name: aligned[name] if name in aligned else [value] * rows for name, value in data.items()}


def _of_keyed_columns(data: dict[str, dict[str, Any]]) -> Columns:
    keys: dict[str, None] = {}
    for column in data.values():
        keys.update(dict.fromkeys(column))
    return {
        name: list(column.values()) if list(column) == list(keys) else [column.get(key) for key in keys]
        for name, column in data.items()
    }


def _of_lists(data: Columns) -> Columns:
    lengths = {name: len(column) for name, column in data.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"'{name}' has {length}" for name, length in list(lengths.items())[:5])
        raise BadBody(f"columns have different numbers of values: {told}")
    return data


def _of_records(records: list[Any]) -> Columns:
    names: dict[str, None] = {}
    if records and all(isinstance(record, list) for record in records):
        records = [{str(number): value for number, value in enumerate(record)} for record in records]
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise BadBody(f'record {number} is {_kind(record)}, not an object; send records as in [{{"age": 41}}]')
        names.update(dict.fromkeys(record))
    return {name: [record.get(name) for record in records] for name in names}


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _checked_length(columns: Columns) -> int:
    for name, values in columns.items():
        try:
            for value in values:
                if type(value) in {dict, list}:
                    _text(value)
        except (TypeError, ValueError) as error:  # orjson: over 254 levels, or integers of over 64 bits in there
            raise BadBody(f"column '{name}' holds a value that can't be kept: {error}") from error
    return _length(columns)


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values()), ()))


def _table_of(parsed: Iterable[Iterator[Columns]]) -> pa.Table:
    """Gather JSON frames column by column, so that each column becomes Arrow once, not once a frame."""
    import pyarrow as pa

    gathered: Columns = {}
    rows = 0
    for columns in (columns for frame in parsed for columns in frame):
        for name, values in columns.items():
            column = gathered.setdefault(name, [])
            column.extend([None] * (rows - len(column)))
            column.extend(values)
        rows += _length(columns)
    for column in gathered.values():
        column.extend([None] * (rows - len(column)))
    return pa.table({name: _array_of(values) for name, values in gathered.items()})


def _array_of(values: list[Any]) -> pa.Array:
    """Give JSON values their Arrow type; NaN is a missing value, mixed types become text, nested ones JSON text."""
    kinds = set(map(type, values)) - {type(None)}
    if float in kinds and not kinds <= {int, float}:  # NaN among anything else is a missing value
        return _array_without_nan([None if value != value else value for value in values])  # noqa: PLR0124
    return _array_without_nan(values)


def _array_without_nan(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {int, float}:
        try:
            return pa.array(values, from_pandas=True)
        except (pa.ArrowInvalid, OverflowError):  # integers of over 64 bits, or too large for a float beside them
            return _floats(values)
    if kinds in ({bool}, {str}):
        return pa.array(values)
    return pa.array([_text(value) for value in values], pa.string())


def _floats(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array([None if value is None else float(value) for value in values], pa.float64(), from_pandas=True)
    except OverflowError:
        return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    if value is None or value != value:  # noqa: PLR0124  (NaN alone differs from itself)
        return None
    if isinstance(value, dict | list):
        return orjson.dumps(value, default=str).decode()
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _read_typed(format_: Format, body: bytes, max_bytes: float = math.inf) -> pa.Table:
    import pyarrow as pa

    try:
        table = _read(format_, body, max_bytes)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise BadBody(f"the body can't be read as {format_}: {str(error).splitlines()[0]}") from error
    _check_writable(table, format_)
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise BadBody(f"the column '{twice[0]}' is there twice; each column needs a name of its own")
    return table.drop_columns(_index_columns(table)).replace_schema_metadata(None)


def _index_columns(table: pa.Table) -> list[str]:
    """Name the columns that hold a pandas index, which isn't kept."""
    told = (table.schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in table.column_names if name in told or _INDEX_COLUMN.fullmatch(name)]


def _check_writable(table: pa.Table, format_: Format) -> None:
    """Refuse what parquet can't hold, by writing what isn't of the plain types to nowhere."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    unusual = [name for name, type_ in zip(table.column_names, table.schema.types, strict=True) if not _is_plain(type_)]
    for name in unusual:
        try:
            pq.write_table(table.select([table.column_names.index(name)]), pa.MockOutputStream())
        except (pa.ArrowException, OSError) as error:
            type_ = table.schema.field(table.column_names.index(name)).type
            raise BadBody(f"column '{name}' of the {format_} body can't be kept as {type_}: {error}") from error


def _is_plain(type_: pa.DataType) -> bool:
    from pyarrow import types

    is_plain = (types.is_integer, types.is_float32, types.is_float64, types.is_boolean, types.is_string, types.is_null)
    return any(is_type(type_) for is_type in is_plain) or (
        types.is_dictionary(type_) and types.is_string(type_.value_type)
    )


def _read(format_: Format, body: bytes, max_bytes: float) -> pa.Table:
    import pyarrow as pa

    source = pa.BufferReader(body)
    if format_ == "arrow":
        stream = pa.ipc.open_stream(source)
        return _within(stream, max_bytes) or stream.schema.empty_table()
    if format_ == "parquet":
        return _read_parquet(source, max_bytes)
    import pyarrow.csv

    if not body.strip():
        return pa.table({})
    return pa.csv.read_csv(
        source,
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False),
    )


def _read_parquet(source: pa.BufferReader, max_bytes: float) -> pa.Table:
    """Read a parquet body; texts stay references to a dictionary until it is known how much they are without one."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(source)
    size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    _check_size(size, max_bytes)
    schema = metadata.schema.to_arrow_schema()
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_binary(field.type)]
    table = _within(pq.ParquetFile(source, read_dictionary=texts).iter_batches(), max_bytes)
    if table is None:
        return schema.empty_table()
    for name in texts:
        for chunk in table.column(name).chunks:
            size += pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0
    _check_size(size, max_bytes)
    return table.cast(schema)


def _check_size(size: int, max_bytes: float) -> None:
    if size > max_bytes:
        raise BodyTooLarge(f"the body holds more than the limit of {max_bytes:g} bytes; send it in several requests")


def _within(reader: Iterable[pa.RecordBatch], max_bytes: float) -> pa.Table | None:
    """Read batches until they are more than allowed, which is noticed before all are in memory; None if none come."""
    import pyarrow as pa

    batches: list[pa.RecordBatch] = []
    for batch in reader:
        batches.append(batch)
        _check_size(sum(batch.nbytes for batch in batches), max_bytes)
    return pa.Table.from_batches(batches) if batches else None


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    import pyarrow as pa

    return table.column(name) if name in table.column_names else pa.chunked_array([pa.nulls(table.num_rows)])


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
    if len(different) < 2:
        yield different[0] if different else pa.null()
    elif all(pa.types.is_dictionary(type_) for type_ in different):
        is_ordered = all(type_.ordered for type_ in different)
        for values in _common_types([type_.value_type for type_ in different]):
            yield pa.dictionary(pa.int32(), values, ordered=is_ordered)
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
    return pa.chunked_array([pa.array([_text(value) for value in column.to_pylist()], pa.string())])
