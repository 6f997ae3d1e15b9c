"""A collector's open batch has no more columns than the limit, whatever its POSTs are like."""

import pytest

from collector.errors import TooManyColumns
from collector.ingest.columns import OpenColumns
from collector.store.journal import Waiting
from collector.store.records import Cut, NewColumns


@pytest.fixture
def waiting():
    return Waiting()


@pytest.fixture
def columns(waiting):
    return OpenColumns(waiting, None)


def cut(waiting, rows):
    waiting.cut(Cut(rows=rows, frames=rows, frame_rows=rows, frame_bytes=0, last=0, opened=0, sealed=0))


def post(columns, waiting, *names):
    """Have a row with these names kept; returns what is kept of them."""
    new = columns.admit(names, 3)
    if new:
        columns.mark_kept(names, new)
    waiting.add(1, 10)
    return new


def restarted(waiting, *kept):
    """Return the columns as a restart knows them by what was kept."""
    names = b"".join(new.names for new in kept)
    return OpenColumns(Waiting(rows=waiting.rows), NewColumns(kept[-1].cut, kept[0].oldest, names))


def test_names_that_would_be_too_many_are_refused_with_their_count_and_none_is_taken(columns, waiting):
    post(columns, waiting, "a", "b")
    with pytest.raises(
        TooManyColumns, match=r"open batch has 2 columns; with the 4 new ones .* \('c', 'd', 'e'\)"
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


def test_names_are_to_be_kept_once_after_each_cut(columns, waiting):
    assert post(columns, waiting, "a").cut == 0
    assert post(columns, waiting, "a") is None
    cut(waiting, 1)
    first, second = post(columns, waiting, "a", "b"), post(columns, waiting, "b", "c")
    assert (first.cut, len(first.names), second.cut, len(second.names)) == (1, 16, 1, 8)


def test_names_that_the_disk_did_not_take_are_to_be_kept_when_they_come_again(columns):
    assert columns.admit(["a"], 3).names == columns.admit(["a"], 3).names


def test_names_that_were_kept_before_a_cut_are_to_be_kept_again_after_it(columns, waiting):
    new = columns.admit(["a"], 3)
    waiting.add(1, 10)
    cut(waiting, 1)
    post(columns, waiting, "b")
    columns.mark_kept(["a"], new)  # its commit took so long
    assert columns.admit(["a"], 3).names == new.names


def test_a_restart_counts_on_with_the_columns_of_rows_that_wait(columns, waiting):
    again = restarted(waiting, post(columns, waiting, "a"), post(columns, waiting, "b", "\ud800"))
    with pytest.raises(TooManyColumns, match=r"open batch has 3 columns; with the 1 new ones .* \('c'\)"):
        again.admit(["a", "c"], 3)
    assert again.admit(["a", "b", "\ud800"], 3).cut == 1


def test_a_restart_forgets_the_columns_of_rows_that_were_sealed(columns, waiting):
    kept = post(columns, waiting, "a", "b", "c")
    cut(waiting, 1)
    assert restarted(waiting, kept).admit(["d", "e", "f"], 3).oldest == 0


def test_what_is_kept_goes_with_its_rows(columns, waiting):
    """Names stay for one cut more if rows are left behind it, since they may be theirs."""
    assert post(columns, waiting, "a").oldest == 0
    post(columns, waiting, "a")
    cut(waiting, 1)
    assert post(columns, waiting, "b").oldest == 0
    cut(waiting, 1)
    assert post(columns, waiting, "b").oldest == 1
    cut(waiting, 2)
    assert post(columns, waiting, "b").oldest == 3
