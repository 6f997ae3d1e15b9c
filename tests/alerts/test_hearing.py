"""What is heard of a batch is written down whole or not at all, and never stands in the batch's way."""

import sqlite3
from dataclasses import replace

import pytest
from worlds import outcome_of

from collector.alerts import hearing
from collector.alerts.hearing import Hearing
from collector.config import CollectorServiceConfig
from collector.store.records import Batch
from collector.store.schema import upgrade
from collector.store.steps.alerts import count_messages, read_states

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
