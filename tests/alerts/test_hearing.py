"""What is heard of a batch is written down whole or not at all, and never stands in the batch's way."""

import json
import sqlite3
from dataclasses import replace

import pytest
from worlds import outcome_of

from collector.alerts import hearing
from collector.alerts.hearing import Hearing
from collector.config import CollectorServiceConfig
from collector.store.records import Batch, SegmentMade, Verdict
from collector.store.schema import upgrade
from collector.store.steps.alerts import count_messages, read_states
from collector.store.steps.snapshots import insert_segments

from .receivers import HOOK, rule

SEALED = Batch("b1", "main", "sealed", 1, 0, 1)
EVALUATED = replace(SEALED, state="evaluated", outcome=outcome_of([1]) | {"dataset_drift": True})


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    upgrade(connection)
    connection.execute("BEGIN")
    yield connection
    connection.close()


@pytest.fixture
def told():
    return []


@pytest.fixture
def listener(told):
    config = CollectorServiceConfig(alerts=(rule("drift", HOOK), rule("no_events", HOOK, for_=60)))
    return Hearing(lambda: config, lambda changes, posted: told.append((changes, posted)))


def test_a_change_is_in_the_journal_before_it_is_told(db, listener, told):
    heard = listener.hear(db, SEALED, EVALUATED, 5.0)
    assert ([state.since for state in read_states(db)], list(count_messages(db).values()), told) == ([5.0], [1], [])
    listener.heard(heard)
    [([change], [posted])] = told
    assert (change.state.collector, posted.dropped) == ("main", 0)


def test_what_says_nothing_is_not_written_down(db, listener):
    assert listener.hear(db, SEALED, SEALED, 5.0) == ([], [])
    assert read_states(db) == []


def test_a_mistake_of_ours_leaves_nothing_half_done(db, listener, monkeypatch):
    monkeypatch.setattr(hearing, "post_changes", lambda *_: 1 / 0)
    assert listener.hear(db, SEALED, EVALUATED, 5.0) == ([], [])
    assert (read_states(db), db.in_transaction) == ([], True)


def test_what_the_disk_refuses_is_refused(db, listener):
    db.execute("DROP TABLE alert_message")
    with pytest.raises(sqlite3.Error):
        listener.hear(db, SEALED, EVALUATED, 5.0)


# Segments


def made(name, number=1, *, error="", **outcome):
    """Return what came of a segment, as the journal is told."""
    verdict = Verdict(None, None, False, outcome_of([1]) | {"dataset_drift": False} | outcome)
    return SegmentMade(name, number, None if error else verdict, error)


def hear(db, listener, number, *segments, skipped=()):
    """Hear of a batch with segments, at the time ``number``; return the alerts that are told."""
    sealed = replace(SEALED, id=f"b{number}")
    kept = [{"segment": one.name} for one in segments]
    calm = outcome_of([1]) | {"dataset_drift": False, "segments": kept, "skipped_segments": dict.fromkeys(skipped, 1)}
    insert_segments(db, sealed, segments, float(number))
    changes, _ = listener.hear(db, sealed, replace(EVALUATED, id=sealed.id, outcome=calm), float(number))
    return [(one.state.segment, one.is_over, one.state.said["summary"]) for one in changes]


def test_a_rule_stands_with_each_segment_by_itself_and_the_message_names_it(db, listener):
    drifted = "main, segment 'de': 1 of 4 columns drifted: age 0.31 > 0.1"
    assert hear(db, listener, 1, made("de", dataset_drift=True), made("fr")) == [("de", False, drifted)]
    [body] = [json.loads(body) for (body,) in db.execute("SELECT body FROM alert_message")]
    [alert] = body["alerts"]
    assert (alert["labels"]["segment"], alert["annotations"]["segment"]) == ("de", "de")
    told = hear(db, listener, 2, made("de", dataset_drift=True), made("fr", dataset_drift=True))
    assert [(name, is_over) for name, is_over, _ in told] == [("fr", False)]
    body = json.loads(db.execute("SELECT body FROM alert_message ORDER BY seq DESC").fetchone()[0])
    assert [one["labels"]["segment"] for one in body["alerts"]] == ["fr", "de"], "what still fires is told beside it"
    assert len({one["fingerprint"] for one in body["alerts"]}) == 2
    assert [told[:2] for told in hear(db, listener, 3, made("de"), made("fr", dataset_drift=True))] == [("de", True)]


def test_a_segment_that_is_too_small_for_once_stays_as_it_was_and_one_that_is_none_any_more_ends(db, listener):
    hear(db, listener, 1, made("de", dataset_drift=True), made("fr"))
    assert hear(db, listener, 2, made("fr"), skipped=["de"]) == []
    assert hear(db, listener, 3) == [], "a batch that couldn't be divided says nothing"
    assert hear(db, listener, 4, made("fr")) == [("de", True, "main, segment 'de': it isn't a segment any more")]


def test_a_segment_whose_report_failed_is_told_by_the_rule_on_what_could_not_be_computed(db, told):
    config = CollectorServiceConfig(alerts=(rule("metric_failed", HOOK), rule("batch_failed", HOOK)))
    listener = Hearing(lambda: config, lambda *_: None)
    assert hear(db, listener, 1, made("de", error="no")) == [("de", False, "main, segment 'de': its report failed: no")]


def test_a_report_on_labels_that_is_good_ends_nothing_that_the_main_one_told(db, listener):
    """It did, and the next batch told it anew."""
    on_labels = replace(SEALED, id="l1", report="labels", source="b1")
    good = replace(on_labels, state="evaluated", outcome=outcome_of([1]) | {"dataset_drift": False})
    listener.hear(db, SEALED, EVALUATED, 5.0)
    assert listener.hear(db, on_labels, good, 6.0) == ([], [])
    bad = replace(good, id="l2", outcome=EVALUATED.outcome)
    [change], _ = listener.hear(db, replace(on_labels, id="l2"), bad, 7.0)
    assert change.state.said["summary"].startswith("main, report 'labels': ")
    [(body,)] = db.execute("SELECT body FROM alert_message ORDER BY seq DESC LIMIT 1")
    assert [one["labels"].get("report") for one in json.loads(body)["alerts"]] == ["labels", None]
