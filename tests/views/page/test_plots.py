import math

import pytest

from collector.views.page.plots import Point, Series, plot


def series(*values, **fields):
    return Series("age", tuple(Point(at, value) for at, value in enumerate(values)), **fields)


def test_a_series_goes_from_left_to_right_and_the_largest_is_on_top():
    drawn = plot(series(1, 3, 2), 104, 44, margin=2)
    assert [(mark.x, mark.y) for mark in drawn.marks] == [(2, 42), (52, 2), (102, 22)]
    assert drawn.path == "M2 42.0L52 2.0L102 22.0"
    assert (drawn.low, drawn.high, drawn.last) == ("1", "3", "2")


def test_shares_have_the_whole_height():
    drawn = plot(series(0.5, 0.25, is_share=True), 104, 44, margin=2)
    assert (drawn.low, drawn.high, [mark.y for mark in drawn.marks]) == ("0%", "100%", [22, 32])


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0, 1e300])
def test_a_flat_line_lies_in_the_middle(value):
    assert [mark.y for mark in plot(series(value, value), 100, 40).marks] == [20, 20]


def test_what_is_no_number_is_left_out():
    assert len(plot(series(1.0, math.nan, math.inf, 2.0), 100, 40).marks) == 2
    assert plot(series(math.nan), 100, 40) is None
    assert plot(series(), 100, 40) is None


def test_who_cannot_see_it_is_told():
    assert plot(series(0.25, 0.75, is_share=True), 100, 40).summary == "age, last 2: now 75%, between 25% and 75%"
