"""Connections to a journal's database: to write, to read only, and to one that is being made."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from collector.errors import StorageError
from collector.store.schema import FORMAT_VERSION, upgrade

# Seconds. A worker reads its frames within them; otherwise a checkpoint is tried again later.
BUSY_TIMEOUT = 5.0
# SQLite's default.
PAGE_BYTES = 4096
HEADER_BYTES = 32  # bytes of a log's header
FRAME_BYTES = 24 + PAGE_BYTES
LOG, INDEX = "-wal", "-shm"  # suffixes of the files beside the database
MAX_WAL_BYTES = 128 * 1024 * 1024


def connect(path: Path, durability: str) -> sqlite3.Connection:
    """Connect to write, making the database if there is none, and bringing an older one to the newest format."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives the files beside it the same mode
    connection = sqlite3.connect(path, BUSY_TIMEOUT, check_same_thread=False, isolation_level=None)
    try:
        if path.stat().st_size == 0:  # can only be set in a new file, and first of all
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # a checkpoint syncs; tending.py does that
        connection.execute(f"PRAGMA journal_size_limit = {MAX_WAL_BYTES}")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version < FORMAT_VERSION:
            upgrade(connection, version)
    except BaseException:
        connection.close()
        raise
    return connection


def make_journal(path: Path) -> sqlite3.Connection:
    """Make an empty journal, and return a connection to it."""
    path.touch(0o600)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # first of all
    connection.execute("PRAGMA synchronous = FULL")
    upgrade(connection)
    return connection


def log_of(database: Path) -> Path:
    """Return the path of the log beside a database."""
    return database.with_name(database.name + LOG)


def read_only(database: Path) -> sqlite3.Connection:
    """Connect so that files stay as they are; the last other connection brings the log to the database as it closes."""
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", BUSY_TIMEOUT, isolation_level=None, uri=True)


@contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """Read beside the writer, all as it is at one moment; raise StorageError if that can't be done."""
    try:
        with closing(read_only(database)) as db:
            db.execute("BEGIN")
            yield db
    except sqlite3.Error as error:
        raise StorageError(f"the journal can't be read: {error}") from error


def index_of(database: Path) -> Path:
    """Return the path of the index of the log, which SQLite's processes share."""
    return database.with_name(database.name + INDEX)
