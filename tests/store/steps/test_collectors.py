import json
import sqlite3

import pytest

from collector.errors import KeyReused
from collector.formats.frames import Frame
from collector.store.schema import STEPS
from collector.store.steps import collectors as statements
from collector.store.steps.collectors import Cut, Part, Run


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript("".join(STEPS))
    yield connection
    connection.close()


def _insert(db, *rows, collector="main", start=100.0):
    """Insert frames of so many rows, a second apart, each with a byte a row."""
    for number, count in enumerate(rows):
        statements.insert_frame(db, collector, Frame("json", bytes(count), count), start + number)


def test_what_waits_is_told_by_collector(db):
    _insert(db, 2, 3)
    _insert(db, 7, collector="other", start=500.0)
    assert statements.count_frames(db) == [("main", None, 2, 5, 5), ("other", None, 1, 7, 7)]
    assert statements.count_parts(db) == []


def test_a_part_remembers_when_its_first_row_came(db):
    _insert(db, 2, 3)
    assert statements.move_to_part(db, Run("main", 1, 2, 2, 5, 5, 100.0), Part("p", 5, 50)) == (True, None)
    assert statements.count_parts(db) == [("main", None, 5, 50)]
    assert statements.seal(db, "main", "b1", 5, 200.0).opened == 100.0
    assert statements.count_parts(db) == [("main", "b1", 5, 50)]
    assert statements.count_frames(db) == []


def _sweep(db, collector="main"):
    """Remove the frames that are in parts; give how many are left after each step."""
    left = []
    while statements.sweep(db, collector) is not None:
        left.append(db.execute("SELECT COUNT(*) FROM frame").fetchone()[0])
    return left


@pytest.mark.parametrize(("frames", "max_bytes", "left"), [(2, 100, [3, 1]), (100, 4, [4, 3, 2, 1]), (100, 100, [1])])
def test_frames_that_are_in_a_part_go_a_few_at_a_time(db, monkeypatch, frames, max_bytes, left):
    monkeypatch.setattr(statements, "SWEPT_FRAMES", frames)
    monkeypatch.setattr(statements, "SWEPT_BYTES", max_bytes)
    _insert(db, 3, 3, 3, 3, 3)
    statements.move_to_part(db, Run("main", 1, 4, 4, 12, 12, 100.0), Part("p", 12, 50))
    assert (statements.unswept(db), _sweep(db), statements.unswept(db)) == (["main"], left, [])


def test_frames_that_are_in_a_part_are_no_frames(db):
    """Though they are still there, they are neither counted, nor found, nor sealed, nor moved again."""
    _insert(db, 2, 3, 4)
    run = statements.find_run(db, "main", None, 5, 100)
    assert statements.move_to_part(db, run, Part("p", 5, 50)) == (True, None)
    assert statements.move_to_part(db, run, Part("q", 5, 50)) == (False, None)
    assert statements.count_frames(db) == [("main", None, 1, 4, 4)]
    assert statements.find_run(db, "main", None, 100, 100).rows == 4
    assert statements.seal(db, "main", "b1", 9, 200.0) == Cut(9, 1, 4, 4, 3, 100.0, 200.0)
    assert statements.count_frames(db) == [("main", "b1", 1, 4, 4)]
    assert statements.forget(db, "main")[0] == 9
    assert statements.unswept(db) == []


def test_frames_of_others_in_a_runs_midst_stay(db):
    _insert(db, 2)
    _insert(db, 7, collector="other")
    _insert(db, 3)
    run = statements.find_run(db, "main", None, 100, 100)
    assert (run.first, run.last, run.rows) == (1, 3, 5)
    statements.move_to_part(db, run, Part("p", 5, 50))
    assert _sweep(db) == [1]
    assert statements.count_frames(db) == [("other", None, 1, 7, 7)]


def test_a_run_ends_before_a_frame_of_another_batch(db):
    """Which there is only in a journal that was damaged; a part of both would be refused for ever."""
    _insert(db, 2, 3, 4, 5)
    db.execute("UPDATE frame SET batch = CASE seq WHEN 3 THEN 'b2' ELSE 'b1' END")
    runs = []
    for number in range(2):
        runs.append(statements.find_run(db, "main", "b1", 100, 100))
        assert statements.move_to_part(db, runs[-1], Part(f"p{number}", runs[-1].rows, 50)) == (True, "b1")
    assert [(run.first, run.last, run.rows) for run in runs] == [(1, 2, 5), (4, 4, 5)]


@pytest.mark.parametrize(
    ("rows", "cut"),
    [
        (1, Cut(2, 1, 2, 2, 1, 100.0, 200.0)),
        (2, Cut(2, 1, 2, 2, 1, 100.0, 200.0)),
        (3, Cut(5, 2, 5, 5, 2, 100.0, 200.0)),
        (9, Cut(9, 3, 9, 9, 3, 100.0, 200.0)),
        (float("inf"), Cut(9, 3, 9, 9, 3, 100.0, 200.0)),
    ],
)
def test_a_cut_tells_what_goes_and_in_which_time_it_came(db, rows, cut):
    _insert(db, 2, 3, 4)
    assert statements.seal(db, "main", "b1", rows, 200.0) == cut


def test_a_cut_of_enough_parts_takes_no_frame(db):
    _insert(db, 5)
    statements.move_to_part(db, Run("main", 1, 1, 1, 5, 5, 100.0), Part("p", 5, 50))
    _insert(db, 1, start=300.0)
    assert statements.seal(db, "main", "b1", 5, 400.0) == Cut(5, 0, 0, 0, 0, 100.0, 400.0)


def test_keys_that_are_a_day_old_are_no_longer_known(db):
    day = statements.KEPT_KEYS_SECONDS
    assert not statements.is_key_known(db, "main", "old", "d", 0.0)
    assert not statements.is_key_known(db, "main", "young", "d", 1.0)
    assert not statements.is_key_known(db, "main", "new", "d", day + 1.0)
    assert statements.is_key_known(db, "main", "young", "d", day + 1.0)
    assert statements.count_excess_keys(db, day + 1.0) == 1
    assert not statements.is_key_known(db, "main", "old", "other", day + 1.0)
    assert statements.count_excess_keys(db, day + 1.0) == 0
    with pytest.raises(KeyReused):
        statements.is_key_known(db, "main", "new", "other", day + 1.0)


def test_keys_beyond_the_newest_are_too_many_and_the_oldest_go(db, monkeypatch):
    monkeypatch.setattr(statements, "KEPT_KEYS", 3)
    for number in (5, 4, 3, 2, 1):
        statements.is_key_known(db, "main", f"key {number}", "d", float(number))
    assert statements.count_excess_keys(db, 5.0) == 2
    statements.delete_oldest_keys(db, 2)
    assert db.execute("SELECT key FROM idempotency ORDER BY at").fetchall() == [("key 3",), ("key 4",), ("key 5",)]


def test_a_batchs_outcome_is_json(db):
    _insert(db, 1)
    statements.seal(db, "main", "b1", 1, 200.0)
    [batch] = statements.select_batches(db, "main", ("sealed",))
    statements.update_batch(db, statements.Batch("b1", "main", "evaluated", 1, 0, 0, outcome={"a": [None, "м"]}))
    [evaluated] = statements.select_batches(db, "main", ("evaluated",))
    assert (batch.outcome, evaluated.outcome) == ({}, {"a": [None, "м"]})
    assert json.loads(db.execute("SELECT outcome FROM batch").fetchone()[0]) == evaluated.outcome
