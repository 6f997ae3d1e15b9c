"""Parts as they lie on the disk: read piece by piece, with the types in which their values came."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from collector.formats.categories import pandas_categories, restored, restored_by_pandas
from collector.formats.merging import Merging
from collector.formats.sources import JSON, MARKED, ORIGIN, marked
from collector.formats.typed_body import INDEX_COLUMN

T = TypeVar("T")


class Unreadable(Exception):
    """Files that are damaged, or gone."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = list(paths)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Raise Unreadable for what pyarrow raises of a damaged file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if _is_passing(error):
            raise
        raise Unreadable([path]) from error


def open_part(path: str) -> pq.ParquetFile:
    """Open a parquet file; each page's checksum is looked at as it is read."""
    # Not pq.read_table, which makes a column of a folder named "a=b" on the path.
    return pq.ParquetFile(path, page_checksum_verification=True)


def batches_of(path: str, rows: int, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield ``rows`` rows at a time, with some columns or all; raise Unreadable."""
    with reading(path):
        batches = open_part(path).iter_batches(rows, columns=columns)
    while True:
        with reading(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def read_parts(paths: Sequence[str]) -> tuple[pa.Table, Merging]:
    """Append the parts in their order; return the table, and notes on columns.

    Raises Unreadable with all that can't be read.
    """
    tables = list(of_each(paths, _tables))
    merging = Merging(table.schema for table in tables)
    return pa.concat_tables(map(merging.merge, tables)).unify_dictionaries(), merging


def of_each(paths: Sequence[str], read: Callable[[str], Iterator[T]]) -> Iterator[T]:
    """Yield what is read of each file; after the last, raise Unreadable with the files that can't be read."""
    unreadable = []
    for path in paths:
        try:
            yield from read(path)
        except Unreadable as error:
            unreadable += error.paths
    if unreadable:
        raise Unreadable(unreadable)


def _tables(path: str) -> Iterator[pa.Table]:
    with reading(path):
        table = open_part(path).read()
    yield kept(table)


def kept(table: pa.Table) -> pa.Table:
    """Return the table as it was sent: without a pandas index, and with categories, which parquet forgets."""
    metadata = table.schema.metadata or {}
    if ORIGIN in metadata and MARKED not in metadata:  # an older part: most came as JSON, and all columns were cast
        table = marked(table, JSON).replace_schema_metadata(metadata)
    table = restored_by_pandas(restored(table), pandas_categories(table.schema))
    return table.drop_columns([name for name in table.column_names if INDEX_COLUMN.fullmatch(name)])


def _is_passing(error: Exception) -> bool:
    """Tell whether something other than the file is at fault: memory, open files, permissions.

    pyarrow's own errors have no number, and mean that the file is damaged.
    """
    if isinstance(error, OSError):
        return error.errno not in {None, errno.ENOENT, errno.EIO}
    return isinstance(error, MemoryError)
