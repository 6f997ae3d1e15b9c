"""Work: what the stages of one pipeline share: what they work with, the bells between them, and what they say."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from collector.status.counts import Counts
from collector.status.status import Status
from collector.waiting.bell import Bell

if TYPE_CHECKING:
    from pathlib import Path

    from collector.config import CollectorConfig, CollectorServiceConfig
    from collector.store.data_dir import DataDir
    from collector.store.journal import Journal
    from collector.store.records import Batch
    from collector.waiting.clocks import Clocks
    from collector.workers.pool import Workers
    from collector.workspaces.workspace import Workspaces


@dataclass(frozen=True)
class Tools:
    """What all pipelines work with; ``base`` is the directory at which the config's relative paths start."""

    journal: Journal
    data_dir: DataDir
    workers: Workers
    workspaces: Workspaces
    clocks: Clocks
    base: Path
    counts: Counts = field(default_factory=Counts)


class Work:
    """One collector's config, the bells that its stages ring for each other, its status and its log."""

    def __init__(self, config: CollectorConfig, service: CollectorServiceConfig, tools: Tools) -> None:
        self.config = config
        self.service = service
        self.tools = tools
        self.journal = tools.journal
        self.data_dir = tools.data_dir
        self.workspace = tools.workspaces.open_workspace(config)
        self.counts = tools.counts.of(config.id)
        self.log = structlog.get_logger().bind(collector=config.id)
        self.to_evaluate = Bell()
        self.to_deliver = Bell()
        self.delivered = Bell()
        self.status = Status(config.id, "starting", rows_needed=config.trigger.rows)

    @property
    def id(self) -> str:
        """The collector's id."""
        return self.config.id

    def note(self, **changes: Any) -> None:
        """Change what the status says."""
        self.status = replace(self.status, **changes)

    async def count(self) -> None:
        """Have the status say how many batches there are in each state."""
        batches = await self.journal.batches(self.id, "sealed", "evaluated", "failed")
        states = [batch.state for batch in batches]
        self.note(
            sealed=states.count("sealed"),
            outbox=states.count("evaluated"),
            outbox_since=next((batch.sealed for batch in batches if batch.state == "evaluated"), None),
            failed=states.count("failed"),
        )

    async def enter(self, type_: str, batch: Batch, outcome: dict[str, Any], *, error: str = "", **fields: Any) -> None:
        """Add to the collector's log, in the original's form with more fields."""
        entry = {
            "type": type_,
            "report_id": outcome.get("report_id", batch.id),
            "ok": not error,
            "error": error,
            "time": iso(self.tools.clocks.now()),
            "batch_id": batch.id,
            "rows": batch.rows,
            "window": [iso(batch.opened), iso(batch.sealed)],
            **summary(outcome),
            **fields,
        }
        await self.journal.log(self.id, entry, self.service.storage.max_log_events)


def summary(outcome: dict[str, Any]) -> dict[str, Any]:
    """Give what of an evaluation's outcome is told of it."""
    names = ("drift_share", "drifted_columns", "columns", "tests")
    return {name: outcome[name] for name in names if outcome.get(name) not in (None, {})}


def iso(seconds: float) -> str:
    """Write a Unix time as ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
