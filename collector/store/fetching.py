"""References in a store: copied to the data directory, and copied again when they change there.

Runs in a worker process that has the keys of the environment.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from collector.disk.files import write_whole
from collector.errors import EvaluationError
from collector.formats.addresses import open_store
from collector.formats.part_tables import kept
from collector.formats.private import apply
from collector.store.data_dir import DataDir
from collector.store.parts import write
from collector.wording import first_line, no_rows, no_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.formats.private import Private

_TRIES = 3
_PIECE = 2**23


class Fetched(NamedTuple):
    """A copy of a reference: its path in the data directory, and its rows."""

    path: str
    rows: int


def fetch(address: str, data_dir: str, known: str, private: Private | None) -> Fetched | None:
    """Copy a parquet file, without what of it is private; None if the copy at the path ``known`` is of this version.

    Raises EvaluationError if it can't be had, OSError if it can't be written.
    """
    directory = DataDir(Path(data_dir))
    for _ in range(_TRIES):
        with _opened(address) as file:
            version = _version(address)
            path = directory.made_reference(address, f"{version}{_digest(private)}")
            if path == known:
                return None
            rows = _rows_of(address, file)
            _copy(address, file, directory.path / path, private)
        if _version(address) == version:  # otherwise the copy may mix two versions
            return Fetched(path, rows)
        (directory.path / path).unlink()
    raise EvaluationError(f"{address} changes again and again while it is read")


def count_rows(address: str) -> int:
    """Return how many rows a parquet file in a store has; raise EvaluationError if it can't be read."""
    with _opened(address) as file:
        return _rows_of(address, file)


@contextmanager
def _reading(address: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise EvaluationError(f"{address} can't be read: {first_line(error)}") from error


@contextmanager
def _opened(address: str) -> Iterator[pa.NativeFile]:
    with _reading(address):
        files, path = open_store(address)
        file = files.open_input_file(path)
    with file:
        yield file


def _version(address: str) -> str:
    """Return what identifies a file's version: its ETag; without one, its time and size."""
    with _opened(address) as file, _reading(address):
        told = {name.lower(): text for name, text in (file.metadata() or {}).items()}
        if "etag" in told:
            return str(told["etag"].decode())
        files, path = open_store(address)
        info = files.get_file_info(path)
        return f"{info.mtime_ns} {info.size}"


def _copy(address: str, file: pa.NativeFile, target: Path, private: Private | None) -> None:
    if private is None:
        write_whole(target, lambda copy: copy.writelines(_pieces(address, file)))
        return
    with _reading(address):
        table = kept(pq.ParquetFile(file).read())
    write(apply(table, private), target)  # private columns must not reach the disk


def _pieces(address: str, file: pa.NativeFile) -> Iterator[bytes]:
    with _reading(address):
        file.seek(0)
    while True:
        with _reading(address):
            piece = file.read(_PIECE)
        if not piece:
            return
        yield piece


def _rows_of(address: str, file: pa.NativeFile) -> int:
    try:
        with _reading(address):
            rows: int = pq.ParquetFile(file).metadata.num_rows
    except EvaluationError as error:
        if not isinstance(error.__cause__, pa.ArrowInvalid):
            raise
        raise EvaluationError(no_table(address, error.__cause__)) from error
    if not rows:
        raise EvaluationError(no_rows(address))
    return rows


def _digest(private: Private | None) -> str:
    return "" if private is None else f" {hashlib.sha256(repr(private).encode()).hexdigest()}"
