import errno
import os
import sqlite3
from pathlib import Path

import pytest

from collector.disk.refusals import is_damage, is_loss, is_refusal, refusal
from collector.errors import OutOfFiles

DATA = Path("/")


def of_sqlite(code):
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    return error


def of_system(number):
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (of_system(errno.ENOSPC), r"the disk is full \(.*No space left.*\); make room in /"),
        (of_system(errno.EDQUOT), "the disk is full .*; make room in /"),
        (of_sqlite(sqlite3.SQLITE_FULL), r"the disk is full \(what SQLite says\); make room in /"),
        (of_system(errno.EMFILE), r"the service may open no more files \(.*raise its limit"),
        (of_system(errno.ENFILE), "the service may open no more files"),
        (of_system(errno.EROFS), "/ can't be written .*; let this process write there"),
        (of_sqlite(sqlite3.SQLITE_READONLY_DBMOVED), "/ can't be written .*; let this process write there"),
        (of_sqlite(sqlite3.SQLITE_CANTOPEN), "/ can't be written"),
        (of_system(errno.EIO), "the disk of / fails .*; see the system's log, then repair or replace it"),
        (of_sqlite(sqlite3.SQLITE_IOERR_WRITE), "the disk of / fails"),
        (of_sqlite(sqlite3.SQLITE_BUSY), "the journal in / can't be written"),
        (sqlite3.ProgrammingError("closed"), "the journal in / can't be written"),
    ],
    ids=repr,
)
def test_what_is_refused_is_told_with_what_to_do(error, said):
    told = refusal(error, DATA)
    assert told.__cause__ is error
    with pytest.raises(type(told), match=f"^{said}"):
        raise told


def test_an_error_of_input_or_output_where_there_is_no_room_is_told_as_that(small_disk):
    assert str(refusal(of_sqlite(sqlite3.SQLITE_IOERR_SHMSIZE), small_disk)).startswith("the disk of")
    (small_disk / "ballast").write_bytes(bytes(1024 * 1024))
    assert str(refusal(of_sqlite(sqlite3.SQLITE_IOERR_SHMSIZE), small_disk)).startswith("the disk is full")


def test_a_quota_that_is_used_up_is_no_room_though_the_disk_has_some(tmp_path, monkeypatch):
    def refuse(*_):
        raise of_system(errno.EDQUOT)

    monkeypatch.setattr("collector.disk.refusals.write_scratch", refuse)
    assert str(refusal(of_sqlite(sqlite3.SQLITE_IOERR_WRITE), tmp_path)).startswith("the disk is full")


def test_where_no_more_files_may_be_opened_the_disk_is_not_to_blame(tmp_path, monkeypatch):
    """To SQLite it is a file that can't be opened."""

    def refuse(*_):
        raise of_system(errno.EMFILE)

    monkeypatch.setattr(os, "open", refuse)
    assert isinstance(refusal(of_sqlite(sqlite3.SQLITE_CANTOPEN), tmp_path), OutOfFiles)


def test_what_the_disk_does_is_told_from_what_it_has_lost_and_from_damage():
    codes = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CORRUPT_INDEX, sqlite3.SQLITE_BUSY)
    assert [is_refusal(of_sqlite(code)) for code in codes] == [True, True, False, False]
    assert [is_loss(of_sqlite(code)) for code in codes] == [True, False, False, False]
    assert [is_damage(of_sqlite(code)) for code in codes] == [False, False, True, False]
    assert not is_refusal(ValueError())
