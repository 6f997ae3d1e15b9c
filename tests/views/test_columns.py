import pytest

from collector.views.columns import GAP, choose_columns
from collector.views.history import History

from .statuses import NOON, collector

ALL = 200
NARROW = 116  # room for all in their narrow form


def cell(status, title, width=ALL, number=0):
    """Return what stands under a title; ``number`` tells those without one apart."""
    columns = [column for column in choose_columns(width, NOON, None) if column.title == title]
    return columns[number].show(status)[0]


def titles(width, history=None):
    return [column.title for column in choose_columns(width, NOON, history)]


@pytest.mark.parametrize("width", range(0, 220, 3))
def test_they_never_take_more_than_there_is(width):
    assert sum(column.width + GAP for column in choose_columns(width, NOON, History())) <= width


def test_what_matters_least_is_left_out_first():
    assert titles(ALL)[-2:] == ["outbox", "failed"]
    narrow = titles(66, History())
    assert {"open", "rows/s", "last snapshot", "next batch"} <= set(narrow)
    assert not {"state", "outbox", "failed"} & set(narrow)


def test_without_a_history_there_are_no_rates():
    assert "rows/s" in titles(ALL, History())
    assert "rows/s" not in titles(ALL)


@pytest.mark.parametrize(
    ("fields", "bar", "text"),
    [
        ({}, "", ""),
        ({"rows_needed": 400, "rows_waiting": 200}, "━━━╌╌╌", "200/400"),
        ({"rows_needed": 20_000, "rows_waiting": 30_000}, "━━━━━━", "30k/20k"),
        ({"last_time": NOON - 20, "next_time": NOON + 40}, "━━╌╌╌╌", "in 40s"),
        ({"last_time": NOON - 60, "next_time": NOON - 1}, "━━━━━━", "due"),
        ({"last_time": NOON + 5, "next_time": NOON + 65}, "╌╌╌╌╌╌", "in 1m"),  # a wall clock that was set back
        ({"rows_needed": 9, "rows_waiting": 1, "last_time": NOON - 30, "next_time": NOON + 30}, "━━━╌╌╌", "in 30s"),
        ({"rows_needed": 9, "rows_waiting": 6, "last_time": NOON - 30, "next_time": NOON + 30}, "━━━━╌╌", "6/9"),
    ],
)
def test_what_the_trigger_waits_for(fields, bar, text):
    status = collector(**fields)
    assert cell(status, "", NARROW) == bar
    assert cell(status, "next batch", NARROW) == text


def test_where_it_is_wide_both_triggers_are_told():
    both = collector(rows_needed=9, rows_waiting=6, last_time=NOON - 30, next_time=NOON + 30)
    assert cell(both, "next batch") == "6/9 or in 30s"


DRIFT = {"has_drift": True, "drift_share": 0.7, "drifted_columns": 7, "columns": 10}
CALM = {"drift_share": 0.1, "drifted_columns": 1, "columns": 10}


@pytest.mark.parametrize(
    ("last", "short", "long"),
    [
        ({}, "-", "-"),
        ({"rows": 40}, "40 rows", "40 rows"),
        (DRIFT, "7/10 drifted", "7/10 drifted"),
        ({"tests": {"passed": 12, "failed": 0}}, "12 passed", "12 passed"),
        ({"tests": {"passed": 12, "failed": 1, "error": 1}}, "2/14 failed", "2/14 failed"),
        ({"tests": {"passed": 12}, **DRIFT}, "7/10 drifted", "12 passed, 7/10 drifted"),
        ({"tests": {"passed": 12}, **CALM}, "12 passed", "12 passed, 1/10 drifted"),
    ],
)
def test_what_the_last_snapshot_said(last, short, long):
    status = collector(last_snapshot=last)
    assert (cell(status, "last snapshot", NARROW), cell(status, "last snapshot")) == (short, long)


def test_how_old_the_last_snapshot_is():
    assert cell(collector(last_snapshot={"time": NOON - 90}), "age") == "1m"
    assert cell(collector(), "age") == ""
