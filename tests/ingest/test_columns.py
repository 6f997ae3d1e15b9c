"""A collector's open batch has no more columns than the limit, whatever its POSTs are like."""

import pytest

from collector.errors import TooManyColumns
from collector.ingest.columns import OpenColumns
from collector.store.journal import Waiting
from collector.store.records import Cut


@pytest.fixture
def waiting():
    return Waiting()


@pytest.fixture
def columns(waiting):
    return OpenColumns(waiting)


def cut(waiting, rows):
    waiting.cut(Cut(rows=rows, frames=rows, frame_rows=rows, frame_bytes=0, last=0, opened=0, sealed=0))


def post(columns, waiting, *names):
    columns.admit(names, 3)
    waiting.add(1, 10)


def test_names_that_would_be_too_many_are_refused_with_their_count_and_none_is_taken(columns, waiting):
    post(columns, waiting, "a", "b")
    with pytest.raises(
        TooManyColumns, match=r"open batch has 2 columns; the 4 new ones .* new are 'c', 'd', 'e';"
    ) as told:
        post(columns, waiting, "a", "c", "d", "e", "f")
    assert told.value.new_columns == ["c", "d", "e", "f"]
    post(columns, waiting, "a", "c")


def test_a_name_of_any_length_is_told_shortly(columns, waiting):
    with pytest.raises(TooManyColumns) as told:
        post(columns, waiting, "a", "b", "c", "x" * 10**6)
    assert len(str(told.value)) < 1000


def test_a_sealed_batch_leaves_room_for_others_in_the_next(columns, waiting):
    post(columns, waiting, "a", "b", "c")
    cut(waiting, 1)
    post(columns, waiting, "d", "e", "f")


def test_columns_of_rows_that_a_cut_left_behind_count_until_they_are_gone(columns, waiting):
    post(columns, waiting, "a")
    post(columns, waiting, "b")
    cut(waiting, 1)
    post(columns, waiting, "c")
    with pytest.raises(TooManyColumns):
        post(columns, waiting, "d", "e")
    cut(waiting, 1)
    with pytest.raises(TooManyColumns):  # the row of "c" is left, and nobody remembers which it is
        post(columns, waiting, "d", "e", "f")
    cut(waiting, 1)
    post(columns, waiting, "d", "e", "f")
