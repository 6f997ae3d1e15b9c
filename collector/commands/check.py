"""Checking a config whole, with Evidently's help, in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from collector.errors import Problem
from collector.host.signals import thread_for_signals
from collector.pipeline.rehearsing import rehearse
from collector.supervision.checks import Checks
from collector.workers.pool import open_workers
from collector.workspaces.workspace import open_workspaces

if TYPE_CHECKING:
    from pathlib import Path

    from collector.config import CollectorConfig, CollectorServiceConfig
    from collector.workers.pool import Workers


@dataclass
class Findings:
    """What is wrong with a config, and which parts of it were not tried; one sentence each."""

    problems: list[Problem] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)


def check_config(config: CollectorServiceConfig, base: Path) -> Findings:
    """Return what is wrong with a config; each sound report is computed once, over its own reference."""
    with thread_for_signals():
        return trio.run(_check, config, base)


async def _check(config: CollectorServiceConfig, base: Path) -> Findings:
    findings = Findings()
    if config.alerts:
        from collector.alerts.checking import doubts, find_problems

        findings.problems += await find_problems(config)
        findings.untried += doubts(config)
    async with (
        open_workers(1, config.evaluation_max_bytes, config.worker_environment) as workers,
        open_workspaces(workers, base) as workspaces,
    ):
        checks = Checks(workers, workspaces, base, base / config.data_dir)
        for collector_id, collector in config.collectors.items():
            private = config.private_of(collector)
            found = await checks.find_problems(collector, config.collectors.values(), private=private)
            if not found:
                with trio.move_on_after(config.evaluation_timeout) as patience:
                    found = await _rehearse(collector, workers, base, findings, config)
                if patience.cancelled_caught:
                    said = f"its report took longer than {config.evaluation_timeout:g} s"
                    findings.untried.append(f"{collector_id}: {said}")
            findings.problems += [problem.under("collectors", collector_id) for problem in found]
    return findings


async def _rehearse(
    config: CollectorConfig, workers: Workers, base: Path, findings: Findings, service: CollectorServiceConfig
) -> list[Problem]:
    """Return what a report can't compute even for its own reference, and note what isn't tried."""
    if config.reference_file(base) is None:
        lacking = "its reference is in a store" if config.remote_reference else "there is no reference to try it on"
        findings.untried.append(f"{config.id}: its report was not tried, as {lacking}")
        return []
    came_of = await rehearse(config, service, workers, base)
    findings.untried += [f"{config.id}: {told}" for told in came_of["left_out"]]
    return [Problem(("report_config",), told) for told in came_of["failed"]]
