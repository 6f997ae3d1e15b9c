"""Changes become a message for each address, beside what fires still for it."""

import json
import sqlite3

import pytest

from collector.alerts.posting import post_changes
from collector.alerts.rules import Change
from collector.config import CollectorServiceConfig
from collector.config.alerts import address_key
from collector.store.records import AlertState
from collector.store.schema import upgrade
from collector.store.steps import alerts
from collector.store.steps.alerts import oldest_message, put_state

from .receivers import HOOK, rule

OTHER = "https://other.example/token"
TESTS, DRIFT, FAILED = rule("tests_failed", HOOK), rule("drift", HOOK, OTHER), rule("batch_failed", OTHER)
CONFIG = CollectorServiceConfig(alerts=(TESTS, DRIFT, FAILED))


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:")
    upgrade(connection)
    yield connection
    connection.close()


def state(alert, collector="main", *, is_firing=True):
    return AlertState(alert.key, collector, is_firing, 1, "b1", 5.0, 0.0, 5.0, {"summary": alert.when})


def posted(db, address):
    body = json.loads(oldest_message(db, address_key(address), 0).body)
    return [(alert["annotations"]["summary"], alert["status"]) for alert in body["alerts"]]


def test_each_address_is_told_of_its_own_rules_and_of_this_collector_only(db):
    for one in (state(FAILED), state(TESTS, "other"), state(TESTS, is_firing=False)):
        put_state(db, one)
    assert len(post_changes(db, [Change(DRIFT, state(DRIFT))], CONFIG, 6.0)) == 2
    assert posted(db, HOOK) == [("drift", "firing")]
    assert posted(db, OTHER) == [("drift", "firing"), ("batch_failed", "firing")]


def test_an_end_that_is_not_to_be_told_makes_no_message(db):
    quiet = rule("drift", HOOK, resolved=False)
    config = CollectorServiceConfig(alerts=(quiet,))
    assert post_changes(db, [Change(quiet, state(quiet, is_firing=False), is_over=True)], config, 6.0) == []


def test_what_had_to_go_is_counted(db, monkeypatch):
    monkeypatch.setattr(alerts, "MAX_WAITING", 1)
    counts = [[one.dropped for one in post_changes(db, [Change(TESTS, state(TESTS))], CONFIG, 6.0)] for _ in range(2)]
    assert counts == [[0], [1]]
