"""Parquet files as Arrow tables: a batch's parts made one, whatever their types."""

import contextlib
import errno
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from collector.formats.sources import marked, marks_of
from collector.workers.exchange import Complaint

# Written by collector.store.parts: parquet itself remembers only categories of text.
_CATEGORIES = b"collector.categories"
_MAGIC = b"PAR1"
_PIECE_ROWS = 20_000
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


class Unreadable(Exception):
    """Files that are damaged, or gone."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = list(paths)


def read_parts(paths: Sequence[str]) -> tuple[pa.Table, list[str]]:
    """Concatenate the parts in order; a column whose types don't agree becomes text. Returns the notes too.

    Raises Unreadable with all that can't be read.
    """
    tables, unreadable = [], []
    for path in paths:
        try:
            tables.append(_decoded(read_table(path)))
        except Unreadable as error:
            unreadable += error.paths
    if unreadable:
        raise Unreadable(unreadable)
    clashing = _clashing_columns(tables)
    return _concatenated(tables, clashing), _notes(clashing)


def read_pieces(paths: Sequence[str]) -> tuple[Iterator[pa.Table], list[str]]:
    """Give the rows of ``read_parts`` in pieces that are small, of its columns and types; and the notes.

    Raises Unreadable with all that can't be read: at once if it is a file's footer, else when they have been gone
    through.
    """
    empty, unreadable = [], []
    for path in paths:
        try:
            with _reading(path):
                empty.append(_decoded(_without_index(_open(path).schema_arrow.empty_table())))
        except Unreadable as error:
            unreadable += error.paths
    if unreadable:
        raise Unreadable(unreadable)
    clashing = _clashing_columns(empty)
    whole = _concatenated(empty, clashing)
    return _pieces(paths, whole, clashing), _notes(clashing)


def count_rows(paths: Sequence[str]) -> int:
    """Count the rows of parts by their footers; one that can't be read counts none."""
    total = 0
    for path in paths:
        with contextlib.suppress(Unreadable), _reading(path):
            total += _open(path).metadata.num_rows
    return total


def read_table(path: str) -> pa.Table:
    """Read one file, without the columns in which pandas keeps an index; raise Unreadable if it is damaged."""
    with _reading(path):
        table = _open(path).read()
    for name in json.loads((table.schema.metadata or {}).get(_CATEGORIES, b"[]")):
        number = table.column_names.index(name)
        if not pa.types.is_dictionary(table.column(number).type):
            encoded = table.column(number).dictionary_encode()
            table = table.set_column(number, table.field(number).with_type(encoded.type), encoded)
    return _without_index(table)


def reference_complaints(path: str) -> list[Complaint]:
    """Tell what makes the file useless as a reference, and what to do about it."""
    if Path(path).exists() and not Path(path).is_file():
        return _about_reference(f"{path} is no file; a reference is a single parquet file")
    try:
        rows = sum(len(batch) for batch in _open(path).iter_batches())  # all of it is read, and every page's checksum
    except (pa.ArrowException, OSError) as error:
        return _why_unreadable(path, error)
    if rows == 0:
        return _about_reference(f"{path} has no rows; a report compares with at least one")
    return []


def as_json_text(array: Any) -> list[str | None]:
    """Write nested values as JSON, so that they can be counted and compared."""
    return [None if value is None else json.dumps(value, default=str, sort_keys=True) for value in array.to_pylist()]


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    """Raise Unreadable for what pyarrow raises of a damaged file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if _is_passing(error):
            raise
        raise Unreadable([path]) from error


def _pieces(paths: Sequence[str], whole: pa.Table, clashing: dict[str, list[str]]) -> Iterator[pa.Table]:
    unreadable = []
    for path in paths:
        try:
            for batch in _batches(path):
                piece = _decoded(_without_index(pa.Table.from_batches([batch])))
                yield _concatenated([whole, piece], clashing)
        except Unreadable as error:
            unreadable += error.paths
    if unreadable:
        raise Unreadable(unreadable)


def _batches(path: str) -> Iterator[pa.RecordBatch]:
    with _reading(path):
        batches = _open(path).iter_batches(_PIECE_ROWS)
    while True:
        with _reading(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _concatenated(tables: Sequence[pa.Table], clashing: Iterable[str]) -> pa.Table:
    marks = marks_of(tables)
    for name in clashing:
        tables = [_with_text(table, name) for table in tables]
    return marked(pa.concat_tables(tables, promote_options="permissive"), marks)


def _notes(clashing: dict[str, list[str]]) -> list[str]:
    return [f"Column {name!r} came as {' and '.join(kinds)}: taken as text." for name, kinds in clashing.items()]


def _without_index(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in table.column_names if _PANDAS_INDEX.fullmatch(name)])


def _open(path: str) -> pq.ParquetFile:
    # Not pq.read_table: it takes a folder named "a=b" on the way for a column.
    return pq.ParquetFile(path, page_checksum_verification=True)


def _is_passing(error: Exception) -> bool:
    """Tell what is no fault of the file: memory, open files, permissions. What pyarrow itself raises has no number."""
    if isinstance(error, OSError):
        return error.errno not in {None, errno.ENOENT, errno.EIO}
    return isinstance(error, MemoryError)


def _why_unreadable(path: str, error: Exception) -> list[Complaint]:
    if isinstance(error, FileNotFoundError):
        return _about_reference(f"there is no file {path}; put the reference there, or send it with set_reference")
    if isinstance(error, PermissionError):
        return _about_reference(f"{path} may not be read by this process; change its owner or mode")
    if _has_magic(path):
        return _about_reference(f"{path} is damaged ({error}); write it anew, or send it again", is_damage=True)
    return _about_reference(f"{path} is no parquet table ({error}); write it with DataFrame.to_parquet")


def _has_magic(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _about_reference(message: str, *, is_damage: bool = False) -> list[Complaint]:
    return [{"path": ["reference_path"], "message": message, "is_damage": is_damage}]


def _decoded(table: pa.Table) -> pa.Table:
    """Spell dictionaries out: those of two parts differ."""
    for number, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            spelled_out = table.column(number).cast(field.type.value_type)
            table = table.set_column(number, field.with_type(field.type.value_type), spelled_out)
    return table.replace_schema_metadata(None)


def _clashing_columns(tables: Sequence[pa.Table]) -> dict[str, list[str]]:
    kinds: dict[str, dict[str, pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            kinds.setdefault(field.name, {})[str(field.type)] = field.type
    return {name: list(types) for name, types in kinds.items() if not _agree(types.values())}


def _agree(types: Any) -> bool:
    schemas = [pa.schema([("column", kind)]) for kind in types]
    try:
        pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True


def _with_text(table: pa.Table, name: str) -> pa.Table:
    if name not in table.column_names:
        return table
    column = table.column(name)
    try:
        text = column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        text = pa.array(as_json_text(column), pa.string())
    return table.set_column(table.column_names.index(name), name, text)
