"""Whole batches: each once, known for long, and replaced only once they are out of the way."""

import pytest
from disks import insert_frames

from collector.errors import NotReady
from collector.formats.frames import check_frame
from collector.store.records import Part, Run, Whole, labelled_id
from collector.store.steps import batches, parts, whole

FRAME = check_frame("json", b'{"n": [1, 2]}')


def of(digest, *, start=10.0, collector="main", **others):
    return Whole(f"b-{digest}", collector, digest.encode(), start, start + 5, **others)


def take(db, digest, **others):
    return whole.take_whole(db, of(digest, **others), FRAME, 100.0)


def ids(db, *states):
    return [batch.id for batch in batches.select_batches(db, "main", states or ("sealed", "delivered", "failed"))]


def deliver(db, batch_id):
    batch = batches.find_batch(db, batch_id)
    frames = db.execute("SELECT MIN(seq), MAX(seq) FROM frame WHERE batch = ?", (batch_id,)).fetchone()
    parts.move_to_part(db, Run("main", *frames, 1, 2, 2, 1.0), Part(f"parts/{batch_id}.parquet", 2, 50))
    batches.finish(db, batch, 200.0)


def test_a_body_becomes_a_sealed_batch_of_its_window_beside_the_open_one(db):
    insert_frames(db, 3)
    taken = take(db, "a", is_backfill=True)
    [batch] = batches.select_batches(db, "main", ("sealed",))
    assert (taken.batch, taken.is_new, batch.id, batch.rows) == ("b-a", True, "b-a", 2)
    assert (batch.window, batch.is_backfill, batch.report) == ((10.0, 15.0), True, "main")
    assert db.execute("SELECT batch, rows FROM frame ORDER BY seq").fetchall() == [(None, 3), ("b-a", 2)]


def test_the_same_body_of_the_same_window_is_the_same_batch(db):
    """Also when all else of it has gone, and when its collector has another name."""
    take(db, "a")
    assert take(db, "a") == whole.Taken("b-a", is_new=False)
    db.execute("DELETE FROM batch")
    db.execute("UPDATE whole_batch SET collector = 'other'")
    assert take(db, "a", collector="other") == whole.Taken("b-a", is_new=False)
    assert take(db, "a").is_new


def test_a_batch_that_a_renamed_collector_took_with_it_stays_another(db):
    take(db, "a")
    for table in ("whole_batch", "batch", "frame"):
        db.execute(f"UPDATE {table} SET collector = 'other'")
    taken = take(db, "a")
    assert taken.is_new
    assert taken.batch != "b-a"
    assert take(db, "a") == whole.Taken(taken.batch, is_new=False)


def test_the_open_batch_takes_nothing_of_a_whole_one(db):
    insert_frames(db, 3)
    take(db, "a")
    insert_frames(db, 4)
    cut = batches.seal(db, "main", "b-open", float("inf"), 300.0)
    assert (cut.rows, cut.frames) == (7, 2)
    runs = []
    while run := parts.find_run(db, "main", "b-open", 100, 1000):
        runs.append((run.first, run.last))
        assert parts.move_to_part(db, run, Part(f"p{run.first}", run.rows, 1)) == (True, "b-open")
    assert runs == [(1, 1), (3, 3)]  # a part is of all frames between two numbers


def test_a_replacement_comes_in_the_place_of_all_of_its_window(db):
    for digest, start in (("a", 10.0), ("b", 10.0), ("c", 20.0)):
        take(db, digest, start=start)
        deliver(db, f"b-{digest}")
    taken = take(db, "d", is_replacement=True)
    assert [(one.batch, one.paths, one.size) for one in taken.replaced] == [
        ("b-a", ("parts/b-a.parquet",), 0),
        (labelled_id("b-a"), (), 0),
        ("b-b", ("parts/b-b.parquet",), 0),
        (labelled_id("b-b"), (), 0),
    ]
    assert ids(db) == ["b-c", "b-d"]
    assert batches.find_batch(db, "b-d").replaces == ("b-a", labelled_id("b-a"), "b-b", labelled_id("b-b"))
    assert take(db, "a").is_new


def test_a_report_of_labels_is_replaced_though_its_batch_is_gone_long_since(db):
    """What was delivered is kept for a while only; its snapshot is in the workspace nevertheless."""
    take(db, "a")
    deliver(db, "b-a")
    db.execute("DELETE FROM part")
    db.execute("DELETE FROM batch")
    take(db, "b", is_replacement=True)
    assert batches.find_batch(db, "b-b").replaces == ("b-a", labelled_id("b-a"))


def test_the_same_body_replaces_itself_under_its_id(db):
    take(db, "a")
    deliver(db, "b-a")
    taken = take(db, "a", is_replacement=True)
    assert (taken.batch, taken.is_new, batches.find_batch(db, "b-a").state) == ("b-a", True, "sealed")
    assert batches.find_batch(db, "b-a").replaces == ("b-a", labelled_id("b-a"))


def test_bytes_of_a_failed_batch_that_is_replaced_wait_no_longer(db):
    take(db, "a")
    deliver(db, "b-a")
    db.execute("UPDATE batch SET state = 'failed'")
    replaced, _ = take(db, "b", is_replacement=True).replaced
    assert (replaced.batch, replaced.size) == ("b-a", 50)


@pytest.mark.parametrize("state", ["sealed", "evaluated"])
def test_what_is_on_its_way_is_not_replaced(db, state):
    take(db, "a")
    db.execute("UPDATE batch SET state = ?", (state,))
    with pytest.raises(NotReady, match="b-a of the same window is on its way"):
        take(db, "b", is_replacement=True)


def test_the_newest_whole_batches_stay_known(db, monkeypatch):
    monkeypatch.setattr(whole, "MAX_KNOWN", 2)
    for digest in "abc":
        take(db, digest)
    assert [take(db, digest).is_new for digest in "cb"] == [False, False]
    assert take(db, "a").is_new
