import pytest

from collector.status.findings import has_drift
from collector.store.records import Batch, SegmentMade, Verdict
from collector.store.steps import snapshots

KEPT = 5
CALM, BAD = (Verdict(0, 0.1, is_bad, {"told": is_bad}) for is_bad in (False, True))


def make(db, number, verdict=CALM, collector="main", kept=KEPT):
    """Have a snapshot made at the time 100 + ``number``."""
    batch = Batch(f"{collector}-{number}", collector, "sealed", number, 1.0, 2.0)
    snapshots.insert_made(db, batch, verdict, 100.0 + number, kept)
    return batch


def fail(db, number):
    batch = Batch(f"main-{number}", "main", "sealed", number, 1.0, 2.0)
    snapshots.insert_failed(db, batch, "no", 100.0 + number, KEPT)


def told(db, what, **others):
    return [getattr(one, what) for one in snapshots.select_snapshots(db, "main", 99, **others)]


def test_a_snapshot_is_what_was_made_of_the_batch(db):
    make(db, 3, BAD)
    [one] = snapshots.select_snapshots(db, "main", 1)
    assert (one.batch, one.report, one.segment, one.state, one.rows) == ("main-3", "main", "", "evaluated", 3)
    assert (one.opened, one.sealed, one.made, one.delivered) == (1.0, 2.0, 103.0, None)
    assert (one.bad_tests, one.drift_share, one.outcome, one.error) == (0, 0.1, {"told": True}, "")


def test_the_last_few_of_each_collector_are_kept_and_all_are_counted(db):
    for number in range(KEPT + 2):
        make(db, number)
    make(db, 0, collector="other")
    assert told(db, "rows") == [6, 5, 4, 3, 2]
    assert told(db, "number") == [7, 6, 5, 4, 3]
    assert [one.number for one in snapshots.select_snapshots(db, "other", 9)] == [1]


def test_since_when_it_is_bad_is_told_until_it_is_calm(db):
    for number, verdict in enumerate([CALM, BAD, BAD, CALM, BAD]):
        make(db, number, verdict)
    assert told(db, "bad_since") == [104.0, None, 101.0, 101.0, None]


def test_a_report_that_failed_is_no_snapshot_and_changes_nothing_of_what_is_bad(db):
    make(db, 1, BAD)
    fail(db, 2)
    make(db, 3, BAD)
    assert told(db, "state") == ["evaluated", "failed", "evaluated"]
    assert told(db, "number") == [2, 1, 1]
    assert told(db, "bad_since") == [101.0, 101.0, 101.0]
    assert told(db, "error", with_failed=False) == ["", ""]


def test_a_batch_that_is_evaluated_again_has_one_snapshot_and_is_the_last(db):
    fail(db, 1)
    make(db, 2)
    make(db, 1)
    assert told(db, "batch") == ["main-1", "main-2"]
    assert told(db, "state") == ["evaluated", "evaluated"]


@pytest.mark.parametrize("last", ["delivered", "rejected"])
def test_what_the_workspace_did_with_it_is_of_that_snapshot_alone(db, last):
    for number in (1, 2):
        make(db, number)
    if last == "delivered":
        snapshots.update_delivered(db, "main-1", 200.0)
    else:
        snapshots.update_rejected(db, "main-1", "never")
    assert told(db, "state") == ["evaluated", last]
    assert told(db, "delivered") == [None, 200.0 if last == "delivered" else None]
    assert told(db, "error") == ["", "" if last == "delivered" else "never"]


def test_snapshots_of_other_reports_and_segments_lie_beside_and_are_not_counted(db):
    make(db, 1)
    for report, segment in (("labels", ""), ("main", "DE")):
        columns = "collector, batch, report, segment, state, rows, opened, sealed, made, number"
        row = ("main", "main-1", report, segment, "evaluated", 1, 1, 2, 3, 77)
        db.execute(f"INSERT INTO snapshot({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    make(db, 2)
    assert told(db, "number") == [2, 1]


def test_a_short_look_back_has_the_newest_whole_and_the_first_values_of_the_others(db):
    for number in range(4):
        values = [{"value": number}, {"value": 1}, {"value": 2}, {"value": 3}]
        told_of = {
            "tests": {"passed": 1},
            "dataset_drift": True,
            "findings": {"values": values, "drift": [1]},
            "more": 1,
        }
        make(db, number, Verdict(0, 0.1, False, told_of))
    fail(db, 9)
    newest, *others = snapshots.select_brief(db, "main", 3)
    assert newest.outcome == told_of
    assert [one.rows for one in others] == [2, 1]
    assert others[0].outcome == {
        "drift_share": 0.1,
        "tests": {"passed": 1},
        "failed_metrics": None,
        "drifted_columns": None,
        "columns": None,
        "dataset_drift": 1,
        "findings": {"values": [{"value": 2}, {"value": 1}, {"value": 2}]},
        "exported": [None, None],
    }


def test_a_short_look_back_knows_which_snapshots_drifted_where_no_preset_says_so(db):
    """All but the newest were taken for calm, so that the page said of a drift of days that it is a minute old."""
    for number, is_drifted in enumerate([False, True, True]):
        drift = [{"column": "age", "is_drifted": is_drifted}, {"column": "plan", "is_drifted": False}]
        make(db, number, Verdict(0, None, is_drifted, {"findings": {"drift": drift}}))
    assert [has_drift(one.outcome) for one in snapshots.select_brief(db, "main", 3)] == [True, True, False]


def test_each_report_of_a_collector_has_snapshots_of_its_own(db):
    make(db, 1, BAD)
    snapshots.insert_made(db, Batch("l-1", "main", "sealed", 1, 1.0, 2.0, report="labels"), CALM, 200.0, KEPT)
    make(db, 2, BAD)
    assert told(db, "number") == [2, 1]
    assert told(db, "bad_since") == [101.0, 101.0]
    kept = db.execute("SELECT number, bad_since FROM snapshot WHERE report = 'labels'").fetchall()
    assert kept == [(1, None)]


def test_a_snapshot_is_of_the_window_of_its_events_where_that_is_known(db):
    batch = Batch("b", "main", "sealed", 1, 100.0, 200.0, start=10.0, end=20.0)
    snapshots.insert_made(db, batch, CALM, 300.0, KEPT)
    assert (told(db, "opened"), told(db, "sealed")) == ([10.0], [20.0])


# Segments


def segments(db, number, *made):
    batch = Batch(f"main-{number}", "main", "sealed", number, 1.0, 2.0)
    snapshots.insert_segments(db, batch, made, 100.0 + number)


def of_segment(db, name, what):
    return [getattr(one, what) for one in snapshots.select_snapshots(db, "main", 99, segment=name)]


def test_each_segment_has_a_series_of_its_own_beside_that_of_the_whole(db):
    for number, verdict in enumerate([BAD, BAD, CALM]):
        make(db, number)
        segments(db, number, SegmentMade("de", 10, verdict), SegmentMade("fr", 5, None, "no"))
    assert (of_segment(db, "de", "bad_since"), of_segment(db, "de", "number")) == ([None, 100.0, 100.0], [3, 2, 1])
    assert (of_segment(db, "fr", "state"), of_segment(db, "fr", "error")) == (["failed"] * 3, ["no"] * 3)
    assert (of_segment(db, "de", "rows"), told(db, "rows")) == ([10] * 3, [2, 1, 0])
    assert [one.segment for one in snapshots.select_segments(db, "main-1")] == ["de", "fr"]


def test_what_came_of_segments_goes_with_their_batch(db):
    for number in range(KEPT + 2):
        make(db, number)
        segments(db, number, SegmentMade("de" if number % 2 else "fr", 10, CALM))
    kept = {one for name in ("de", "fr") for one in of_segment(db, name, "batch")}
    assert kept == set(told(db, "batch"))


def test_a_batch_that_is_evaluated_again_has_the_segments_that_it_has_then(db):
    make(db, 1)
    segments(db, 1, SegmentMade("de", 10, CALM), SegmentMade("fr", 10, CALM))
    segments(db, 1, SegmentMade("de", 11, CALM))
    assert (of_segment(db, "de", "rows"), of_segment(db, "fr", "rows")) == ([11], [])


def test_each_snapshot_of_a_batch_is_delivered_by_itself(db):
    make(db, 1)
    segments(db, 1, SegmentMade("de", 10, CALM), SegmentMade("fr", 10, CALM), SegmentMade("it", 5, None, "no"))
    snapshots.update_segment(db, "main-1", "", 200.0, "")
    snapshots.update_segment(db, "main-1", "de", 201.0, "400")
    assert (told(db, "state"), of_segment(db, "de", "error")) == (["delivered"], ["400"])
    snapshots.update_delivered(db, "main-1", 300.0)
    found = [of_segment(db, name, "state") for name in ("de", "fr", "it")]
    assert (found, told(db, "delivered")) == ([["rejected"], ["delivered"], ["failed"]], [200.0])


def test_a_batch_without_a_row_to_report_is_no_snapshot_and_changes_nothing_of_what_is_bad(db):
    make(db, 1, BAD)
    snapshots.insert_empty(db, Batch("main-2", "main", "sealed", 2, 1.0, 2.0), 102.0, KEPT)
    make(db, 3, BAD)
    assert told(db, "state") == ["evaluated", "empty", "evaluated"]
    assert (told(db, "bad_since"), told(db, "number")) == ([101.0] * 3, [2, 1, 1])
    assert [one.batch for one in snapshots.select_snapshots(db, "main", 9, with_failed=False)] == ["main-3", "main-1"]
