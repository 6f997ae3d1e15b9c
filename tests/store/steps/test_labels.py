"""Which batches wait for labels, and which labels are kept for them: until a batch is closed, and no longer."""

from dataclasses import replace

import pytest

from collector.store.records import Awaited, Batch, LabelPart, Part, Run, labelled_id
from collector.store.steps import labels
from collector.store.streams import labels_of

STREAM = labels_of("main")
KEYED = Awaited("b1", 4, 1.0, "delivered", 3.0, 60.0, key="id", keys="labels/k", keyed=4)
CLOSED = replace(KEYED, cut=7, closed=50.0, disputed=1)


@pytest.fixture
def enter(db):
    """Enter delivered batches of one part and four rows, which wait from their sealing on."""

    def run(*ids, collector="main"):
        for id_ in ids:
            batch = "INSERT INTO batch(id, collector, state, rows, opened, sealed) VALUES (?, ?, 'delivered', 4, 1, 2)"
            db.execute(batch, (id_, collector))
            db.execute("INSERT INTO part VALUES (?, ?, ?, 4, 50, 1, 1, NULL)", (f"{id_}.parquet", collector, id_))
            labels.await_labels(db, id_, 60.0, 3.0)

    return run


@pytest.fixture
def enter_labels(db):
    """Enter a part of labels as it is spilled: of so many frames, of which some rows were damaged."""

    def run(path, last, rows=3, damaged=0, collector="main"):
        stream = labels_of(collector)
        db.execute("INSERT INTO part VALUES (?, ?, NULL, ?, 30, ?, 1, NULL)", (path, stream, rows, last - 1))
        run = Run(stream, last - 1, last, 2, rows + damaged, 30, 1.0)
        labels.enter_label_part(db, run, Part(path, rows, 30), 5.0)

    return run


def awaited(db, collector="main"):
    return labels.select_awaited(db, collector)


def test_a_batch_waits_from_its_sealing_on_and_one_that_is_read_again_anew(db, enter):
    enter("b1")
    assert awaited(db) == [Awaited("b1", 4, 1.0, "delivered", 3.0, 60.0)]
    labels.enter_keys(db, KEYED, ["b1.parquet"])
    labels.await_labels(db, "b1", 9.0, 8.0)
    assert awaited(db) == [Awaited("b1", 4, 1.0, "delivered", 8.0, 9.0)]
    labels.forget_awaited(db, ["b1"])
    assert (awaited(db), labels.waiting_batch(db, "b1")) == ([], None)


def test_batches_wait_in_the_order_of_their_sealing_and_each_for_its_own_collector(db, enter):
    enter("b2", "b1")
    enter("b0", collector="other")
    assert [one.batch for one in awaited(db)] == ["b2", "b1"]
    assert labels.collectors(db) == {"main", "other"}


def test_what_a_batch_says_of_itself_is_what_the_journal_has_until_it_is_closed(db, enter):
    enter("b1")
    said = labels.waiting_batch(db, "b1")
    assert (said.batch, said.collector, said.rows, said.since, said.wait) == ("b1", "main", 4, 3.0, 60.0)
    assert said.parts == ["b1.parquet"]
    labels.enter_keys(db, KEYED, ["b1.parquet"])
    assert labels.close(db, CLOSED, None, [], ["b1.parquet"])
    assert labels.waiting_batch(db, "b1") is None


def test_keys_of_other_parts_than_the_batch_has_now_are_not_entered(db, enter):
    """A part was set aside as damaged while they were made."""
    enter("b1")
    assert not labels.enter_keys(db, KEYED, ["b1.parquet", "gone.parquet"])
    assert [one.keys for one in awaited(db)] == [None]
    assert labels.enter_keys(db, KEYED, ["b1.parquet"])
    assert awaited(db) == [KEYED]


def test_keys_that_are_made_anew_are_matched_from_the_first_label_on(db, enter):
    enter("b1")
    labels.enter_keys(db, KEYED, ["b1.parquet"])
    matched = replace(KEYED, matched=9, labelled=2, marks="labels/m")
    labels.enter_matches(db, [matched])
    assert awaited(db) == [matched]
    labels.forget_keys(db, "b1")
    assert awaited(db) == [replace(KEYED, keys=None)]
    labels.enter_matches(db, [matched])  # found by the keys that were forgotten
    assert awaited(db) == [replace(KEYED, keys=None)]


def test_a_batch_is_closed_once_and_its_rows_with_labels_are_sealed_then(db, enter):
    enter("b1")
    labels.enter_keys(db, KEYED, ["b1.parquet"])
    made = Batch(labelled_id("b1"), "main", "sealed", 3, 1.0, 50.0, report="labels", source="b1", is_backfill=True)
    joined = [Part("joined-0.parquet", 2, 20), Part("joined-1.parquet", 1, 10)]
    assert labels.close(db, CLOSED, made, joined, ["b1.parquet"])
    assert not labels.close(db, CLOSED, made, joined, ["b1.parquet"]), "its id is taken"
    assert awaited(db) == [CLOSED]
    kept = db.execute("SELECT state, rows, report, source, is_backfill FROM batch WHERE id = ?", (made.id,)).fetchall()
    assert kept == [("sealed", 3, "labels", "b1", True)]
    parts = db.execute("SELECT path, rows FROM part WHERE batch = ? ORDER BY first_seq", (made.id,)).fetchall()
    assert parts == [("joined-0.parquet", 2), ("joined-1.parquet", 1)]


def test_a_batch_whose_parts_or_keys_changed_meanwhile_is_not_closed(db, enter):
    enter("b1")
    labels.enter_keys(db, KEYED, ["b1.parquet"])
    assert not labels.close(db, CLOSED, None, [], ["gone.parquet"])
    labels.forget_keys(db, "b1")
    assert not labels.close(db, CLOSED, None, [], ["b1.parquet"])
    assert [one.cut for one in awaited(db)] == [None]


def test_a_closed_batch_is_changed_by_nothing_but_a_clock_that_is_set(db, enter):
    enter("b1")
    labels.enter_keys(db, KEYED, ["b1.parquet"])
    labels.close(db, CLOSED, None, [], ["b1.parquet"])
    labels.set_wait(db, "main", 1.0)
    labels.forget_keys(db, "b1")
    labels.enter_matches(db, [replace(KEYED, matched=9)])
    assert not labels.enter_keys(db, KEYED, ["b1.parquet"])
    assert awaited(db) == [CLOSED]
    labels.shift(db, "main", -10.0)
    assert awaited(db) == [replace(CLOSED, since=-7.0, closed=40.0)]


def test_parts_of_labels_come_in_the_order_of_their_frames(db, enter_labels):
    enter_labels("late", 9)
    enter_labels("early", 4)
    enter_labels("others", 2, collector="other")
    assert labels.select_label_parts(db, "main") == [
        LabelPart("early", 3, 30, 3, 4, 5.0, 0.0),
        LabelPart("late", 3, 30, 8, 9, 5.0, 0.0),
    ]


def test_a_part_that_is_held_is_looked_at_then_or_once_the_clock_is_set(db, enter_labels):
    enter_labels("p", 4)
    labels.hold(db, "p", 90.0)
    assert [part.held for part in labels.select_label_parts(db, "main")] == [90.0]
    labels.shift(db, "main", 10.0)
    assert [(part.since, part.held) for part in labels.select_label_parts(db, "main")] == [(15.0, 0.0)]


def test_each_label_is_counted_once_when_it_is_let_go_of(db, enter_labels):
    enter_labels("p", 4, damaged=2)
    [part] = labels.select_label_parts(db, "main")
    assert labels.retire(db, "main", part, {"used": 2, "late": 0, "unmatched": 1})
    assert not labels.retire(db, "main", part, {"used": 2, "late": 0, "unmatched": 1})
    assert labels.select_label_parts(db, "main") == []
    fates = labels.select_fates(db, "main")
    assert fates == {"used": 2, "late": 0, "unmatched": 1, "disputed": 0, "damaged": 2}
    assert set(labels.select_fates(db, "other").values()) == {0}


def test_a_run_of_which_all_was_damaged_leaves_its_count_alone(db, enter_labels):
    enter_labels("p", 4, rows=0, damaged=2)
    assert labels.select_label_parts(db, "main") == []
    assert labels.select_fates(db, "main")["damaged"] == 2


def test_a_part_of_events_is_none_of_labels(db):
    labels.enter_label_part(db, Run("main", 1, 2, 2, 3, 30, 1.0), Part("p", 3, 30), 5.0)
    assert labels.collectors(db) == set()


def frame(db, stream, number, received, batch=None):
    insert = "INSERT INTO frame(seq, collector, batch, format, rows, size, received, body) "
    db.execute(f"{insert} VALUES (?, ?, ?, 'json', 1, 1, ?, x'00')", (number, stream, batch, received))


def test_frames_count_as_open_until_they_are_in_a_part(db):
    assert labels.oldest_frame(db, STREAM) is None
    frame(db, STREAM, 1, 10.0)
    frame(db, STREAM, 2, 20.0)
    assert labels.oldest_frame(db, STREAM) == 10.0
    db.execute("INSERT INTO moved VALUES (?, NULL, 1, 1)", (STREAM,))  # it goes later
    assert labels.oldest_frame(db, STREAM) == 20.0


def test_the_oldest_event_that_is_in_no_batch_is_in_a_frame_or_in_a_part(db):
    assert labels.oldest_open(db, "main") is None
    frame(db, "main", 1, 5.0, batch="b1")
    frame(db, "main", 2, 20.0)
    assert labels.oldest_open(db, "main") == 20.0
    db.execute("INSERT INTO part VALUES ('p', 'main', NULL, 1, 1, 1, 8.0, NULL)")
    assert labels.oldest_open(db, "main") == 8.0


def test_what_waits_takes_room_until_it_is_closed(db, enter):
    enter("b1", "b2")
    db.execute("UPDATE batch SET state = 'sealed' WHERE id = 'b2'")  # its rows count as what isn't delivered
    assert labels.waiting_bytes(db, "main") == 50
    labels.enter_keys(db, KEYED, ["b1.parquet"])
    labels.close(db, CLOSED, None, [], ["b1.parquet"])
    assert labels.waiting_bytes(db, "main") == 0


def test_files_are_known_as_long_as_they_are_of_use(db, enter, enter_labels):
    enter("b1")
    enter("b0", collector="other")
    enter_labels("labels/2026/l1.parquet", 4)
    labels.enter_keys(db, KEYED, ["b1.parquet"])
    labels.enter_matches(db, [replace(KEYED, matched=9, marks="labels/m")])
    keys = {"labels/k.sorted", "labels/k.rows", "labels/k.disputed"}
    assert labels.known_keys(db, "main") == keys | {"labels/b1.batch", "labels/m", "labels/l1.keys"}
    assert labels.known_keys(db) == labels.known_keys(db, "main") | {"labels/b0.batch"}
    labels.close(db, CLOSED, None, [], ["b1.parquet"])
    assert labels.known_keys(db, "main") == keys | {"labels/l1.keys"}
