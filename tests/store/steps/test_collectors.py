import pytest
from disks import insert_frames

from collector.store.records import Part
from collector.store.steps import alerts, collectors, parts
from collector.store.streams import labels_of


def test_what_a_collector_has_goes_with_it_and_another_keeps_all(db):
    for name in ("main", "other"):
        insert_frames(db, 2, 3, collector=name)
        run = parts.find_run(db, name, None, 2, 100)
        assert parts.move_to_part(db, run, Part(f"parts/{name}", 2, 50)) == (True, None)
        collectors.insert_log(db, name, {"type": "sealed"}, 10)
        collectors.read_clock(db, name, 1.0, is_kept=True)
    assert collectors.forget(db, "main") == (5, ["parts/main"], [], set())
    assert collectors.known_files(db) == ({"parts/other"}, set(), set())
    assert (collectors.select_logs(db, "main"), collectors.select_logs(db, "other")) == ([], [{"type": "sealed"}])
    assert collectors.read_clock(db, "other", 2.0, is_kept=True) == 1.0
    assert collectors.read_clock(db, "main", 2.0, is_kept=True) == 2.0


def test_no_table_has_anything_of_a_collector_that_is_forgotten(db):
    """Each table is asked, so that a new one can't be missed."""
    values = {"TEXT": "a", "INTEGER": 1, "REAL": 1.0, "BLOB": b"a"}
    tables = []
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = {row[1]: values.get(row[2]) for row in db.execute(f"PRAGMA table_info({table})")}
        if "collector" in columns:
            tables.append(table)
            marks = ", ".join("?" * len(columns))
            db.execute(f"INSERT INTO {table} VALUES ({marks})", list((columns | {"collector": "main"}).values()))
    collectors.forget(db, "main")
    counts = [db.execute(f"SELECT COUNT(*) FROM {table} WHERE collector = 'main'").fetchone()[0] for table in tables]
    assert len(tables) > 15
    assert counts == [0] * len(tables)


@pytest.mark.parametrize(("keep", "left"), [(2, [3, 2]), (0, [3, 2, 1])])
def test_a_log_keeps_its_newest_entries(db, keep, left):
    for number in (1, 2, 3):
        collectors.insert_log(db, "main", {"number": number}, keep)
    assert [entry["number"] for entry in collectors.select_logs(db, "main")] == left


def test_a_clock_that_is_not_kept_starts_anew(db):
    assert collectors.read_clock(db, "main", 1.0, is_kept=True) == 1.0
    assert collectors.read_clock(db, "main", 2.0, is_kept=False) == 2.0
    assert collectors.read_clock(db, "main", 3.0, is_kept=True) == 3.0


def test_a_renaming_knows_the_last_of_the_frames_whatever_else_is_numbered(db):
    """Frames that come later under the old id are another collector's."""
    insert_frames(db, 2, 3, collector="main")
    for _ in range(5):
        alerts.post(db, "address", "{}", 0.0)
    collectors.rename(db, "main", "new")
    assert db.execute("SELECT last_seq FROM renamed").fetchall() == [(2,)]


@pytest.mark.parametrize("table", ["frame", "part", "label_fate", None], ids=str)
def test_labels_are_renamed_with_their_collector_if_there_are_any(db, table):
    inserts = {
        "frame": "INSERT INTO frame(collector, format, rows, size, received, body) VALUES (?, 'json', 1, 1, 1, x'00')",
        "part": "INSERT INTO part VALUES ('p', ?, NULL, 1, 1, 1, 1, NULL)",
        "label_fate": "INSERT INTO label_fate VALUES (?, 'used', 1)",
    }
    if table is not None:
        db.execute(inserts[table], (labels_of("old"),))
    collectors.rename(db, "old", "new")
    has_labels = table is not None
    assert (labels_of("old") in collectors.read_renamed(db)) == has_labels
    if has_labels:
        assert db.execute(f"SELECT collector FROM {table}").fetchall() == [(labels_of("new"),)]
