import json
import sqlite3
import stat
import time
from contextlib import closing

import pytest
import structlog
from disks import append

from collector.errors import DataDirError
from collector.formats.frames import check_frame
from collector.store.connect import make_journal
from collector.store.data_dir import DataDir
from collector.store.journal import open_journal
from collector.store.opening import open_database
from collector.store.schema import FORMAT_VERSION, upgrade


def _frame(rows=1):
    return check_frame("json", json.dumps({"id": list(range(rows))}).encode())


def _query(path, sql):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def _append(journal, rows):
    await append(journal, "main", _frame(rows))


async def test_the_journal_and_what_sqlite_puts_beside_it_are_their_owners_only(journal, path):
    await _append(journal, 1)
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    assert modes == dict.fromkeys((path.name, f"{path.name}-wal", f"{path.name}-shm"), 0o600)


async def test_a_newer_format_is_refused_and_left_as_it_is(path):
    async with open_journal(DataDir(path.parent)) as journal:
        await _append(journal, 1)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DataDirError, match=f"has format {FORMAT_VERSION + 1}, this version knows up to"):
        async with open_journal(DataDir(path.parent)):
            pytest.fail("opened")
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all, " * 100, b"SQLite format 3\0" + bytes(4096)])
async def test_a_file_that_is_no_database_is_set_aside_as_it_is_and_a_new_one_begun(path, content):
    path.write_bytes(content)
    async with open_journal(DataDir(path.parent)) as journal:
        await append(journal, "main", _frame(1))
        assert journal.waiting("main").rows == 1
    [kept] = (path.parent / "damaged").iterdir()
    assert kept.name.startswith("journal-")
    assert kept.read_bytes() == content
    assert not DataDir(path.parent).journal_mark.exists()


async def test_a_directory_in_its_place_is_refused(path):
    path.mkdir()
    with pytest.raises(DataDirError, match="can't be opened: "):
        async with open_journal(DataDir(path.parent)):
            pytest.fail("opened")


async def test_a_journal_of_the_first_format_is_taken_over(path):
    with closing(sqlite3.connect(path)) as connection:
        upgrade(connection, 0, 1)
        connection.execute("INSERT INTO idempotency VALUES ('main', 'key', 'd1', ?)", (time.time(),))
        connection.execute("INSERT INTO frame VALUES (7, 'main', 'b1', 'json', 1, 11, 100, '{\"id\": [0]}')")
        connection.execute(
            "INSERT INTO batch(id, collector, state, rows, opened, sealed) VALUES ('b1', 'main', 'sealed', 1, 1, 2)"
        )
        connection.commit()
    async with open_journal(DataDir(path.parent)) as journal:
        assert [batch.id for batch in await journal.batches("main", "sealed")] == ["b1"]
        await _append(journal, 1)
        assert not await append(journal, "main", check_frame("json", b'{"a": [1]}'), "key", "d1")
    assert _query(path, "SELECT seq, checksum IS NULL FROM frame") == [(7, 1), (8, 0)]
    assert _query(path, "PRAGMA user_version") == [(FORMAT_VERSION,)]


@pytest.mark.parametrize(("durability", "level"), [("process", 1), ("power", 2)])
async def test_durability_is_sqlites_synchronous(path, durability, level, monkeypatch):
    """1 is NORMAL and 2 is FULL: https://sqlite.org/pragma.html#pragma_synchronous."""
    connections = []
    connect = sqlite3.connect

    def remember(*args, **options):
        connections.append(connect(*args, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", remember)
    async with open_journal(DataDir(path.parent), durability):
        assert connections[0].execute("PRAGMA synchronous").fetchone() == (level,)


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (0, 0, "not a database"),
        (18, 9, "first page"),
        (60, 0x7F, "tables aren't those of format"),
        (63, 0, "tables aren't"),
    ],
)
def test_what_is_wrong_is_said_and_a_recovery_made_of_it(tmp_path, place, value, reason):
    """In the magic, in what SQLite may do with the file, and in the format's number."""
    path = tmp_path / "journal.sqlite3"
    open_database(DataDir(path.parent), "process").close()
    body = bytearray(path.read_bytes())
    body[place] = value
    path.write_bytes(body)
    with structlog.testing.capture_logs() as logs:
        open_database(DataDir(path.parent), "process").close()
    assert reason in logs[0]["reason"]
    assert path.read_bytes()[:16] == b"SQLite format 3\0"


def test_what_another_process_holds_is_refused_and_not_taken_for_broken(tmp_path, monkeypatch):
    monkeypatch.setattr("collector.store.connect.BUSY_TIMEOUT", 0.01)
    path = tmp_path / "journal.sqlite3"
    with closing(make_journal(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DataDirError, match="can't be opened: database is locked"):
            open_database(DataDir(path.parent), "process")
    assert not (tmp_path / "damaged").exists()


def test_a_journal_that_was_made_and_not_filled_is_filled(tmp_path):
    path = tmp_path / "journal.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with closing(open_database(DataDir(path.parent), "process")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM frame").fetchone() == (0,)
    assert not (tmp_path / "damaged").exists()
