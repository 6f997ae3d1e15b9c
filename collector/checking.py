"""Checking a config whole, with Evidently's help, in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from collector.errors import Problem
from collector.pipeline.workers import open_workers

if TYPE_CHECKING:
    from pathlib import Path

    from collector.config import CollectorServiceConfig


def check_config(config: CollectorServiceConfig, base: Path) -> list[Problem]:
    """Say all that is wrong with the reports and references of a config."""
    return trio.run(_check, config, base)


async def _check(config: CollectorServiceConfig, base: Path) -> list[Problem]:
    problems = []
    async with open_workers(1, config.evaluation_max_bytes) as workers:
        for collector_id, collector in config.collectors.items():
            found = await workers.check(collector)
            if problem := collector.workspace_problem():
                found.append(Problem(("api_url",), problem))
            reference = collector.reference_file(base)
            if reference is not None:
                found += await workers.check_reference(reference)
            problems += [problem.under("collectors", collector_id) for problem in found]
    return problems
