"""Statuses of a service as the views are given them."""

from dataclasses import replace

from collector.status.status import ConfigState, ServiceStatus, Status

NOON = 1_800_000_000.0
MINUTE = 60.0


def collector(collector_id="main", state="waiting", **fields):
    return Status(collector_id, state, **fields)


def service(*collectors, trouble="", error="", needs_restart=(), path="collector_config.json", time=NOON):
    config = ConfigState(path, NOON - 10 * MINUTE, error, needs_restart)
    return ServiceStatus("1.2.3", NOON - 180 * MINUTE, time, trouble, config, collectors)


def later(status, seconds, **accepted):
    """Return a status some seconds on, when collectors have accepted so many rows."""
    collectors = tuple(replace(one, rows_accepted=accepted.get(one.id, 0)) for one in status.collectors)
    return replace(status, time=status.time + seconds, collectors=collectors)
