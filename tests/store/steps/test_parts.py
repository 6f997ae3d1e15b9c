from pathlib import Path

import pytest
from disks import insert_frames

from collector.formats.frames import Frame
from collector.formats.stored import StoredBody
from collector.store.records import Cut, Part, Run
from collector.store.steps import batches, collectors, frames, parts


def test_a_part_remembers_when_its_first_row_came(db):
    insert_frames(db, 2, 3)
    assert parts.move_to_part(db, Run("main", 1, 2, 2, 5, 5, 100.0), Part("p", 5, 50)) == (True, None)
    assert parts.count_parts(db) == [("main", None, 5, 50)]
    assert batches.seal(db, "main", "b1", 5, 200.0).opened == 100.0
    assert parts.count_parts(db) == [("main", "b1", 5, 50)]
    assert frames.count_frames(db) == []


def _sweep(db, collector="main"):
    """Remove the frames that are in parts; give how many are left after each step."""
    left = []
    while parts.sweep(db, collector) is not None:
        left.append(db.execute("SELECT COUNT(*) FROM frame").fetchone()[0])
    return left


@pytest.mark.parametrize(("most", "max_bytes", "left"), [(2, 100, [3, 1]), (100, 4, [4, 3, 2, 1]), (100, 100, [1])])
def test_frames_that_are_in_a_part_go_a_few_at_a_time(db, monkeypatch, most, max_bytes, left):
    monkeypatch.setattr(parts, "SWEPT_FRAMES", most)
    monkeypatch.setattr(parts, "SWEPT_BYTES", max_bytes)
    insert_frames(db, 3, 3, 3, 3, 3)
    parts.move_to_part(db, Run("main", 1, 4, 4, 12, 12, 100.0), Part("p", 12, 50))
    assert (parts.unswept(db), _sweep(db), parts.unswept(db)) == (["main"], left, [])


def test_a_file_is_unneeded_once_no_frame_of_anybody_has_its_body_in_it(db):
    """Whether their rows become a part or their collector is forgotten; beside it, a file that has one body alone."""
    path = Path("1.json")
    for collector, start in (("main", 0), ("f", 0), ("g", 64)):
        frame = Frame("json", StoredBody(path, start, 10), 1)
        db.execute(frames.INSERT_FRAME, frames.frame_row(collector, frame, 100.0))
    db.execute("INSERT INTO frame(collector, format, rows, size, received, body) VALUES ('old', '', 1, 1, 0, '1.js')")
    left = []
    for number, collector in enumerate(("main", "f"), start=1):
        parts.move_to_part(db, Run(collector, number, number, 1, 1, 10, 100.0), Part(collector, 1, 50))
        left.append((parts.sweep(db, collector), frames.unneeded(db, {"1.json", "1.js"})))
    assert left == [({"1.json"}, set())] * 2
    assert (collectors.forget(db, "g")[3], frames.unneeded(db, {"1.json", "1.js"})) == ({"1.json"}, {"1.json"})
    assert (collectors.forget(db, "old")[3], frames.unneeded(db, {"1.js"})) == ({"1.js"}, {"1.js"})


def test_frames_that_are_in_a_part_are_no_frames(db):
    """Though they are still there, they are neither counted, nor found, nor sealed, nor moved again."""
    insert_frames(db, 2, 3, 4)
    run = parts.find_run(db, "main", None, 5, 100)
    assert parts.move_to_part(db, run, Part("p", 5, 50)) == (True, None)
    assert parts.move_to_part(db, run, Part("q", 5, 50)) == (False, None)
    assert frames.count_frames(db) == [("main", None, 1, 4, 4)]
    assert parts.find_run(db, "main", None, 100, 100).rows == 4
    assert batches.seal(db, "main", "b1", 9, 200.0) == Cut(9, 1, 4, 4, 3, 100.0, 200.0)
    assert frames.count_frames(db) == [("main", "b1", 1, 4, 4)]
    assert collectors.forget(db, "main")[0] == 9
    assert parts.unswept(db) == []


def test_frames_of_others_in_a_runs_midst_stay(db):
    insert_frames(db, 2)
    insert_frames(db, 7, collector="other")
    insert_frames(db, 3)
    run = parts.find_run(db, "main", None, 100, 100)
    assert (run.first, run.last, run.rows) == (1, 3, 5)
    parts.move_to_part(db, run, Part("p", 5, 50))
    assert _sweep(db) == [1]
    assert frames.count_frames(db) == [("other", None, 1, 7, 7)]


def test_a_run_ends_before_a_frame_of_another_batch(db):
    """Which there is only in a journal that was damaged; a part of both would be refused for ever."""
    insert_frames(db, 2, 3, 4, 5)
    db.execute("UPDATE frame SET batch = CASE seq WHEN 3 THEN 'b2' ELSE 'b1' END")
    runs = []
    for number in range(2):
        runs.append(parts.find_run(db, "main", "b1", 100, 100))
        assert parts.move_to_part(db, runs[-1], Part(f"p{number}", runs[-1].rows, 50)) == (True, "b1")
    assert [(run.first, run.last, run.rows) for run in runs] == [(1, 2, 5), (4, 4, 5)]
