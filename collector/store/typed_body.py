"""Bodies that know their types: Arrow and parquet, and CSV, whose types Arrow finds."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from collector.errors import BadBody, BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

_INDEX_COLUMN = re.compile(r"__index_level_\d+__")


def read_table(format_: str, body: bytes, max_bytes: float = math.inf) -> pa.Table:
    """Read a body that knows its types, without the index that pandas may have put into it.

    Raises BadBody for what is no table or can't be kept, BodyTooLarge when it unfolds to more than ``max_bytes``.
    """
    import pyarrow as pa

    try:
        table = _read(format_, body, max_bytes)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise BadBody(f"the body can't be read as {format_}: {str(error).splitlines()[0]}") from error
    _check_size(table.num_rows * table.num_columns, max_bytes)  # nulls take no bytes here, and many later
    _check_writable(table, format_)
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise BadBody(f"the column '{twice[0]}' is there twice; each column needs a name of its own")
    return table.drop_columns(_index_columns(table)).replace_schema_metadata(None)


def _index_columns(table: pa.Table) -> list[str]:
    """Name the columns that hold a pandas index, which isn't kept."""
    told = (table.schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in table.column_names if name in told or _INDEX_COLUMN.fullmatch(name)]


def _check_writable(table: pa.Table, format_: str) -> None:
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


def _read(format_: str, body: bytes, max_bytes: float) -> pa.Table:
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
