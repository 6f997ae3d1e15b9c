"""Lasting: rules for conditions that last, such as a disk that refuses writes; they are checked now and then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collector.alerts.rules import Change, cut
from collector.status.telling import iso
from collector.store.records import AlertState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from collector.config import Alert
    from collector.status.status import ServiceStatus, Status

# How often it is written down since when a condition holds. After a restart the alert may come this much later, never
# earlier.
WRITTEN_INTERVAL = 60.0

# A collector in one of these states gets no events here: it was taken out of the config, or works at another service.
_NOT_HERE = ("retired", "standby")


@dataclass(frozen=True)
class Moment:
    """A moment by the wall clock, and by the monotonic clock."""

    wall: float
    passed: float


@dataclass(frozen=True)
class _Seen:
    """What one check looks at. Without a collector's status, the check is about the service."""

    service: ServiceStatus
    status: Status | None
    moment: Moment


@dataclass
class _Held:
    """A rule's state for one collector, and when its condition began by the monotonic clock."""

    state: AlertState
    begun: float | None


class Lasting:
    """Holds what lasts against rules, beginning with the ``states`` that the journal has.

    ``accepted`` has the rows of each collector at the last look, also of whoever looked before; empty at a start.
    """

    def __init__(
        self, alerts: Iterable[Alert], states: Iterable[AlertState], moment: Moment, accepted: dict[str, int]
    ) -> None:
        self._accepted = accepted
        self._alerts = [alert for alert in alerts if not alert.is_of_batches]
        rules = {alert.key for alert in self._alerts}
        self._held = {
            (state.rule, state.collector): _Held(state, moment.passed - state.lasted if state.lasted else None)
            for state in states
            if state.rule in rules
        }

    def look(self, service: ServiceStatus, moment: Moment) -> tuple[list[AlertState], list[Change]]:
        """Return the states that are to be written down, and the changes among them that are to be told."""
        statuses = [status for status in service.collectors if status.state not in _NOT_HERE]
        visited = self._visited(statuses)
        states, changes = [], []
        for alert, status in self._pairs(statuses):
            collector = "" if status is None else status.id
            held = self._held.setdefault((alert.key, collector), _Held(AlertState(alert.key, collector), None))
            before = held.state
            holds = bool(service.trouble) if status is None else _holds(alert, status, has_come=status.id in visited)
            if holds is not None:
                seen = _Seen(service, status, moment)
                held.state = _begun(alert, held, seen) if holds else _ended(alert, held, seen)
            states += [held.state] if held.state != before else []
            if held.state.is_firing != before.is_firing:
                changes.append(Change(alert, held.state, is_over=before.is_firing))
        return states, changes

    def _visited(self, statuses: Sequence[Status]) -> set[str]:
        """Return the collectors for which events have come since the last look, or since the start."""
        before = self._accepted.copy()
        self._accepted.clear()
        self._accepted |= {status.id: status.rows_accepted for status in statuses}
        return {key for key, rows in self._accepted.items() if rows > before.get(key, rows if before else 0)}

    def _pairs(self, statuses: Sequence[Status]) -> Iterator[tuple[Alert, Status | None]]:
        for alert in self._alerts:
            if alert.is_about(""):
                yield alert, None
            yield from ((alert, status) for status in statuses if alert.is_about(status.id))


def _holds(alert: Alert, status: Status, *, has_come: bool) -> bool | None:
    """Tell whether a rule's condition holds for a collector; None, which changes no state, if it isn't known now."""
    if alert.when == "no_events":
        return not has_come
    if alert.when == "misconfigured":
        return None if status.state == "starting" and not status.problems else bool(status.problems)
    if alert.when == "skipped":
        return status.skipping_since is not None
    if status.state == "undelivered":
        return True
    return None if status.outbox or status.state == "starting" else False  # a snapshot that waits may be on its way


def _ended(alert: Alert, held: _Held, seen: _Seen) -> AlertState:
    """Return a rule's state when its condition doesn't hold."""
    held.begun = None
    calm = replace(held.state, is_firing=False, lasted=0.0)
    return replace(calm, said={"summary": _over(alert, seen.status)}) if held.state.is_firing else calm


def _begun(alert: Alert, held: _Held, seen: _Seen) -> AlertState:
    """Return a rule's state when its condition holds."""
    state, moment, status = held.state, seen.moment, seen.status
    if held.begun is None:
        since = _since(alert, status)
        held.begun = moment.passed - (0.0 if since is None else max(0.0, moment.wall - since))
    lasted = moment.passed - held.begun
    if state.is_firing:
        return state
    if lasted >= alert.for_:
        since = moment.wall - lasted
        said = {"summary": _summary(alert, seen, since)}
        return replace(state, is_firing=True, since=since, lasted=lasted, told=moment.wall, said=said)
    is_due = lasted - state.lasted >= min(WRITTEN_INTERVAL, alert.for_ / 4)
    return replace(state, lasted=lasted) if is_due and status is not None else state


def _since(alert: Alert, status: Status | None) -> float | None:
    if status is None:
        return None
    return {"undelivered": status.outbox_since, "skipped": status.skipping_since}.get(alert.when)


def _summary(alert: Alert, seen: _Seen, since: float) -> str:
    status = seen.status
    if status is None:
        return cut(f"the disk refuses writes, and events are answered 507: {seen.service.trouble}")
    if alert.when == "no_events":
        return f"{status.id}: no event has come since {iso(since)}"
    if alert.when == "misconfigured":
        more = f" (and {len(status.problems) - 1} more)" if len(status.problems) > 1 else ""
        return cut(f"{status.id}: events are kept and not evaluated: {status.problems[0]}") + more
    if alert.when == "skipped":
        return cut(f"{status.id}: it has skipped its events since {iso(since)}: {status.skipping_why}")
    waiting = "a snapshot waits" if status.outbox == 1 else f"{status.outbox} snapshots wait"
    return cut(f"{status.id}: {waiting} for the workspace since {iso(since)}: {status.last_error}")


def _over(alert: Alert, status: Status | None) -> str:
    if status is None:
        return "the disk accepts writes again"
    told = {
        "no_events": "events arrive again",
        "misconfigured": "batches are evaluated again",
        "skipped": "it takes its events again",
    }
    return f"{status.id}: {told.get(alert.when, 'snapshots are delivered again')}"
