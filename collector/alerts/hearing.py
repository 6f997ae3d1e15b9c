"""Hearing: each change of a batch is held against the rules, in the transaction that makes it.

So a kill neither loses what is to be told nor makes anything up: state and outbox are those of the batches.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import structlog

from collector.alerts.posting import Posted, post_changes
from collector.alerts.rules import Change, counted, verdict_of
from collector.store.steps.alerts import put_state, read_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.config import CollectorServiceConfig
    from collector.store.records import Batch

_log = structlog.get_logger()
_Heard = tuple[list[Change], list[Posted]]


class Hearing:
    """Listens to the journal; ``config`` returns what holds, ``tell`` is called once changes are committed."""

    def __init__(
        self,
        config: Callable[[], CollectorServiceConfig],
        tell: Callable[[list[Change], list[Posted]], None],
    ) -> None:
        self._config = config
        self._tell = tell

    def hear(self, db: sqlite3.Connection, before: Batch, after: Batch, now: float) -> _Heard:
        """Take a change of a batch down; see ``collector.store.alerts.Listener``."""
        db.execute("SAVEPOINT alerts")
        try:
            heard = self._hear(db, before, after, now)
        except sqlite3.Error:  # of the disk, and so of the whole transaction
            raise
        except Exception as error:  # noqa: BLE001  (a bulkhead: no mistake in here may hold a batch)
            db.execute("ROLLBACK TO alerts")
            _log.error("alerts missed what became of a batch", batch=after.id, error=repr(error))
            _log.debug("where they failed", exc_info=error)
            heard = [], []
        db.execute("RELEASE alerts")
        return heard

    def heard(self, what: _Heard) -> None:
        """Tell of what was taken down."""
        self._tell(*what)

    def _hear(self, db: sqlite3.Connection, before: Batch, after: Batch, now: float) -> _Heard:
        config, changes = self._config(), []
        for alert in config.alerts:
            if not (alert.is_of_batches and alert.is_about(after.collector)):
                continue
            verdict = verdict_of(alert, before, after)
            if verdict is None:
                continue
            state = read_state(db, alert.key, after.collector)
            new, change = counted(alert, state, verdict, after, now)
            if new != state:
                put_state(db, new)
            changes += [] if change is None else [change]
        return changes, post_changes(db, changes, config, now) if changes else []
