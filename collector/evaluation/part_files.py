"""Parquet files as Arrow tables: a batch's parts made one, whatever their types.

What becomes of columns whose types differ is said in ``formats.merging``.
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa

from collector.formats.merging import Merging
from collector.formats.part_tables import Unreadable, batches_of, kept, of_each, open_part, read_parts, reading
from collector.formats.private import Private, apply
from collector.wording import no_rows, no_table
from collector.workers.exchange import Problem

_MAGIC = b"PAR1"
_PIECE_ROWS = 20_000


def read_pieces(paths: Sequence[str], private: Private | None = None) -> tuple[Iterator[pa.Table], Merging]:
    """Return the rows of ``read_parts`` in pieces that are small, of its columns and types but for ``private`` ones.

    Raises Unreadable with all that can't be read: at once if it is a file's footer, else when they have been gone
    through. Then all is known that is to be said of columns.
    """
    merging = Merging(of_each(paths, _schemas))
    batches = of_each(paths, partial(batches_of, rows=_PIECE_ROWS))
    return (apply(merging.merge(kept(pa.Table.from_batches([batch]))), private) for batch in batches), merging


def read_column(paths: Sequence[str], name: str) -> Iterator[tuple[pa.Field | None, pa.ChunkedArray]]:
    """Yield one column of the parts in small pieces, as it is kept there; where there is none, nulls without a field.

    Raises Unreadable, once all are gone through, with all that can't be read.
    """

    def read(path: str) -> Iterator[tuple[pa.Field | None, pa.ChunkedArray]]:
        with reading(path):
            schema, footer = open_part(path).schema_arrow, open_part(path).metadata
        if name not in schema.names:
            yield None, pa.chunked_array([pa.nulls(footer.num_rows)])
            return
        for batch in batches_of(path, _PIECE_ROWS, [name]):
            yield schema.field(name), pa.chunked_array([batch.column(0)])

    return of_each(paths, read)


def count_rows(paths: Sequence[str]) -> int:
    """Count the rows of parts by their footers; one that can't be read counts none."""
    total = 0
    for path in paths:
        with contextlib.suppress(Unreadable), reading(path):
            total += open_part(path).metadata.num_rows
    return total


def read_table(path: str) -> pa.Table:
    """Read one file, without the columns in which pandas keeps an index; raise Unreadable if it is damaged."""
    table, merging = read_parts([path])
    return table.drop_columns(list(merging.failed))


def check_reference(path: str) -> list[Problem]:
    """Return what makes a file useless as a reference, and what to do about it; nothing if it can be compared with."""
    if Path(path).exists() and not Path(path).is_file():
        return _about_reference(f"{path} isn't a file; name a single parquet file")
    try:
        # All of it is read, and every page's checksum.
        rows = sum(len(batch) for batch in open_part(path).iter_batches())
    except (pa.ArrowException, OSError) as error:
        return _why_unreadable(path, error)
    if rows == 0:
        return _about_reference(no_rows(path))
    return []


def _schemas(path: str) -> Iterator[pa.Schema]:
    with reading(path):
        schema = kept(open_part(path).schema_arrow.empty_table()).schema
    yield schema


def _why_unreadable(path: str, error: Exception) -> list[Problem]:
    if isinstance(error, FileNotFoundError):
        return _about_reference(f"there is no file {path}; put the reference there, or send it with set_reference")
    if isinstance(error, PermissionError):
        return _about_reference(f"{path} may not be read by this process; change its owner or mode")
    if _has_magic(path):
        return _about_reference(f"{path} is damaged ({error}); write or send it again", is_damage=True)
    return _about_reference(no_table(path, error))


def _has_magic(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _about_reference(message: str, *, is_damage: bool = False) -> list[Problem]:
    return [{"path": ["reference_path"], "message": message, "is_damage": is_damage}]
