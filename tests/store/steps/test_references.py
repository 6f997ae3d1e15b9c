import pytest

from collector.config.reference_from import ReferenceFrom
from collector.store.records import Batch, MadeReference
from collector.store.steps.references import enter_made, find_made, find_parts, known_paths, needed_batches

PREVIOUS = ReferenceFrom(previous=2)
FIRST = ReferenceFrom(first_rows=25)


@pytest.fixture
def enter(db):
    """Enter batches of ten rows, each of two parts, in their order: ids with "-" are of the past, "?" fails."""

    def run(*ids, report="main", start=None):
        for id_ in ids:
            state = "failed" if id_.endswith("?") else "sealed" if id_.endswith("!") else "delivered"
            insert = (
                "INSERT INTO batch(id, collector, state, rows, opened, sealed, report, is_backfill, start) "
                "VALUES (?, 'main', ?, 10, 1, 2, ?, ?, ?)"
            )
            db.execute(insert, (id_, state, report, "-" in id_, float(id_[1:]) if "-" in id_ else start))
            for part in "ab":
                db.execute("INSERT INTO part VALUES (?, 'main', ?, 5, 50, 1, 1, NULL)", (f"{id_}{part}", id_))

    return run


def parts_of(db, id_, rule, report="main"):
    found = find_parts(db, Batch(id_, "main", "sealed", 10, 1.0, 2.0, report=report), rule)
    return {batch: [part.path for part in parts] for batch, parts in found.items()}


def test_the_previous_are_those_that_were_sealed_before_and_have_a_report(db, enter):
    enter("a", "b", "c?", "d", "e!")
    assert parts_of(db, "e!", PREVIOUS) == {"b": ["ba", "bb"], "d": ["da", "db"]}
    assert parts_of(db, "d", PREVIOUS) == {"a": ["aa", "ab"], "b": ["ba", "bb"]}
    assert parts_of(db, "a", PREVIOUS) == {}


def test_the_past_comes_before_the_rest_and_by_its_windows(db, enter):
    enter("a", "x-3", "x-1", "x-2", "b!")
    assert list(parts_of(db, "a", PREVIOUS)) == ["x-2", "x-1"]  # of the starts -3, -2 and -1
    assert list(parts_of(db, "b!", PREVIOUS)) == ["x-1", "a"]
    assert list(parts_of(db, "x-1", PREVIOUS)) == ["x-3", "x-2"]


def test_each_report_has_batches_of_its_own(db, enter):
    enter("a", "b")
    enter("la", "lb", report="labels")
    assert list(parts_of(db, "lb", PREVIOUS, "labels")) == ["la"]


def test_of_the_first_rows_there_are_as_many_parts_as_it_takes(db, enter):
    enter("a?", "b", "c", "d", "e", "f!")
    assert parts_of(db, "f!", FIRST) == {"b": ["ba", "bb"], "c": ["ca", "cb"], "d": ["da"]}
    assert list(parts_of(db, "c", FIRST)) == ["b"]


def test_what_the_undelivered_and_the_next_need_is_kept(db, enter):
    enter("a", "b", "c?", "d", "e", "f", "g!", "h")
    assert needed_batches(db, "main", PREVIOUS) == {"a", "b", "e", "f", "h"}
    assert needed_batches(db, "main", FIRST) == {"a", "b", "d"}


def test_the_newest_of_the_past_are_kept_too_as_more_of_it_may_come(db, enter):
    enter("x-4", "x-3", "x-2", "a", "b", "c")
    assert needed_batches(db, "main", PREVIOUS) == {"x-3", "x-2", "b", "c"}


def test_once_the_first_rows_are_kept_no_batch_is_needed(db, enter):
    enter("a", "b", "c")
    enter_made(db, "main", "main", MadeReference("p", FIRST.words, 25, 1.0, is_kept=True))
    assert needed_batches(db, "main", FIRST) == set()
    assert needed_batches(db, "main", ReferenceFrom(first_rows=5)) == {"a"}


def test_one_file_is_entered_in_the_place_of_another(db):
    one, two = (MadeReference(f"references/{name}", "the first 5 rows", 5, 1.0) for name in "ab")
    assert enter_made(db, "main", "main", one) is None
    assert enter_made(db, "main", "labels", one) is None
    assert enter_made(db, "main", "main", two) == one
    assert find_made(db, "main", "main") == two
    assert known_paths(db, "main") == {one.path, two.path} == known_paths(db, None)
    assert known_paths(db, "other") == set()
    assert enter_made(db, "main", "main", None) == two
    assert find_made(db, "main", "main") is None


def test_what_a_recovered_journal_says_of_none_is_none(db):
    db.execute("INSERT INTO reference VALUES ('main', 'main', '{\"path\":')")
    assert (find_made(db, "main", "main"), known_paths(db, None)) == (None, set())
