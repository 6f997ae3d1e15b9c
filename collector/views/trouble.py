"""Trouble: what of a status an operator should look after, in words; and which comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.wording import counted, lasting

if TYPE_CHECKING:
    from collector.status.status import ServiceStatus, Status

_WORST_FIRST = ("crashed", "misconfigured", "undelivered")


def trouble_of(status: Status, now: float) -> str:
    """Say what is wrong with a collector, and what to do where that isn't plain; empty if all is well."""
    said = [f"misconfigured, events are kept: {'; '.join(status.problems)}"] if status.problems else []
    error = status.last_error
    if status.state == "crashed":
        said.append(f"stopped by an error, and begun again soon: {error}")
    elif status.state == "undelivered":
        since = now if status.outbox_since is None else status.outbox_since
        said.append(f"{counted(status.outbox, 'snapshot')} undelivered for {lasting(now - since)}: {error}")
    elif error:
        said.append(error)
    if status.warnings:
        more = f", and {len(status.warnings) - 1} more" if len(status.warnings) > 1 else ""
        said.append(f"its report will fail at some of each batch: {status.warnings[0]}{more}")
    if status.failed:
        said.append(f"{counted(status.failed, 'batch')} failed; once mended: evidently collector retry {status.id}")
    return "; ".join(said)


def is_well(service: ServiceStatus) -> bool:
    """Tell whether nothing needs looking after: the disk, the config file, and each collector."""
    is_sound = not service.trouble and not service.config.error
    return is_sound and not any(trouble_of(status, service.time) for status in service.collectors)


def urgency(status: Status) -> int:
    """Return a number to sort collectors by: the less, the sooner it is to be looked at."""
    if status.state in _WORST_FIRST:
        return _WORST_FIRST.index(status.state)
    return len(_WORST_FIRST) + (0 if trouble_of(status, 0) else 1)
