"""Metrics: what Prometheus scrapes; what makes its text is imported at the first scrape."""

from __future__ import annotations

import importlib
import shutil
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from pathlib import Path

    from collector.pipeline.work import Tools
    from collector.supervision.supervisor import Supervisor

# A disk that doesn't answer is left out: the rest is told all the more.
DISK_PATIENCE = 2.0


@dataclass(frozen=True)
class Disk:
    """What is seen of the data directory: the bytes of its disk, and the files that were set aside, by kind."""

    free: float | None = None
    size: float | None = None
    damaged: Counter[str] = field(default_factory=Counter)


class Metrics:
    """Gathers what a scrape tells."""

    def __init__(self, supervisor: Supervisor, tools: Tools) -> None:
        self._supervisor = supervisor
        self._tools = tools
        self._threads = trio.CapacityLimiter(1)

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """Give the metrics and their Content-Type: OpenMetrics for who accepts that, else Prometheus' own text."""
        await trio.to_thread.run_sync(importlib.import_module, "prometheus_client")
        from collector.views.families import Seen, write

        disk = await self._look_at_disk()
        workers = self._tools.workers
        seen = Seen(
            self._supervisor.service_status(),
            self._supervisor.counts,
            self._supervisor.config.limits,
            disk,
            workers.ended,
            workers.evidently_version,
        )
        # Fifty collectors have 4000 values, and events come in meanwhile.
        return await trio.to_thread.run_sync(write, seen, accept)

    async def _look_at_disk(self) -> Disk:
        path = self._tools.data_dir.path
        with trio.move_on_after(DISK_PATIENCE):
            return await trio.to_thread.run_sync(look_at, path, abandon_on_cancel=True, limiter=self._threads)
        return Disk()


def look_at(data_dir: Path) -> Disk:
    """Look at the disk under a data directory, which may take as long as the disk likes."""
    try:
        usage = shutil.disk_usage(data_dir)
        damaged = Counter(path.name.partition("-")[0] for path in (data_dir / "damaged").glob("*"))
    except OSError:  # it is gone, or can't be read: ``trouble`` says so
        return Disk()
    return Disk(usage.free, usage.total, damaged)
