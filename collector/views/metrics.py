"""Metrics: what Prometheus scrapes; what makes its text is imported at the first scrape."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import trio

from collector.views.disk import Looking

if TYPE_CHECKING:
    from collector.pipeline.work import Tools
    from collector.supervision.supervisor import Supervisor


class Metrics:
    """Gathers what a scrape tells."""

    def __init__(self, supervisor: Supervisor, tools: Tools) -> None:
        self._supervisor = supervisor
        self._tools = tools
        self._disk = Looking(tools.data_dir.path)

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics and their Content-Type: OpenMetrics if the client accepts it, else Prometheus' text."""
        await trio.to_thread.run_sync(importlib.import_module, "prometheus_client")
        from collector.views.families import Seen, write

        disk = await self._disk.look()
        workers = self._tools.workers
        seen = Seen(
            self._supervisor.service_status(),
            self._supervisor.counts,
            self._supervisor.config.limits,
            disk,
            workers.ended,
            workers.evidently_version,
            self._tools.journal.dropped_keys(),
        )
        # Written in a thread: fifty collectors have 4000 values, and events come in meanwhile.
        return await trio.to_thread.run_sync(write, seen, accept)
