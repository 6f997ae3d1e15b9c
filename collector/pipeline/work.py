"""Work: what the stages of one pipeline share: their tools, the bells between them, and where outcomes are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collector.pipeline.source import OnlyPosted
from collector.status.counts import Counts
from collector.status.status import Status
from collector.status.telling import Telling
from collector.waiting.bell import Bell

if TYPE_CHECKING:
    from pathlib import Path

    from collector.config import CollectorConfig, CollectorServiceConfig
    from collector.pipeline.source import Sources
    from collector.store.data_dir import DataDir
    from collector.store.journal import Journal
    from collector.waiting.clocks import Clocks
    from collector.workers.pool import Workers
    from collector.workspaces.workspace import Workspaces


@dataclass(frozen=True)
class Tools:
    """What all pipelines share; the config's relative paths start at the directory ``base``."""

    journal: Journal
    data_dir: DataDir
    workers: Workers
    workspaces: Workspaces
    clocks: Clocks
    base: Path
    counts: Counts = field(default_factory=Counts)
    sources: Sources = field(default_factory=OnlyPosted)


class Work:
    """One collector's config, the bells that its stages ring for each other, and whom they tell of it."""

    def __init__(self, config: CollectorConfig, service: CollectorServiceConfig, tools: Tools) -> None:
        self.config = config
        self.service = service
        self.tools = tools
        self.journal = tools.journal
        self.data_dir = tools.data_dir
        self.workspace = tools.workspaces.open_workspace(config)
        self.counts = tools.counts.of(config.id)
        self.to_evaluate = Bell()
        self.to_deliver = Bell()
        self.to_label = Bell()
        self.to_rehearse = Bell()
        self.delivered = Bell()
        self.open_from = 0.0  # with EventTimeTrigger, windows that begin before this time are closed
        starting = Status(config.id, "starting", rows_needed=config.trigger.rows, events_from=config.events_from or "")
        self._telling = Telling(
            starting, self.counts, tools.journal, tools.clocks, lambda: self.service.storage.max_log_events
        )
        self.log = self._telling.log
        self.tell, self.warn = self._telling.tell, self._telling.warn
        self.tell_skipped = self._telling.tell_skipped
        self.note, self.count, self.recall = self._telling.note, self._telling.count, self._telling.recall
        self.count_sealed = self._telling.count_sealed
        self.source = tools.sources.source_of(self)

    @property
    def id(self) -> str:
        """The collector's id."""
        return self.config.id

    @property
    def labels_wait(self) -> float | None:
        """How long a new batch waits for labels; None: it waits for none."""
        labels = self.config.labels
        return None if labels is None else labels.wait

    @property
    def is_workspace_away(self) -> bool:
        """Whether the last try to deliver failed, and may succeed later."""
        return self._telling.is_workspace_away

    @property
    def status(self) -> Status:
        """Its status."""
        return self._telling.status
