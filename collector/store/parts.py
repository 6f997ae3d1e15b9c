"""Parts: parquet files of rows, written from the journal's frames in a process of its own.

Runs in a light worker process: decoding holds the GIL, and a POST's latency must not depend on it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from collector.config.files import sync_directory
from collector.store.frames import decode_frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from collector.store.frames import Format


# Where a part or reference says which of its columns are categories; evaluation reads it by this name too.
CATEGORIES = b"collector.categories"


def warm_up() -> None:
    """Import what write_part needs."""
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401


def write_part(journal: str, collector: str, first: int, last: int, path: str) -> tuple[int, int]:
    """Write the journal's frames from ``first`` to ``last`` of a collector to a parquet file; return rows and bytes."""
    return _write(decode_frames(_read_frames(journal, collector, first, last)), Path(path))


def write_reference(format_: Format, body: bytes, path: str) -> tuple[int, int]:
    """Write the rows of a body to a parquet file; return rows and bytes."""
    return _write(decode_frames([(format_, body)]), Path(path))


def _write(table: pa.Table, target: Path) -> tuple[int, int]:
    """Put a table at a path: whole and on the disk, or not there."""
    import pyarrow.parquet as pq

    table = table.replace_schema_metadata({CATEGORIES: json.dumps(_categories(table))})
    temporary = target.with_suffix(".tmp")
    try:
        with open(temporary, "wb", opener=_private) as file:
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(target.parent)
    return table.num_rows, size


def _categories(table: pa.Table) -> list[str]:
    """Name the columns of categories: parquet itself remembers only those of text."""
    import pyarrow as pa

    return [field.name for field in table.schema if pa.types.is_dictionary(field.type)]


def _read_frames(journal: str, collector: str, first: int, last: int) -> Iterator[tuple[Format, bytes]]:
    connection = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        yield from connection.execute(
            "SELECT format, body FROM frame WHERE collector = ? AND seq BETWEEN ? AND ? ORDER BY seq",
            (collector, first, last),
        )
    finally:
        connection.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
