"""Open windows of event time, and the step in which one of them becomes a batch."""

from disks import insert_frames

from collector.store.records import Part, Run
from collector.store.steps import batches, parts, windows


def spill(db, **rows):
    """Make a frame a part for each window, ``w0`` being that of 0; ``plain`` has none."""
    insert_frames(db, sum(rows.values()))
    (seq,) = db.execute("SELECT MAX(seq) FROM frame").fetchone()
    starts = {name: None if name == "plain" else float(name[1:]) for name in rows}
    made = [Part(f"{seq} {name}", count, 10, starts[name]) for name, count in rows.items()]
    assert parts.move_to_part(db, Run("main", seq, seq, 1, sum(rows.values()), 10, 100.0), *made) == (True, None)


def clock(db):
    return db.execute("SELECT fired FROM clock WHERE collector = 'main'").fetchone()[0]


def test_a_window_becomes_a_batch_of_its_parts_and_the_next_is_open_in_the_same_step(db):
    spill(db, w0=2, w60=3)
    spill(db, w60=1, w0=4)
    assert windows.open_windows(db, "main", 0) == [0, 60]
    cut = windows.seal_window(db, "main", "b1", (0, 60), (0, 60), 200.0)
    assert (cut.rows, cut.frames, clock(db)) == (6, 0, 60)
    [batch] = batches.select_batches(db, "main", ("sealed",))
    assert (batch.id, batch.rows, batch.window) == ("b1", 6, (0, 60))
    assert [part.rows for part in parts.select_parts(db, "b1")] == [2, 4]
    assert windows.open_windows(db, "main", 60) == [60]


def test_parts_of_before_there_were_windows_are_of_the_first_that_is_open(db):
    spill(db, plain=2)
    spill(db, w60=3)
    assert windows.open_windows(db, "main", 60) == [60]
    assert windows.seal_window(db, "main", "b1", (60, 120), (60, 120), 200.0).rows == 5


def test_a_window_without_rows_is_closed_without_a_batch(db):
    assert windows.seal_window(db, "main", "b1", (0, 60), (0, 60), 200.0).rows == 0
    assert (batches.select_batches(db, "main", ("sealed",)), clock(db)) == ([], 60)


def test_frames_that_are_in_no_part_are_known_by_their_numbers(db):
    assert windows.last_open_frame(db, "main") == 0
    insert_frames(db, 1, 1)
    assert windows.last_open_frame(db, "main") == 2
    parts.move_to_part(db, Run("main", 1, 1, 1, 1, 1, 100.0), Part("p", 1, 10))
    assert [windows.has_open_frames(db, "main", upto) for upto in (1, 2)] == [False, True]
