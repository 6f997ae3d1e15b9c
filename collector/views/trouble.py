"""Trouble: what in a status needs an operator's attention, in words, worst first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from collector.status.findings import said_of, trend_words
from collector.status.segments import segment_words
from collector.views.words import short
from collector.wording import counted, lasting

if TYPE_CHECKING:
    from collector.status.status import ServiceStatus, Status

_MOST = 2  # columns, or tests, that are named
_WORST_FIRST = ("crashed", "misconfigured", "undelivered")


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong with a collector: what, since when if that is known, why, and what to do."""

    kind: Literal["misconfigured", "crashed", "undelivered", "skipping", "failed", "error", "warned", "mismatch"]
    what: str
    why: str = ""
    todo: str = ""
    since: float | None = None

    def told(self, now: float) -> str:
        """Say it in a sentence."""
        lasts = "" if self.since is None else f" for {lasting(now - self.since)}"
        return ": ".join(filter(None, [f"{self.what}{lasts}", self.why]))


def troubles_of(status: Status) -> list[Trouble]:
    """Return what is wrong with a collector, the worst first."""
    found, error = [], status.last_error
    if status.problems:
        todo = "fix the config file; the service reads it again at once"
        found.append(Trouble("misconfigured", "misconfigured, events are kept", "; ".join(status.problems), todo))
    if status.state == "crashed":
        found.append(Trouble("crashed", "stopped by an error, and will be restarted soon", error, "read its log"))
    elif status.state == "undelivered":
        todo = "see that the workspace answers; the snapshots are then sent automatically"
        found.append(
            Trouble(
                "undelivered", f"{counted(status.outbox, 'snapshot')} undelivered", error, todo, status.outbox_since
            )
        )
    elif error:
        found.append(Trouble("error", error, todo="read its log"))
    if status.skipping_since is not None:
        todo = "see why its batches are not delivered, or raise limits.max_collector_bytes"
        found.append(Trouble("skipping", "skips its events", status.skipping_why, todo, status.skipping_since))
    if status.warnings:
        more = f", and {len(status.warnings) - 1} more" if len(status.warnings) > 1 else ""
        what = "a part of its report will fail on each batch"
        found.append(Trouble("warned", what, f"{status.warnings[0]}{more}", "fix its report_config"))
    if status.kafka and status.kafka["mismatch"]:
        todo = "give each service of the group the same config file"
        found.append(Trouble("mismatch", "the services' configs differ", status.kafka["mismatch"], todo))
    if status.failed:
        todo = f"fix the cause, then: evidently-collector retry {status.id}"
        found.append(Trouble("failed", f"{counted(status.failed, 'batch')} failed", todo=todo))
    return found


def retired(status: Status) -> Trouble:
    """Say what is to be done about a collector that isn't in the config."""
    todo = f"put it back there, or delete it: evidently-collector delete {status.id}"
    return Trouble("error", "not in the config file any more, but its rows are kept", todo=todo)


def trouble_of(status: Status, now: float) -> str:
    """Say what is wrong with a collector, and what to do where that isn't plain; empty if all is well."""
    troubles = troubles_of(status)
    said = [trouble.told(now) for trouble in troubles]
    return "; ".join([*said, troubles[-1].todo] if status.failed else said)


def found_in(status: Status, now: float) -> str:
    """Say what is bad about a collector's last snapshot, since when, and whether it is worse than those before it."""
    last = status.last_snapshot
    by_segment = last.get("by_segment")
    of_segments = segment_words(by_segment, _MOST) if by_segment and by_segment["bad"] else ""
    if not last.get("is_bad"):
        return of_segments
    since = last.get("bad_since")
    lasts = "bad" if since is None else f"bad for {lasting(now - since)}"
    trend = trend_words(last.get("trend", ""), last.get("trend_over", 0))
    said = filter(None, [*said_of(last, _MOST), of_segments])
    return f"{', '.join(filter(None, [lasts, trend]))}: {', '.join(said)}"


def waits_in(status: Status) -> str:
    """Say what is sealed and waits for its report, beside what is being evaluated."""
    if status.sealed <= (status.state == "evaluating"):
        return ""
    rows = f" of {short(status.sealed_rows)} rows" if status.sealed_rows else ""
    return f"{counted(status.sealed, 'batch')}{rows} sealed, not evaluated yet"


def is_well(service: ServiceStatus) -> bool:
    """Tell whether nothing needs looking after: the disk, the config file, and each collector."""
    is_sound = not service.trouble and not service.config.error
    return is_sound and not any(trouble_of(status, service.time) for status in service.collectors)


def urgency(status: Status) -> int:
    """Return a number to sort collectors by: the less, the sooner it is to be looked at."""
    if status.state in _WORST_FIRST:
        return _WORST_FIRST.index(status.state)
    return len(_WORST_FIRST) + (0 if trouble_of(status, 0) else 1 if found_in(status, 0) else 2)
