import sqlite3
import stat
from contextlib import closing

import pytest

from collector.store.connect import connect, log_of, make_journal, read_only
from collector.store.schema import FORMAT_VERSION, columns_of, upgrade


def _version(db):
    return db.execute("PRAGMA user_version").fetchone()[0]


def test_a_new_journal_and_its_log_are_their_owners_alone(path):
    with closing(connect(path, "process")) as db:
        assert _version(db) == FORMAT_VERSION
        assert [stat.S_IMODE(file.stat().st_mode) for file in (path, log_of(path))] == [0o600, 0o600]


@pytest.mark.parametrize(("durability", "synchronous"), [("process", 1), ("power", 2)])
def test_commits_are_synced_for_power_alone(path, durability, synchronous):
    with closing(connect(path, durability)) as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (synchronous,)
        assert db.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION))
def test_an_older_format_takes_the_steps_that_it_lacks(path, version):
    with closing(sqlite3.connect(path)) as db:
        upgrade(db, 0, version)
    with closing(connect(path, "process")) as old, closing(make_journal(path.with_name("new"))) as new:
        assert (_version(old), columns_of(old)) == (FORMAT_VERSION, columns_of(new))


def test_one_who_reads_only_writes_nothing(path):
    connect(path, "process").close()
    with closing(read_only(path)) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("INSERT INTO clock VALUES ('main', 1)")
