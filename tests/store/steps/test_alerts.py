"""How rules stand, and messages that wait."""

import sqlite3

import pytest

from collector.store.records import AlertState, Message
from collector.store.schema import upgrade
from collector.store.steps import alerts

FIRING = AlertState("rule", "main", True, 2, "batch-2", 5.0, 1.5, 6.0, {"summary": "x"})


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:")
    upgrade(connection)
    yield connection
    connection.close()


def test_a_state_is_read_as_it_was_put_and_one_that_is_not_there_is_calm(db):
    alerts.put_state(db, AlertState("rule", "main"))
    alerts.put_state(db, FIRING)
    assert alerts.read_states(db) == [FIRING] == [alerts.read_state(db, "rule", "main")]
    assert alerts.read_state(db, "rule", "other") == AlertState("rule", "other")


def test_rules_and_addresses_that_are_gone_are_let_go_of(db):
    for rule in ("a", "b"):
        alerts.put_state(db, AlertState(rule, "main"))
        alerts.post(db, rule, "{}", 0.0)
    alerts.drop_rules(db, {"a"})
    assert alerts.drop_addresses(db, {"b"}) == 1
    assert [state.rule for state in alerts.read_states(db)] == ["a"]
    assert alerts.count_messages(db) == {"b": 1}


def test_messages_come_in_their_order_by_address(db):
    for number in range(3):
        alerts.post(db, "a", f"{number}", 0.0)
        alerts.post(db, "b", f"{number}", 0.0)
    assert alerts.oldest_message(db, "a", 0) == Message(1, "0", 3)
    assert alerts.oldest_message(db, "a", 1) == Message(3, "1", 2)
    alerts.drop_messages(db, "a", 3)
    assert alerts.oldest_message(db, "a", 0) == Message(5, "2", 1)
    assert alerts.oldest_message(db, "a", 5) is None
    assert alerts.count_messages(db) == {"a": 1, "b": 3}


def test_a_number_is_never_given_twice(db):
    """What was sent is known by its number, should the disk refuse to drop it."""
    for body in ("first", "second"):
        alerts.post(db, "a", body, 0.0)
        alerts.drop_messages(db, "a", 2**40)
    alerts.post(db, "a", "third", 0.0)
    assert alerts.oldest_message(db, "a", 2).body == "third"


def test_only_so_many_wait_the_newest(db, monkeypatch):
    monkeypatch.setattr(alerts, "MAX_WAITING", 3)
    alerts.post(db, "b", "other", 0.0)
    assert [alerts.post(db, "a", f"{number}", 0.0) for number in range(5)] == [0, 0, 0, 1, 1]
    assert (alerts.oldest_message(db, "a", 0).body, alerts.count_messages(db)) == ("2", {"a": 3, "b": 1})
