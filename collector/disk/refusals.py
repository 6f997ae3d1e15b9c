"""Errors of a disk, in words for the operator: what is wrong, where, and what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from collector.disk.files import write_scratch
from collector.errors import OutOfFiles, StorageError

_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
# SQLite's codes for a failing disk: https://sqlite.org/rescode.html. The low byte is the kind of error.
_REFUSALS = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
_LOSSES = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
_DAMAGES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def refusal(error: OSError | sqlite3.Error, directory: Path) -> StorageError:
    """Make the error that tells of it."""
    if is_of_files(error):
        told: StorageError = OutOfFiles(error)
    elif _is_of_room(error, directory):
        told = StorageError(f"the disk is full ({error}); make room in {directory}")
    elif _is_forbidden(error):
        told = StorageError(f"{directory} can't be written ({error}); let this process write there")
    elif isinstance(error, OSError) or is_refusal(error):
        told = StorageError(f"the disk of {directory} fails ({error}); see the system's log, then repair or replace it")
    else:
        told = StorageError(f"the journal in {directory} can't be written ({error})")
    told.__cause__ = error
    return told


def is_of_files(error: BaseException) -> bool:
    """Tell whether the process may open no more files, which isn't the disk's fault."""
    if isinstance(error, OSError):
        return error.errno in _NO_FILES
    if _kind(error) != sqlite3.SQLITE_CANTOPEN:
        return False
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as refused:
        return refused.errno in _NO_FILES
    return False


def is_refusal(error: BaseException | None) -> bool:
    """Tell whether the disk is to blame for what SQLite raised, and may be well again later."""
    return _kind(error) in _REFUSALS


def is_loss(error: BaseException | None) -> bool:
    """Tell whether what was written before may not have reached the disk."""
    return _code(error) in _LOSSES


def is_busy(error: BaseException | None) -> bool:
    """Tell whether another process holds the file."""
    return _kind(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_damage(error: BaseException | None) -> bool:
    """Tell whether SQLite found its file damaged."""
    return _kind(error) in _DAMAGES


def _is_of_room(error: OSError | sqlite3.Error, directory: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    # SQLite reports a used-up quota as an I/O error, and the disk's free space doesn't show it.
    is_short = _kind(error) == sqlite3.SQLITE_IOERR and not _has_room(directory)
    return _kind(error) == sqlite3.SQLITE_FULL or is_short


def _has_room(directory: Path) -> bool:
    try:
        write_scratch(directory)
    except OSError as error:
        return error.errno not in _FULL
    return True


def _is_forbidden(error: OSError | sqlite3.Error) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FORBIDDEN
    return _kind(error) in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


def _code(error: BaseException | None) -> int:
    return getattr(error, "sqlite_errorcode", 0)  # errors that the sqlite3 module raises itself have no code


def _kind(error: BaseException | None) -> int:
    return _code(error) & 0xFF
