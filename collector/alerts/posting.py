"""Posting: changes of rules become messages in the outbox, one for each address."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collector.alerts.messages import alert_of, body_of
from collector.alerts.rules import Change
from collector.config.alerts import address_key
from collector.store.steps.alerts import post, read_all_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from collector.config import CollectorServiceConfig


class Posted(NamedTuple):
    """A message went into the outbox of an address; ``dropped`` of its oldest messages went out of it."""

    address: str
    dropped: int


def post_changes(
    db: sqlite3.Connection, changes: Sequence[Change], config: CollectorServiceConfig, now: float
) -> list[Posted]:
    """Put messages of changes of one collector into the outbox.

    As Alertmanager does it, a message has all that is firing and goes to its address, beside what changed: who keeps
    one incident for a collector must not close it while another rule still fires.
    """
    collector = changes[0].state.collector
    changed = {(change.state.rule, change.state.segment) for change in changes}
    lasting = [
        Change(alert, state)
        for alert in config.alerts
        if alert.is_about(collector)
        for key in alert.keys.values()
        for state in read_all_of(db, key, collector)
        if state.is_firing and (key, state.segment) not in changed
    ]
    return [Posted(key, post(db, key, body, now)) for key, body in messages_of(changes, lasting, config, now)]


def messages_of(
    changes: Sequence[Change], lasting: Sequence[Change], config: CollectorServiceConfig, now: float
) -> Iterator[tuple[str, str]]:
    """Make the messages of changes: the key of an address, and the body for it."""
    news = [change for change in changes if change.alert.resolved or not change.is_over]
    for address in dict.fromkeys(address for change in news for address in change.alert.to):
        its_own = [change for change in [*news, *lasting] if address in change.alert.to]
        alerts = [alert_of(change, config, now) for change in its_own]
        yield address_key(address), body_of(alerts, changes[0].state.collector, config.external_url)
