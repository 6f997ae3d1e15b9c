"""Opening the journal's database: what is wrong with it is found before it is used."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from collector.disk.refusals import is_busy, is_refusal
from collector.errors import DataDirError
from collector.store.connect import connect, read_only
from collector.store.parts import read_origin
from collector.store.repair.recovery import recover
from collector.store.repair.wal import has_damaged_log
from collector.store.schema import FORMAT_VERSION, columns_of, known_columns
from collector.store.steps.frames import has_frames

if TYPE_CHECKING:
    from pathlib import Path

    from collector.store.data_dir import DataDir

# Bytes. A journal up to this size is checked whole when it is opened (64 MiB in 0.15 s), a larger one while it is used.
CHECKED_FIRST = 64 * 1024**2


def open_database(data_dir: DataDir, durability: str) -> sqlite3.Connection:
    """Open the journal's database, making it if there is none; one that is broken or lost is recovered first.

    Raises DataDirError if it is of a newer format, or the disk refuses.
    """
    try:
        reason = _why_broken(data_dir)
        if reason:
            recover(data_dir, reason)
        return connect(data_dir.journal, durability)
    except (sqlite3.Error, OSError) as error:
        raise DataDirError(
            f"the journal {data_dir.journal} can't be opened: {error}; move it away to begin a new one"
        ) from error


def find_fault(connection: sqlite3.Connection) -> str:
    """Look at each page of a journal; return the first fault, "" if it is sound."""
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return "" if found == "ok" else str(found)


def _why_broken(data_dir: DataDir) -> str:
    """Say what is wrong with the journal; "" if it is sound, or if that can't be told now."""
    path = data_dir.journal
    if data_dir.journal_mark.exists():
        return "it was found broken while it was used"
    if not path.exists() or path.stat().st_size == 0:
        has_rows = any((data_dir.path / "parts").glob("*.parquet")) or data_dir.body_files()
        return "it is gone" if has_rows else ""
    try:
        if has_damaged_log(path):
            return "its log is damaged"
        with closing(read_only(path)) as connection:
            is_checked = path.stat().st_size <= CHECKED_FIRST
            fault = _check_format(connection, path) or (find_fault(connection) if is_checked else "")
            return fault or (_check_parts(connection, data_dir) if columns_of(connection) else "")
    except UnicodeDecodeError:  # the error's text itself can't be decoded
        return "the list of its tables can't be read"
    except sqlite3.Error as error:
        if is_refusal(error) or is_busy(error):
            raise
        return str(error)


def _check_format(connection: sqlite3.Connection, path: Path) -> str:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if FORMAT_VERSION < version < FORMAT_VERSION + 1000:
        raise DataDirError(
            f"the journal {path} has format {version}, this version knows up to {FORMAT_VERSION}; "
            "use the version that wrote it, or a newer one"
        )
    with path.open("rb") as file:
        if not set(file.read(20)[18:]) <= {1, 2}:  # SQLite would open the file only for reading
            return "its first page is damaged"
    known = columns_of(connection)
    if not known and version == 0:
        return ""  # it was made, but not filled yet
    is_known = 0 < version <= FORMAT_VERSION and known == known_columns(version)
    return "" if is_known else f"its tables aren't those of format {version}"


def _check_parts(connection: sqlite3.Connection, data_dir: DataDir) -> str:
    """Find parts that are marked as delivered while the journal doesn't know: then it has lost its last commits."""
    states = dict(connection.execute("SELECT path, state FROM part LEFT JOIN batch ON batch.id = part.batch"))
    for part in data_dir.delivered_parts():
        if part in states and states[part] != "delivered":
            return "it is older than its parts"
        origin = None if part in states else read_origin(data_dir.path / part)
        if origin is not None and has_frames(connection, origin[0]):
            return "it is older than its parts"
    return ""
