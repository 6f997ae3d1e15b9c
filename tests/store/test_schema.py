import hashlib
import sqlite3

import pytest

from collector.store.schema import FORMAT_VERSION, SCHEMA

# By version, what its tables were; a line is added with each version, and none is changed.
DIGESTS = {1: "422997e66f0932c44f3eb5c6df78316ca51b5a35e54f55524c9a2cfc3430b0dc"}


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    yield connection
    connection.close()


def test_the_tables_of_a_version_never_change(db):
    """A journal on some disk has them already: whoever changes them needs a new FORMAT_VERSION."""
    columns = [
        (table, *column[1:])
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        for column in db.execute(f"PRAGMA table_info({table})")
    ]
    assert hashlib.sha256(repr(columns).encode()).hexdigest() == DIGESTS[FORMAT_VERSION]


def test_a_number_of_a_frame_is_never_given_twice(db):
    """A part stands for the frames between two numbers; a new frame with an old number would belong to it."""
    insert = "INSERT INTO frame(collector, format, rows, size, received, body) VALUES ('main', 'json', 1, 1, 0, '')"
    first = db.execute(insert).lastrowid
    db.execute("DELETE FROM frame")
    assert db.execute(insert).lastrowid > first


@pytest.mark.parametrize(
    "query",
    [
        "SELECT seq FROM frame WHERE collector = 'main' AND batch IS NULL",
        "SELECT path FROM part WHERE collector = 'main' AND batch IS NULL",
        "SELECT id FROM batch WHERE collector = 'main' AND state IN ('sealed', 'failed') ORDER BY rowid",
        "SELECT entry FROM log WHERE collector = 'main' ORDER BY seq DESC",
        "SELECT digest FROM idempotency WHERE collector = 'main' AND key = 'k'",
    ],
)
def test_no_question_reads_the_whole_table(db, query):
    plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert "USING" in plan
    assert "SCAN" not in plan
