"""Parquet files as Arrow tables: a batch's parts made one, whatever their types.

What becomes of columns whose types differ is said in ``formats.merging``.
"""

import contextlib
import errno
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from collector.formats.categories import pandas_categories, restored, restored_by_pandas
from collector.formats.merging import Merging
from collector.formats.sources import JSON, MARKED, ORIGIN, marked
from collector.formats.typed_body import INDEX_COLUMN
from collector.workers.exchange import Problem

T = TypeVar("T")

_MAGIC = b"PAR1"
_PIECE_ROWS = 20_000


class Unreadable(Exception):
    """Files that are damaged, or gone."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = list(paths)


def read_parts(paths: Sequence[str]) -> tuple[pa.Table, Merging]:
    """Append the parts in their order; return what is to be said of columns too.

    Raises Unreadable with all that can't be read.
    """
    tables = list(_of_each(paths, _tables))
    merging = Merging(table.schema for table in tables)
    return pa.concat_tables(map(merging.merge, tables)).unify_dictionaries(), merging


def read_pieces(paths: Sequence[str]) -> tuple[Iterator[pa.Table], Merging]:
    """Return the rows of ``read_parts`` in pieces that are small, of its columns and types.

    Raises Unreadable with all that can't be read: at once if it is a file's footer, else when they have been gone
    through. Then all is known that is to be said of columns.
    """
    merging = Merging(_of_each(paths, _schemas))
    batches = _of_each(paths, _batches)
    return (merging.merge(_kept(pa.Table.from_batches([batch]))) for batch in batches), merging


def read_column(paths: Sequence[str], name: str) -> Iterator[tuple[pa.Field | None, pa.ChunkedArray]]:
    """Yield one column of the parts in small pieces, as it is kept there; where there is none, nulls without a field.

    Raises Unreadable, once all are gone through, with all that can't be read.
    """

    def read(path: str) -> Iterator[tuple[pa.Field | None, pa.ChunkedArray]]:
        with _reading(path):
            schema, footer = _open(path).schema_arrow, _open(path).metadata
        if name not in schema.names:
            yield None, pa.chunked_array([pa.nulls(footer.num_rows)])
            return
        for batch in _batches(path, [name]):
            yield schema.field(name), pa.chunked_array([batch.column(0)])

    return _of_each(paths, read)


def count_rows(paths: Sequence[str]) -> int:
    """Count the rows of parts by their footers; one that can't be read counts none."""
    total = 0
    for path in paths:
        with contextlib.suppress(Unreadable), _reading(path):
            total += _open(path).metadata.num_rows
    return total


def read_table(path: str) -> pa.Table:
    """Read one file, without the columns in which pandas keeps an index; raise Unreadable if it is damaged."""
    table, merging = read_parts([path])
    return table.drop_columns(list(merging.failed))


def check_reference(path: str) -> list[Problem]:
    """Return what makes a file useless as a reference, and what to do about it; nothing if it can be compared with."""
    if Path(path).exists() and not Path(path).is_file():
        return _about_reference(f"{path} is no file; name a single parquet file")
    try:
        rows = sum(len(batch) for batch in _open(path).iter_batches())  # all of it is read, and every page's checksum
    except (pa.ArrowException, OSError) as error:
        return _why_unreadable(path, error)
    if rows == 0:
        return _about_reference(f"{path} has no rows; a report wants at least one")
    return []


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    """Raise Unreadable for what pyarrow raises of a damaged file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if _is_passing(error):
            raise
        raise Unreadable([path]) from error


def _of_each(paths: Sequence[str], read: Callable[[str], Iterator[T]]) -> Iterator[T]:
    """Yield what is read of each file; raise Unreadable, once all are gone through, with those that can't be."""
    unreadable = []
    for path in paths:
        try:
            yield from read(path)
        except Unreadable as error:
            unreadable += error.paths
    if unreadable:
        raise Unreadable(unreadable)


def _tables(path: str) -> Iterator[pa.Table]:
    with _reading(path):
        table = _open(path).read()
    yield _kept(table)


def _schemas(path: str) -> Iterator[pa.Schema]:
    with _reading(path):
        schema = _kept(_open(path).schema_arrow.empty_table()).schema
    yield schema


def _batches(path: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    with _reading(path):
        batches = _open(path).iter_batches(_PIECE_ROWS, columns=columns)
    while True:
        with _reading(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _kept(table: pa.Table) -> pa.Table:
    """Return what was sent: without an index of pandas, and with categories, of which parquet forgets that they are."""
    metadata = table.schema.metadata or {}
    if ORIGIN in metadata and MARKED not in metadata:  # an older part: most came as JSON, and all were cast
        table = marked(table, JSON).replace_schema_metadata(metadata)
    table = restored_by_pandas(restored(table), pandas_categories(table.schema))
    return table.drop_columns([name for name in table.column_names if INDEX_COLUMN.fullmatch(name)])


def _open(path: str) -> pq.ParquetFile:
    # Not pq.read_table: to it a folder named "a=b" on the way is a column.
    return pq.ParquetFile(path, page_checksum_verification=True)


def _is_passing(error: Exception) -> bool:
    """Tell what is no fault of the file: memory, open files, permissions. What pyarrow itself raises has no number."""
    if isinstance(error, OSError):
        return error.errno not in {None, errno.ENOENT, errno.EIO}
    return isinstance(error, MemoryError)


def _why_unreadable(path: str, error: Exception) -> list[Problem]:
    if isinstance(error, FileNotFoundError):
        return _about_reference(f"there is no file {path}; put the reference there, or send it with set_reference")
    if isinstance(error, PermissionError):
        return _about_reference(f"{path} may not be read by this process; change its owner or mode")
    if _has_magic(path):
        return _about_reference(f"{path} is damaged ({error}); write or send it again", is_damage=True)
    return _about_reference(f"{path} is no parquet table ({error}); write it with DataFrame.to_parquet")


def _has_magic(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _about_reference(message: str, *, is_damage: bool = False) -> list[Problem]:
    return [{"path": ["reference_path"], "message": message, "is_damage": is_damage}]
