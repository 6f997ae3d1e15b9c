"""Hearing: the rules are checked at each change of a batch, in the transaction that makes the change.

So a kill neither loses an alert nor makes one up: rules, messages and batches are always of the same moment.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from collector.alerts.posting import Posted, post_changes
from collector.alerts.rules import Change, Verdict, counted, is_news, verdict_of, verdict_of_segment
from collector.store.steps.alerts import put_state, read_all_of, read_state
from collector.store.steps.snapshots import select_segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from collector.config import Alert, CollectorServiceConfig
    from collector.store.records import AlertState, Batch

_log = structlog.get_logger()
_NO_SEGMENT = Verdict(is_bad=False, summary="it isn't a segment any more")
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
        """Note a change of a batch; see ``collector.store.alerts.Listener``."""
        db.execute("SAVEPOINT alerts")
        try:
            heard = self._hear(db, before, after, now)
        except sqlite3.Error:  # the disk refused, which ends the whole transaction
            raise
        except Exception as error:  # noqa: BLE001  (a bulkhead: no mistake in here may hold a batch)
            db.execute("ROLLBACK TO alerts")
            _log.error("the rules for alerts could not be checked for a batch", batch=after.id, error=repr(error))
            _log.debug("where they failed", exc_info=error)
            heard = [], []
        db.execute("RELEASE alerts")
        return heard

    def heard(self, what: _Heard) -> None:
        """Report the changes that were noted."""
        self._tell(*what)

    def _hear(self, db: sqlite3.Connection, before: Batch, after: Batch, now: float) -> _Heard:
        config, changes = self._config(), []
        for alert in config.alerts:
            if not (alert.is_of_batches and alert.is_about(after.collector)):
                continue
            for state, verdict, batch in _verdicts(db, alert, before, after):
                new, change = counted(alert, state, verdict, batch, now)
                if new != state:
                    put_state(db, new)
                changes += [] if change is None else [change]
        return changes, post_changes(db, changes, config, now) if changes else []


def _verdicts(
    db: sqlite3.Connection, alert: Alert, before: Batch, after: Batch
) -> Iterator[tuple[AlertState, Verdict, Batch]]:
    """Yield a rule's state and its verdict on a changed batch, for the whole and for each segment."""
    if (verdict := verdict_of(alert, before, after)) is not None:
        yield read_state(db, alert.keys[after.report], after.collector), verdict, after
    if is_news(before, after):
        yield from _verdicts_of_segments(db, alert, after)


def _verdicts_of_segments(
    db: sqlite3.Connection, alert: Alert, batch: Batch
) -> Iterator[tuple[AlertState, Verdict, Batch]]:
    known = set(batch.outcome.get("skipped_segments") or ())
    for segment in select_segments(db, batch.id) if batch.outcome.get("segments") else ():
        known.add(segment.segment)
        if (verdict := verdict_of_segment(alert, segment)) is not None:
            own = replace(batch, rows=segment.rows, outcome=segment.outcome)
            yield read_state(db, alert.keys[batch.report], batch.collector, segment.segment), verdict, own
    if known or "segments" not in batch.outcome:  # otherwise this batch couldn't be divided into segments
        for state in read_all_of(db, alert.keys[batch.report], batch.collector):
            if state.bad and state.segment and state.segment not in known:
                yield state, _NO_SEGMENT, replace(batch, outcome={})
