import pytest

from collector.formats.frames import Frame
from collector.sources.chain import Chain, Committed
from collector.store.records import Fetched, Reading, Sealed
from collector.store.steps import batches, positions
from collector.store.steps.frames import INSERT_FRAME, frame_row

A, B = ("t", 0), ("t", 1)


def fetched(first, rows=1, partition=0, received=100.0):
    body = b"[" + b",".join([b'{"x":1}'] * rows) + b"]"
    return Fetched(Frame("json", body, rows), "t", partition, first, received)


def seal(db, rows=float("inf"), now=200.0):
    return batches.seal(db, "main", positions.name_batch, rows, now)


def test_what_was_never_read_has_no_position(db):
    assert positions.read_positions(db, "main") is None


def test_frames_and_the_position_after_them_are_kept_together(db):
    positions.keep_fetched(db, "main", [fetched(0, 3), fetched(5, 2, partition=1)], {A: 3, B: 7})
    assert positions.read_positions(db, "main") == Reading({A: 3, B: 7}, {A: 3, B: 7}, (), None)
    assert db.execute("SELECT seq, partition, first FROM fetched").fetchall() == [(1, 0, 0), (2, 1, 5)]


def test_a_batch_of_all_ends_where_reading_stands(db):
    positions.keep_fetched(db, "main", [], {A: 0, B: 5})
    positions.keep_fetched(db, "main", [fetched(0, 3), fetched(5, 2, partition=1)], {A: 4, B: 7})
    cut = seal(db)
    reading = positions.read_positions(db, "main")
    assert reading == Reading({A: 4, B: 7}, {A: 0, B: 5}, (Sealed(200.0, {A: 4, B: 7}),), None)
    assert cut.batch == positions.batch_id("main", {A: 0, B: 5}, {A: 4, B: 7}, 200.0)
    assert db.execute("SELECT COUNT(*) FROM fetched").fetchone() == (0,)


def test_a_batch_of_some_ends_where_the_next_frame_begins(db):
    positions.keep_fetched(db, "main", [], {A: 0, B: 0})
    positions.keep_fetched(db, "main", [fetched(0, 3), fetched(3, 2), fetched(0, 1, partition=1)], {A: 5, B: 1})
    seal(db, rows=3)
    reading = positions.read_positions(db, "main")
    assert reading.batches == (Sealed(200.0, {A: 3, B: 0}),)
    seal(db, now=300.0)
    reading = positions.read_positions(db, "main")
    assert reading.batches == (Sealed(200.0, {A: 3, B: 0}), Sealed(300.0, {A: 5, B: 1}))
    assert reading.base == {A: 0, B: 0}


@pytest.mark.parametrize("now", [200.0, 199.9, 100.0])
def test_batches_that_are_sealed_at_one_moment_or_while_a_clock_is_set_back_stay_apart_when_published(db, now):
    positions.keep_fetched(db, "main", [], {A: 0, B: 0})
    positions.keep_fetched(db, "main", [fetched(0, 3), fetched(0, 2, partition=1), fetched(3)], {A: 4, B: 2})
    names = [seal(db, rows, at).batch for rows, at in ((3, 200.0), (2, now), (1, now))]
    reading = positions.read_positions(db, "main")
    assert [one.sealed for one in reading.batches] == [200.0, 200.001, 200.002]
    assert [batch.sealed for batch in batches.select_batches(db, "main", ("sealed",))] == [200.0, 200.001, 200.002]
    chain = Chain.of(reading, "me")
    texts = chain.metadata(1)
    published = Chain.read({at: Committed(offset, texts[at]) for at, offset in chain.base.items()})
    assert published.batches == reading.batches
    assert published.ids("main") == names


def test_the_oldest_undelivered_batch_is_the_base(db):
    positions.keep_fetched(db, "main", [], {A: 0})
    for first in range(3):
        positions.keep_fetched(db, "main", [fetched(first)], {A: first + 1})
        seal(db, now=200.0 + first)
    first = batches.select_batches(db, "main", ("sealed",))[0]
    batches.finish(db, first, 300.0)
    reading = positions.read_positions(db, "main")
    assert reading.base == {A: 1}
    assert reading.batches == (Sealed(201.0, {A: 2}), Sealed(202.0, {A: 3}))


def test_what_had_no_event_is_left_behind_once_nothing_is_undelivered(db):
    """The end of a transaction that came last was lag for an hour."""
    bases = []

    def read(fetched, reached):
        positions.keep_fetched(db, "main", fetched, {A: reached})
        bases.append(positions.read_positions(db, "main").base[A])

    read([], 0)
    read([], 5)
    read([fetched(5)], 6)
    read([], 9)
    seal(db)
    read([], 12)
    batches.finish(db, batches.select_batches(db, "main", ("sealed",))[0], 300.0)
    read([], 12)
    assert bases == [0, 5, 5, 5, 5, 12]


def test_a_failed_batch_that_is_tried_again_stays_behind(db):
    """Its base would go back behind batches that were delivered meanwhile."""
    positions.keep_fetched(db, "main", [], {A: 0})
    positions.keep_fetched(db, "main", [fetched(0)], {A: 1})
    seal(db)
    db.execute("UPDATE batch SET state = 'failed'")
    assert positions.read_positions(db, "main").base == {A: 1}
    batches.retry(db, "main")
    assert positions.read_positions(db, "main") == Reading({A: 1}, {A: 1}, (), None)


def seal_each(db, count):
    """Seal so many batches, of one event each."""
    for first in range(count):
        positions.keep_fetched(db, "main", [fetched(first)], {A: first + 1})
        seal(db, now=200.0 + first)


def take_to(db, state, number):
    name = db.execute("SELECT id FROM batch ORDER BY rowid LIMIT 1 OFFSET ?", (number,)).fetchone()[0]
    db.execute("UPDATE batch SET state = ? WHERE id = ?", (state, name))
    return name


@pytest.mark.parametrize("state", ["failed", "delivered"])
def test_what_is_over_behind_an_undelivered_batch_stays_published(db, state):
    """Its events were taken for those of the next, and came twice: empty ones, for one, wait for no workspace."""
    positions.keep_fetched(db, "main", [], {A: 0})
    seal_each(db, 3)
    name = take_to(db, state, 1)
    reading = positions.read_positions(db, "main")
    assert (reading.base, [one.ends[A] for one in reading.batches]) == ({A: 0}, [1, 2, 3])
    assert Chain.of(reading, "me").ids("main")[1] == name
    take_to(db, "delivered", 0)
    reading = positions.read_positions(db, "main")
    assert (reading.base, [one.ends[A] for one in reading.batches]) == ({A: 2}, [3])


def test_a_failed_batch_that_is_tried_again_is_no_longer_read_again_and_so_not_dropped(db):
    """Who took the collector back dropped it: its events were gone, as the others had gone on."""
    positions.keep_fetched(db, "main", [], {A: 0})
    seal_each(db, 2)
    name = take_to(db, "failed", 0)
    assert positions.read_positions(db, "main").base == {A: 1}
    batches.retry(db, "main")
    _, ids, _ = positions.begin_at(db, "main", {A: 1})
    assert name not in ids
    assert [batch.id for batch in batches.select_batches(db, "main", ("sealed",))] == [name]
    assert positions.read_positions(db, "main") == Reading({A: 1}, {A: 1}, (), None)
    positions.keep_fetched(db, "main", [fetched(1)], {A: 2})
    assert seal(db, now=150.0).sealed == 150.0  # it isn't published beside it
    assert name not in positions.begin_at(db, "main", {A: 2})[1]
    take_to(db, "delivered", 0)
    positions.read_positions(db, "main")
    assert db.execute("SELECT COUNT(*) FROM batch_end").fetchone() == (0,)


def test_a_failed_batch_that_is_published_as_undelivered_comes_again(db):
    positions.keep_fetched(db, "main", [], {A: 0})
    seal_each(db, 1)
    name = take_to(db, "failed", 0)
    positions.read_positions(db, "main")
    batches.retry(db, "main")
    assert positions.begin_at(db, "main", {A: 0}, [name])[1] == [name]


def test_what_was_posted_before_events_were_fetched_is_a_batch_that_stays(db):
    """It was dropped as what is read again: it is nowhere else."""
    for posted in ("a", "b"):
        db.execute(INSERT_FRAME, frame_row("main", Frame("json", b"[1]", 2), 100.0))
        if posted == "a":
            batches.seal(db, "main", "a", float("inf"), 150.0)
    assert positions.begin_at(db, "main", {A: 0}, now=200.0) == ([], [], 0)
    positions.keep_fetched(db, "main", [fetched(0)], {A: 1})
    fetched_batch = seal(db, now=300.0).batch
    assert positions.begin_at(db, "main", {A: 0}, now=400.0)[1] == [fetched_batch]
    assert [(batch.rows, batch.sealed) for batch in batches.select_batches(db, "main", ("sealed",))] == [
        (2, 150.0),
        (2, 200.0),
    ]
    assert positions.read_positions(db, "main").batches == ()


def test_beginning_again_drops_what_is_undelivered_and_keeps_what_was_delivered_or_failed(db):
    positions.keep_fetched(db, "main", [], {A: 0})
    states = ("delivered", "failed", "sealed", "evaluated")
    for first, state in enumerate(states):
        positions.keep_fetched(db, "main", [fetched(first)], {A: first + 1})
        db.execute("UPDATE batch SET state = ? WHERE id = ?", (state, seal(db, now=200.0 + first).batch))
    positions.keep_fetched(db, "main", [fetched(4)], {A: 5})
    paths, ids, size = positions.begin_at(db, "main", {A: 2, B: 0})
    assert (paths, len(ids), size) == ([], 2, 3 * len(b'[{"x":1}]'))
    assert [state for (state,) in db.execute("SELECT state FROM batch ORDER BY rowid")] == ["delivered", "failed"]
    assert db.execute("SELECT COUNT(*) FROM frame").fetchone() == (2,)
    assert positions.read_positions(db, "main") == Reading({A: 2, B: 0}, {A: 2, B: 0}, (), None)


def test_a_batch_that_is_published_as_undelivered_comes_again_though_it_was_delivered_here(db):
    """Its delivery was never published; another had the collector since. It could not be sealed under its id again."""
    positions.keep_fetched(db, "main", [], {A: 0})
    positions.keep_fetched(db, "main", [fetched(0)], {A: 1})
    first = seal(db).batch
    db.execute("UPDATE batch SET state = 'delivered'")
    paths, ids, size = positions.begin_at(db, "main", {A: 0}, [first, "another"])
    assert (paths, ids, size) == ([], [first], 0)
    positions.keep_fetched(db, "main", [fetched(0)], {A: 1})
    assert seal(db).batch == first


@pytest.mark.parametrize(
    ("collector", "ends", "sealed"), [("other", {A: 3}, 1.0), ("main", {A: 4}, 1.0), ("main", {A: 3}, 1.001)]
)
def test_another_batch_has_another_id(collector, ends, sealed):
    assert positions.batch_id(collector, {A: 1}, ends, sealed) != positions.batch_id("main", {A: 1}, {A: 3}, 1.0)


def test_a_partition_without_rows_changes_no_id():
    alone = positions.batch_id("main", {A: 1}, {A: 3}, 1.0)
    assert positions.batch_id("main", {A: 1, B: 0}, {A: 3, B: 0}, 1.0) == alone
    assert positions.batch_id("main", {A: 1}, {A: 3, B: 0}, 1.0) == alone
