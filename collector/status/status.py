"""Status: what the service and each of its pipelines say about themselves; frozen values, times in Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

_T = TypeVar("_T")

State = Literal[
    "starting", "waiting", "evaluating", "undelivered", "misconfigured", "crashed", "retired", "standby", "restoring"
]


@dataclass(frozen=True)
class Status:
    """One collector at one moment; a retired one was taken out of the config file while it had rows.

    Rows are accepted (counted since the start), wait in the open batch, and are buffered until they are delivered.
    One that gets its events from another skips them while it has no room, if its config says so.
    ``backfill`` says how many batches of the past are on their way, of those that are sealed or in the outbox.
    ``kafka``, where its events come from there, has ``lag``, the messages that were not read yet (null: not known),
    ``owner``, the address of the service at which it is at work, ``mismatch``, what is odd about that one's config, and
    ``gateway``, the topic to which posted events go.
    ``logged`` is what became of what a model server has logged, and how many ``halves`` wait for the other.
    ``problems`` keep batches from being evaluated; ``warnings`` are of what a report will fail at, and keep nothing.
    """

    id: str
    state: State
    rows_waiting: int = 0
    rows_needed: int | None = None
    rows_accepted: int = 0
    bytes_buffered: int = 0
    events_from: str = ""
    rows_skipped: int = 0
    skipping_since: float | None = None
    skipping_why: str = ""
    last_time: float | None = None
    next_time: float | None = None
    sealed: int = 0
    backfill: int = 0
    sealed_rows: int = 0
    outbox: int = 0
    outbox_since: float | None = None
    failed: int = 0
    snapshots: int = 0
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    last_error: str = ""
    last_snapshot: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] | None = None
    logged: dict[str, int] | None = None
    kafka: dict[str, Any] | None = None
    reference: dict[str, Any] | None = None


@dataclass(frozen=True)
class ConfigState:
    """Which config file holds, since when, and why a later edit of it doesn't."""

    path: str
    loaded: float
    error: str = ""
    needs_restart: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceStatus:
    """The whole service at one moment; ``trouble`` is what the disk refuses, empty if it is sound."""

    version: str
    started: float
    time: float
    trouble: str
    config: ConfigState
    collectors: tuple[Status, ...]


def read_status(answer: Any) -> ServiceStatus:
    """Read what ``GET /`` answers; fields that only a newer service knows are left out.

    Raises ValueError if it is something else.
    """
    try:
        config = _known(ConfigState, answer["config"])
        collectors = tuple(_known(Status, one) for one in answer["collectors"])
        return _known(ServiceStatus, {**answer, "config": config, "collectors": collectors})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("not the status of a collector service") from error


def _known(kind: type[_T], given: dict[str, Any]) -> _T:
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]  # one of the dataclasses above
    return kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in given.items() if name in names}
    )
