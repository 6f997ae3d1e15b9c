"""Checking a config whole, with Evidently's help, in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from collector.host.signals import thread_for_signals
from collector.supervision.checks import Checks
from collector.workers.pool import open_workers
from collector.workspaces.workspace import open_workspaces

if TYPE_CHECKING:
    from pathlib import Path

    from collector.config import CollectorServiceConfig
    from collector.errors import Problem


def check_config(config: CollectorServiceConfig, base: Path) -> list[Problem]:
    """Return all that is wrong with the reports and references of a config."""
    with thread_for_signals():
        return trio.run(_check, config, base)


async def _check(config: CollectorServiceConfig, base: Path) -> list[Problem]:
    async with (
        open_workers(1, config.evaluation_max_bytes, config.worker_environment) as workers,
        open_workspaces(workers, base) as workspaces,
    ):
        checks = Checks(workers, workspaces, base, base / config.data_dir)
        return [
            problem.under("collectors", collector_id)
            for collector_id, collector in config.collectors.items()
            for problem in await checks.find_problems(collector, config.collectors.values())
        ]
