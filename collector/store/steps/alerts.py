"""Steps on alerts: how each rule stands with each collector, and the messages that wait to be sent."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from collector.store.records import AlertState, Message

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping

# Messages that may wait for one address. The newest stay: an address that is away for long gets no more of the past.
MAX_WAITING = 1_000

_NAMES = [one.name for one in fields(AlertState)]
_COLUMNS = ", ".join(_NAMES)


def read_state(db: sqlite3.Connection, rule: str, collector: str, segment: str = "") -> AlertState:
    """Return how a rule stands with a collector, or with a segment of its rows; one that is new is calm."""
    query = f"SELECT {_COLUMNS} FROM alert WHERE rule = ? AND collector = ? AND segment = ?"  # noqa: S608  (ours)
    row = db.execute(query, (rule, collector, segment)).fetchone()
    return AlertState(rule, collector, segment=segment) if row is None else _state(row)


def read_all_of(db: sqlite3.Connection, rule: str, collector: str) -> list[AlertState]:
    """Return how a rule stands with a collector, and with each segment that it has heard of."""
    query = f"SELECT {_COLUMNS} FROM alert WHERE rule = ? AND collector = ?"  # noqa: S608  (ours)
    return [_state(row) for row in db.execute(query, (rule, collector))]


def read_states(db: sqlite3.Connection) -> list[AlertState]:
    """Return how all rules stand with all collectors that they have heard of."""
    return [_state(row) for row in db.execute(f"SELECT {_COLUMNS} FROM alert")]  # noqa: S608  (ours)


def put_state(db: sqlite3.Connection, state: AlertState) -> None:
    """Enter how a rule stands with a collector."""
    values = tuple((asdict(state) | {"said": json.dumps(state.said)}).values())
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT OR REPLACE INTO alert({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608  (ours)


def drop_rules(db: sqlite3.Connection, kept: Collection[str]) -> None:
    """Drop the states of rules that are no longer there."""
    known = db.execute("SELECT DISTINCT rule FROM alert").fetchall()
    db.executemany("DELETE FROM alert WHERE rule = ?", [one for one in known if one[0] not in kept])


def rekey(db: sqlite3.Connection, rules: Mapping[str, str]) -> None:
    """Move the states of rules to their new keys, by their old ones."""
    changed = [(now, had) for had, now in rules.items() if now != had]
    db.executemany("UPDATE OR REPLACE alert SET rule = ? WHERE rule = ?", changed)


def post(db: sqlite3.Connection, address: str, body: str, now: float) -> int:
    """Put a message into the outbox of an address; return how many of its oldest went as there were too many."""
    db.execute("INSERT INTO alert_message(address, body, at) VALUES (?, ?, ?)", (address, body, now))
    done = db.execute(
        "DELETE FROM alert_message WHERE address = ? AND seq <= "
        "(SELECT seq FROM alert_message WHERE address = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)",
        (address, address, MAX_WAITING),
    )
    return done.rowcount


def oldest_message(db: sqlite3.Connection, address: str, after: int) -> Message | None:
    """Return the oldest message of an address beyond a number; None if none waits."""
    beyond = "FROM alert_message WHERE address = ? AND seq > ?"
    row = db.execute(
        f"SELECT seq, body, (SELECT COUNT(*) {beyond}) {beyond} ORDER BY seq LIMIT 1",
        (address, after, address, after),
    ).fetchone()
    return None if row is None else Message(*row)


def drop_messages(db: sqlite3.Connection, address: str, upto: int) -> None:
    """Drop the messages of an address up to a number."""
    db.execute("DELETE FROM alert_message WHERE address = ? AND seq <= ?", (address, upto))


def drop_addresses(db: sqlite3.Connection, kept: Collection[str]) -> int:
    """Drop the messages of addresses that are no longer there; return how many went."""
    gone = [address for address in count_messages(db) if address not in kept]
    return sum(db.execute("DELETE FROM alert_message WHERE address = ?", (one,)).rowcount for one in gone)


def count_messages(db: sqlite3.Connection) -> dict[str, int]:
    """Return how many messages wait, by address."""
    return dict(db.execute("SELECT address, COUNT(*) FROM alert_message GROUP BY address").fetchall())


def _state(row: tuple[Any, ...]) -> AlertState:
    state = dict(zip(_NAMES, row, strict=True))
    return AlertState(**state | {"is_firing": bool(state["is_firing"]), "said": json.loads(state["said"])})
