import hashlib
import sqlite3
from contextlib import closing

import pytest

from collector.formats.frames import Frame
from collector.store.schema import STEPS, upgrade
from collector.store.steps.frames import INSERT_FRAME, frame_row, remove_frames

# By version, what its tables were; a line is added with each version, and none is changed.
DIGESTS = {
    1: "422997e66f0932c44f3eb5c6df78316ca51b5a35e54f55524c9a2cfc3430b0dc",
    2: "79d094d208de7b0f8bf6c637d935071a3f3afb7fa5e24700ad6687d56e942c2c",
    3: "79d094d208de7b0f8bf6c637d935071a3f3afb7fa5e24700ad6687d56e942c2c",
    4: "8b151de87c33ae857078be7441ca0d339b28c744e95692d392f4472c4faa8b44",
    5: "ad22510ce1b29d253af2fd9e9ed100fa4df037fb6deb85f10e98473a59f19d79",
    6: "310f54ec830e24562bf04ac9c64ac4697d5f5606f5d9ce938ca129d9b927fe3c",
    7: "0bcc15a487603799f3abcae69bf46ade4351cf4c4f241b3f938b4f19aab9fe42",
    8: "1abbb1c13fe614169fd15cc922d4bdf57586b7b725bf43d86173ff5a73823558",
    9: "a63826d454f577e92009e2ca3208280d74297994f58d36d058860c01169febce",
    10: "6d8f2400130098b7a7894011aad9da850963bd0f722d5d27ef541539b2dda075",
    11: "e1ab278c039deeb8508fa4cd73b91a9ea6701c159039ba9642bec12f06a354e0",
    12: "ce9f5880158bd22d181a7176665eb010d35353d606a7f8b104b585c762599137",
    13: "88da25d173e94700f66c09a427de986f69795e4f7a7f9d066b1d44dbc08405d1",
    14: "4dab7a21bcff41f99e0f6dc2a108345fd1e4208d818f13c46fcb505380adc1f8",
    15: "2079d82a340de3e8e5e047851b168736f76daeb547059928a688cdcc8fd2cc24",
    16: "e8d0488f5073bb9c394fee30f8a6b633454739b9a78f9b04c73167581eb6b083",
    17: "b7da3d854d0c03bd380e9b910d9097f8d2538db096d525100933b4082c6be8ae",
    18: "b7da3d854d0c03bd380e9b910d9097f8d2538db096d525100933b4082c6be8ae",
    19: "ba064120c4375ca9bd7f4dcc425a5a2d2c1737de7bd2a9b2230ca18059214343",
    20: "859d748605cfb0fa9887640a044992e7085beb5517f9a202884162465c4c2cb6",
}


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:")
    upgrade(connection)
    yield connection
    connection.close()


@pytest.mark.parametrize("version", range(1, len(STEPS) + 1))
def test_the_tables_of_a_version_never_change(version):
    """A journal on some disk has them already: whoever changes them needs a further step."""
    with closing(sqlite3.connect(":memory:")) as db:
        upgrade(db, 0, version)
        columns = [
            (table, *column[1:])
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
            for column in db.execute(f"PRAGMA table_info({table})")
        ]
    assert hashlib.sha256(repr(columns).encode()).hexdigest() == DIGESTS[version]


def test_a_number_of_a_frame_is_never_given_twice(db):
    """A part stands for the frames between two numbers; a new frame with an old number would belong to it."""
    row = frame_row("main", Frame("json", b"[1]", 1), 0.0)
    numbers = [db.execute(INSERT_FRAME, row).lastrowid for _ in range(3)]
    remove_frames(db, "main", None, 2, 3)
    assert db.execute(INSERT_FRAME, row).lastrowid == 4
    remove_frames(db, "main", None, 1, 4)
    assert (numbers, db.execute(INSERT_FRAME, row).lastrowid) == ([1, 2, 3], 5)


def test_a_journal_of_before_goes_on_with_its_numbers_and_keeps_its_frames():
    """Its numbers were SQLite's to count, and those of frames that are gone are remembered nowhere else."""
    row = (7, "main", None, "json", 1, 3, 100.0, b"[1]", 5)
    with closing(sqlite3.connect(":memory:")) as db:
        upgrade(db, to=19)
        db.execute("INSERT INTO frame VALUES (9, 'main', NULL, 'json', 1, 3, 100.0, x'', 5)")
        db.execute("DELETE FROM frame")
        db.execute("INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        db.commit()
        upgrade(db, 19)
        assert db.execute("SELECT * FROM frame").fetchall() == [row]
        assert db.execute(INSERT_FRAME, frame_row("main", Frame("json", b"[1]", 1), 0.0)).lastrowid == 10


def test_frames_are_counted_and_cut_without_reading_them(db):
    """A body stands in the way: reading past 1 GB of them takes a second."""
    for query in (
        "SELECT collector, batch, SUM(rows), SUM(size) FROM frame GROUP BY collector, batch",
        "SELECT seq, rows, size, received FROM frame WHERE collector = 'main' AND batch IS NULL ORDER BY seq",
    ):
        [(*_, plan)] = db.execute(f"EXPLAIN QUERY PLAN {query}")
        assert "USING COVERING INDEX frame_by_batch" in plan


def test_a_journal_of_an_older_version_becomes_as_a_new_one(tmp_path):
    """Recovery puts a new journal's first page, which says where the tables begin, in place of a damaged one."""
    roots = []
    for rows in (0, 3000):
        with closing(sqlite3.connect(tmp_path / str(rows), isolation_level=None)) as db:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            for version in range(len(STEPS)):
                upgrade(db, version, version + 1)
                db.execute("BEGIN")
                insert = "INSERT INTO frame(collector, format, rows, size, received, body) VALUES ('m', '', 1, 1, 0, ?)"
                db.executemany(insert, [(bytes(500),)] * rows)
                if version < 4:  # format 5 has them in another form
                    insert = "INSERT INTO idempotency VALUES ('m', ?, '0d', 0)"
                    db.executemany(insert, [(f"{version} {number}",) for number in range(rows)])
                db.execute("COMMIT")
            roots.append(db.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
    assert roots[0] == roots[1]


def test_what_came_of_the_batches_of_an_older_journal_stays_known():
    with closing(sqlite3.connect(":memory:")) as db:
        upgrade(db, 0, 9)
        batches = [("b1", "main", "delivered", 9.0), ("b2", "main", "failed", None), ("b3", "main", "evaluated", None)]
        for id_, collector, state, delivered in [*batches, ("b4", "main", "sealed", None), ("b5", "x", "failed", None)]:
            values = (id_, collector, state, 1, 1.0, 2.0, 1, f'{{"of": "{id_}"}}', "why", delivered)
            db.execute("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        upgrade(db, 9)
        found = db.execute("SELECT batch, report, segment, state, made, delivered, number, outcome FROM snapshot")
        assert found.fetchall() == [
            ("b1", "main", "", "delivered", 9.0, 9.0, 1, '{"of": "b1"}'),
            ("b2", "main", "", "failed", 2.0, None, 1, '{"of": "b2"}'),
            ("b3", "main", "", "evaluated", 2.0, None, 2, '{"of": "b3"}'),
            ("b5", "main", "", "failed", 2.0, None, 0, '{"of": "b5"}'),
        ]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT seq FROM frame WHERE collector = 'main' AND batch IS NULL",
        "SELECT path FROM part WHERE collector = 'main' AND batch IS NULL",
        "SELECT id FROM batch WHERE collector = 'main' AND state IN ('sealed', 'failed') ORDER BY rowid",
        "SELECT entry FROM log WHERE collector = 'main' ORDER BY seq DESC",
        "SELECT path FROM part WHERE batch = 'b' ORDER BY first_seq",
        "SELECT outcome FROM snapshot WHERE collector = 'm' AND report = 'main' AND segment = '' ORDER BY seq DESC",
        "SELECT state FROM snapshot WHERE batch = 'b' AND report = 'main' AND segment = ''",
        "SELECT digest FROM idempotency_key WHERE slice IN (SELECT id FROM idempotency_slice WHERE collector = 'm')",
        "SELECT MAX(id) FROM idempotency_slice WHERE collector = 'main'",
        "SELECT id FROM idempotency_slice WHERE collector IS NULL LIMIT 1",
        "SELECT body FROM half WHERE collector = 'm' AND pair = 'p' AND is_request = 1",
        "SELECT seq FROM half WHERE collector = 'm' AND seq <= 9 ORDER BY seq LIMIT 2",
    ],
)
def test_no_question_reads_the_whole_table(db, query):
    plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}"))
    assert "USING" in plan
    assert "SCAN" not in plan


def test_how_rules_stood_before_segments_is_how_they_stand_with_the_whole():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        upgrade(db, 0, 13)
        db.execute("INSERT INTO alert VALUES ('rule', 'main', 1, 2, 'b1', 5.0, 0.0, 6.0, '{}')")
        upgrade(db, 13, 14)
        assert db.execute("SELECT * FROM alert").fetchall() == [("rule", "main", 1, 2, "b1", 5.0, 0.0, 6.0, "{}", "")]
