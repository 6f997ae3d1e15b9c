"""Bodies that are read by Arrow: its own and parquet, which know their types, and CSV."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from collector.errors import BadBody
from collector.formats.bounds import NO_BOUNDS
from collector.formats.categories import pandas_categories, restored_by_pandas
from collector.formats.csv_body import read_csv
from collector.formats.hints import hinting
from collector.formats.keys import check_table
from collector.formats.kinds import without_view
from collector.formats.sources import marked, sent_as
from collector.formats.spelled_out import spelled_out
from collector.wording import first_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collector.formats.bounds import Bounds

# Characters of Arrow's error that are told: some errors quote the body, at any length.
_MAX_TOLD = 500
_NOT_IMPLEMENTED = "Not yet implemented"
_SOUND_WRITER = re.compile(r"parquet-mr version 1\.(?:[3-9]|[1-9]\d)\.\d[\w.+-]*(?: \(build [^)]*\))?")
_TEXTS = (pa.string(), pa.large_string())
_MEDIA_TYPES = {
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv",
}
INDEX_COLUMN = re.compile(r"__index_level_\d+__")


def read_table(format_: str, body: bytes | pa.Buffer, bounds: Bounds = NO_BOUNDS) -> pa.Table:
    """Read a body that knows its types, without the index that pandas may have put into it.

    Raises BadBody for what is no table or can't be kept, BodyTooLarge when it unfolds to more than is allowed.
    """
    with hinting(memoryview(body), _MEDIA_TYPES[format_]):
        try:
            return _read_table(format_, body, bounds)
        except MemoryError:  # Arrow's own MemoryError is an ArrowException too
            raise
        except (pa.ArrowException, OSError, ValueError, OverflowError, KeyError) as error:
            raise BadBody(f"the body can't be read as {format_}: {first_line(error)[:_MAX_TOLD]}") from error


def _read_table(format_: str, body: bytes | pa.Buffer, bounds: Bounds) -> pa.Table:
    table = {"arrow": _read_arrow, "parquet": _read_parquet, "csv": read_csv}[format_](body, bounds)
    bounds.check_columns(table.num_columns)
    bounds.check_rows(table.num_rows)
    bounds.check_bytes(table.num_rows * table.num_columns)  # a column of nulls takes no bytes here, but does later
    _check_names(table)
    _check_values(table, format_, bounds)
    kept = table.drop_columns(_index_columns(table))
    if table.num_rows and not kept.num_columns:
        raise BadBody("the rows of the body have no columns, or only an index, which isn't kept")
    if bounds.key and kept.num_rows:
        check_table(bounds.key, kept)
    return kept if format_ == "csv" else marked(kept, sent_as(table.schema))


def _check_names(table: pa.Table) -> None:
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise BadBody(f"the column '{min(twice)}' is there twice; each column needs a name of its own")


def _check_values(table: pa.Table, format_: str, bounds: Bounds) -> None:
    """Refuse values that are too large when written out, and those that parquet can't hold."""
    size = table.nbytes
    for field, column in zip(table.schema, table.columns, strict=True):
        try:
            size += sum(spelled_out(chunk) for chunk in column.chunks)
            bounds.check_bytes(size)
            if not _is_plain(column):
                _check_writable(pa.table({field.name: column}))
        except MemoryError:
            raise
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            told = f"column '{field.name}' of the {format_} body can't be kept as {field.type}"
            raise BadBody(f"{told}: {first_line(error)[:_MAX_TOLD]}") from error


def _check_writable(table: pa.Table) -> None:
    """Write a column to nowhere, and check that its type can be read back."""
    pq.write_table(table.unify_dictionaries(), pa.MockOutputStream())
    empty = pa.BufferOutputStream()
    pq.write_table(table.slice(0, 0), empty)
    pq.read_schema(pa.BufferReader(empty.getvalue()))  # fails where lists are nested 50 deep


def _is_plain(column: pa.ChunkedArray) -> bool:
    """Tell whether parquet can hold every value of a column's type."""
    type_ = column.type
    if types.is_dictionary(type_):
        has_null = any(chunk.dictionary.null_count for chunk in column.chunks)
        return type_.value_type in _TEXTS and not has_null
    if types.is_timestamp(type_):
        return bool(type_.unit != "s")  # seconds become milliseconds, which may overflow
    is_plain = (types.is_integer, types.is_float32, types.is_float64, types.is_boolean, types.is_date32, types.is_null)
    return type_ in _TEXTS or any(is_type(type_) for is_type in is_plain)


def _index_columns(table: pa.Table) -> list[str]:
    """Name the columns that hold a pandas index; an index isn't kept."""
    told = _told_index(table)
    return [name for name in table.column_names if name in told or INDEX_COLUMN.fullmatch(name)]


def _told_index(table: pa.Table) -> set[str]:
    """Return the names that pandas' metadata give for the index. The sender wrote them, so they may hold anything."""
    try:
        metadata = table.schema.pandas_metadata
    except (ValueError, RecursionError) as error:
        raise BadBody(f"the metadata of pandas can't be read: {error}") from error
    named = metadata.get("index_columns") if isinstance(metadata, dict) else None
    return {name for name in named if isinstance(name, str)} if isinstance(named, list) else set()


def _read_arrow(body: bytes | pa.Buffer, bounds: Bounds) -> pa.Table:
    file = pa.BufferReader(body)
    stream = pa.ipc.open_stream(file)
    table = _within(stream, stream.schema, bounds)
    if file.read_buffer().to_pybytes().strip(b"\0"):
        raise BadBody("there is more behind the end of the Arrow stream; send each stream by itself")
    for number, field in enumerate(table.schema):
        kind = field.type
        if types.is_dictionary(kind) and kind.value_type != without_view(kind.value_type):
            bounds.check_bytes(sum(spelled_out(chunk) for chunk in table.column(number).chunks))
            table = table.set_column(number, *_categories_without_view(field, table.column(number)))
    return table


def _categories_without_view(field: pa.Field, column: pa.ChunkedArray) -> tuple[pa.Field, pa.ChunkedArray]:
    """Return categories that are views, as polars writes them, as plain ones: parquet takes no others."""
    kind = pa.dictionary(field.type.index_type, without_view(field.type.value_type), field.type.ordered)
    chunks = [
        pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(kind.value_type), ordered=kind.ordered)
        for chunk in column.chunks
    ]
    return field.with_type(kind), pa.chunked_array(chunks, kind)


def _read_parquet(body: bytes | pa.Buffer, bounds: Bounds) -> pa.Table:
    """Read a parquet body. Texts stay dictionary-encoded until it is known how large they are without."""
    plain = pq.ParquetFile(pa.BufferReader(body))
    _check_writer(plain.metadata.created_by or "")
    bounds.check_columns(plain.metadata.num_columns)
    bounds.check_rows(plain.metadata.num_rows)
    leaves = [plain.schema.column(number) for number in range(plain.metadata.num_columns)]
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=texts)
    try:
        table = _within(file.iter_batches(), file.schema_arrow, bounds)
    except OSError as error:
        if _NOT_IMPLEMENTED not in str(error):
            raise
        # Texts are written by how each differs from the one before, as parquet's second version does.
        table = _within(plain.iter_batches(), plain.schema_arrow, bounds)
    size = sum(spelled_out(chunk) for column in table.columns for chunk in column.chunks)
    bounds.check_bytes(table.nbytes + size)
    schema = plain.schema_arrow
    without_views = pa.schema([field.with_type(without_view(field.type)) for field in schema])
    plain = table.cast(without_views).cast(schema)  # a dictionary can't be cast to views in one step
    return restored_by_pandas(plain, pandas_categories(schema))


def _check_writer(name: str) -> None:
    """Refuse files of writers that got the sizes of columns wrong (PARQUET-816): Arrow reads beyond their ends."""
    if name.lower().startswith("parquet-mr") and not _SOUND_WRITER.fullmatch(name.lower()):
        raise ValueError("it says that it was written by parquet-mr before 1.3; write it with a newer version")


def _within(reader: Iterable[pa.RecordBatch], schema: pa.Schema, bounds: Bounds) -> pa.Table:
    """Read batches, and raise as soon as they exceed the bounds: before all are in memory."""
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in reader:
        batch.validate(full=True)  # first of all, because Arrow trusts offsets that it hasn't checked
        batches.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        bounds.check_rows(rows)
        bounds.check_bytes(size)
    return pa.Table.from_batches(batches, None if batches else schema)  # Schema.empty_table would import pandas
