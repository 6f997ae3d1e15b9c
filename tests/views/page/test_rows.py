import pytest

from collector.views.history import History
from collector.views.page.rows import cells_of, key_of, matching, row_of

from ..statuses import MINUTE, NOON, collector, later, service
from .pasts import past, value_of

CALM = row_of(collector("calm"), [past(tests=3)])
DRIFTED = row_of(collector("drifted"), [past(drift=[("age", 0.5)])])
FAILING = row_of(collector("failing"), [past(tests=3, failed=["a"])])
DOWN = row_of(collector("down", "undelivered", outbox=1, outbox_since=NOON, last_error="refused"), [])
ALL = {row.id: row for row in (CALM, DRIFTED, FAILING, DOWN)}


def test_those_that_need_looking_after_come_first():
    assert [row.id for row in matching(ALL, "all", "")] == ["down", "failing", "drifted", "calm"]


@pytest.mark.parametrize(
    ("show", "found"),
    [("trouble", ["down"]), ("tests", ["failing"]), ("drift", ["drifted"]), ("well", ["calm"])],
)
def test_filters_tell_them_apart(show, found):
    assert [row.id for row in matching(ALL, show, "")] == found


def test_they_are_found_by_a_part_of_their_ids():
    assert [row.id for row in matching(ALL, "all", "LM")] == ["calm"]


def test_a_collector_whose_tests_fail_is_not_calm():
    assert (CALM.sign, CALM.tone) == ("●", "good")
    assert (FAILING.sign, FAILING.tone) == ("▲", "bad")
    assert (DRIFTED.sign, DRIFTED.tone) == ("▲", "warn")


def test_it_says_since_when():
    pasts = [past(minutes, tests=1, failed=["a"]) for minutes in (4, 14, 24)] + [past(34, tests=1)]
    assert [concern.since for concern in row_of(collector(), pasts).concerns] == [NOON - 24 * MINUTE]


def test_why_batches_failed_is_said_with_them():
    [concern] = row_of(collector(failed=2, last_error="ValueError: bad"), []).concerns
    assert (concern.what, concern.why) == ("2 batches failed", "ValueError: bad")
    assert "retry" in concern.todo


def test_two_series_of_the_last_snapshots_are_drawn():
    pasts = [past(at, drift=[("age", 0.5)], values=[value_of(at), value_of(at, "F1")]) for at in range(9)]
    assert [plot.series.name for plot in row_of(collector(), pasts).sparks] == ["drift share", "Accuracy"]
    assert row_of(collector(), pasts[:1]).sparks == ()  # one point is no line


def test_what_changes_each_second_is_apart():
    history, status = History(), service(collector(rows_waiting=250, rows_needed=1000, next_time=NOON + 5 * MINUTE))
    assert cells_of(status.collectors[0], NOON, history)["rate"] == ""
    history.note(status)
    history.note(later(status, 10, main=50))
    cells = cells_of(status.collectors[0], NOON, history)
    assert cells == {"open": "250 / 1000", "due": "in 5m", "share": "0.25", "rate": "5"}


def test_progress_is_that_of_rows_or_of_time_whichever_is_nearer():
    status = collector(rows_waiting=1, rows_needed=1000, last_time=NOON - MINUTE, next_time=NOON + MINUTE)
    assert cells_of(status, NOON, History())["share"] == "0.50"


def test_keys_are_plain_and_differ():
    keys = {key_of(one) for one in ("a", "b", '<img src="x">', "é", " ")}
    assert len(keys) == 5
    assert all(key.replace("-", "").isalnum() and key.isascii() for key in keys)
