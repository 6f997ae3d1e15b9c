"""Status: what a pipeline says about itself, a frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["starting", "waiting", "evaluating", "undelivered", "misconfigured", "crashed"]


@dataclass(frozen=True)
class Status:
    """One collector at one moment; times are Unix seconds."""

    id: str
    state: State
    rows_waiting: int
    rows_needed: int | None
    next_time: float | None
    sealed: int
    outbox: int
    failed: int
    snapshots: int
    problems: tuple[str, ...] = ()
    last_error: str = ""
    last_snapshot: dict[str, Any] = field(default_factory=dict)
