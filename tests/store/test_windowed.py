"""To which window of event time each row belongs."""

import pyarrow as pa
import pytest

from collector.store.windowed import Windows, shares_of

HOUR = 3600
NOW = 1_700_000_000 - 1_700_000_000 % HOUR + 600  # ten minutes past an hour


def parted(moments, *, open_from=0, came=None, column="ts"):
    table = pa.table({"n": range(len(moments)), "ts": [None if one is None else NOW + one for one in moments]})
    windows = Windows(column, HOUR, "UTC", NOW - 600 + open_from)
    shares = shares_of(table, came or [(float(NOW), len(moments))], windows)
    return [((one.start - NOW + 600) // HOUR, one.late, one.table["n"].to_pylist()) for one in shares]


def test_rows_go_to_the_window_of_their_time_in_their_order():
    assert parted([HOUR, 0, 10, HOUR + 5, 3 * HOUR]) == [(0, 0, [1, 2]), (1, 0, [0, 3]), (3, 0, [4])]


def test_late_rows_go_to_the_first_open_window():
    assert parted([0, -HOUR, -90 * 86_400]) == [(0, 2, [0, 1, 2])]


def test_a_row_of_the_first_open_window_is_not_late_if_windows_open_amid_it():
    """As after another trigger, or with another period."""
    assert parted([-300, 0], open_from=900) == [(0, 0, [0, 1])]


def test_what_has_no_time_counts_as_of_its_own_arrival():
    came = [(float(NOW), 2), (float(NOW + HOUR), 2)]
    tomorrow = 86_400 + 1
    assert parted([None, tomorrow, None, tomorrow], came=came) == [(0, 0, [0, 1]), (1, 0, [2]), (24, 0, [3])]
    assert parted([0, 5 * HOUR], column="nothing") == [(0, 0, [0, 1])]


@pytest.mark.parametrize("came", [[(float(NOW), 1)], [(float(NOW), 9)]])
def test_a_count_of_rows_that_was_wrong_loses_none(came):
    assert parted([0, None, HOUR], came=came) == [(0, 0, [0, 1]), (1, 0, [2])]
