import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from collector.store.connect import log_of
from collector.store.repair.wal import cut_behind, has_damaged_log, mend

HEADER, FRAME = 32, 24 + 4096


@pytest.fixture
def killed(tmp_path):
    """A database of numbered rows whose process was killed: its log is there."""
    with closing(sqlite3.connect(tmp_path / "alive", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t(number INTEGER PRIMARY KEY, text)")
        for number in range(100):
            connection.execute("INSERT INTO t VALUES (?, ?)", (number, "x" * 1000))
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / f"alive{suffix}", tmp_path / f"killed{suffix}")
    return tmp_path / "killed"


def is_damaged(database):
    return has_damaged_log(database)


def rows_in(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT COUNT(*) FROM t").fetchone()[0]


def change(path, place, byte=None):
    body = bytearray(path.read_bytes())
    body[place] = body[place] ^ 1 if byte is None else byte
    path.write_bytes(body)


def frames_in(path):
    return (path.stat().st_size - HEADER) // FRAME


def test_a_log_that_is_whole_is_sound_and_left_alone(killed):
    before = log_of(killed).read_bytes()
    assert not is_damaged(killed)
    mend(log_of(killed))
    assert log_of(killed).read_bytes() == before
    assert rows_in(killed) == 100


def test_looking_at_a_log_leaves_it_and_the_database_as_they_are(killed):
    before = killed.read_bytes(), log_of(killed).read_bytes()
    change(log_of(killed), HEADER + 10 * FRAME + 24 + 4000)
    changed = log_of(killed).read_bytes()
    assert is_damaged(killed)
    assert (killed.read_bytes(), log_of(killed).read_bytes()) == (before[0], changed)


def test_no_log_or_an_empty_one_is_sound(tmp_path):
    for name in ("none", "empty"):
        sqlite3.connect(tmp_path / name).close()
    (tmp_path / "empty-wal").touch()
    assert not is_damaged(tmp_path / "none")
    assert not is_damaged(tmp_path / "empty")


@pytest.mark.parametrize("seed", range(10))
def test_a_write_that_was_cut_off_is_no_damage(killed, seed):
    """SQLite is right to forget it."""
    size = random.Random(seed).randrange(HEADER + FRAME, log_of(killed).stat().st_size)
    with log_of(killed).open("r+b") as file:
        file.truncate(size)
    assert not is_damaged(killed)


def test_what_is_left_of_an_older_log_is_no_damage(killed):
    """SQLite begins a log anew over the old one."""
    with closing(sqlite3.connect(killed, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
        connection.execute("INSERT INTO t VALUES (1000, '')")
        shutil.copy(killed, killed.with_name("copy"))
        shutil.copy(log_of(killed), killed.with_name("copy-wal"))
    assert frames_in(killed.with_name("copy-wal")) > 50
    assert not is_damaged(killed.with_name("copy"))


@pytest.mark.parametrize("place", [0, 5, 9, 13, 17, 25, HEADER + 8, HEADER + 16, HEADER + 24 + 4000])
def test_a_byte_that_has_changed_is_found_and_the_commits_behind_it_are_won_back(killed, place):
    """In the log's header, and in a frame's salts, checksums and page (there in what the next frame has anew)."""
    change(log_of(killed), place)
    assert is_damaged(killed)
    mend(log_of(killed))
    assert not is_damaged(killed)
    assert rows_in(killed) == 100


def test_without_mending_they_would_be_lost(killed):
    change(log_of(killed), HEADER + 10 * FRAME + 24 + 4000)
    assert rows_in(killed) < 20


def test_what_is_behind_a_hole_is_not_won_back(killed):
    """The power failed and a page of the log never came to the disk: what is behind it doesn't fit."""
    body = bytearray(log_of(killed).read_bytes())
    start = HEADER + 10 * FRAME
    body[start : start + FRAME] = bytes(FRAME)
    log_of(killed).write_bytes(body)
    assert is_damaged(killed)
    mend(log_of(killed))
    assert log_of(killed).read_bytes() == body


def test_what_stands_behind_a_marked_commit_is_cut_off(killed):
    """It has the salts of the log, and would be won back."""
    with closing(sqlite3.connect(killed, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA application_id = 77")
        shutil.copy(killed, killed.with_name("marked"))
        shutil.copy(log_of(killed), killed.with_name("marked-wal"))
    log = log_of(killed.with_name("marked"))
    whole = log.read_bytes()
    log.write_bytes(whole + whole[-3 * FRAME :])
    assert is_damaged(killed.with_name("marked"))
    cut_behind(log, 76)
    assert log.stat().st_size == len(whole) + 3 * FRAME
    cut_behind(log, 77)
    assert log.read_bytes() == whole
    assert not is_damaged(killed.with_name("marked"))
