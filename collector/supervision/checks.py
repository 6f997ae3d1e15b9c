"""Checks of a collector's config that need more than its text: Evidently, and the files that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from collector.config import CollectorConfig
    from collector.workers.pool import Workers


async def find_problems(
    config: CollectorConfig, workers: Workers, base: Path, known: CollectorConfig | None = None
) -> list[Problem]:
    """Say all that is wrong with a collector's report, workspace and reference.

    What is as in ``known``, a config that is at work already, isn't checked again.
    """
    problems = []
    if known is None or _report(config) != _report(known):
        problems += await workers.check(config)
    if problem := config.workspace_problem():
        problems.append(Problem(("api_url",), problem))
    reference = config.reference_file(base)
    if reference is not None and (known is None or config.reference_path != known.reference_path):
        problems += await workers.check_reference(reference)
    return [problem.under("collectors", config.id) for problem in problems]


def _report(config: CollectorConfig) -> tuple[object, ...]:
    return config.report_config, config.data_definition, config.column_mapping
