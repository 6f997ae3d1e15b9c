"""Whether a batch is large enough: how often its report would call drift by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from collector.errors import EvaluationError
from collector.host.signals import thread_for_signals
from collector.pipeline.jobs import make_job
from collector.store.records import Batch
from collector.workers.pool import open_workers

if TYPE_CHECKING:
    from pathlib import Path

    from collector.config import CollectorConfig
    from collector.workers.exchange import FalseAlarms, Job
    from collector.workers.pool import Workers

DRAWS = 10
# Tests of significance call every twentieth column drifted by design, whatever the size.
MOST_BY_CHANCE = 0.1
PATIENCE = 120.0
_MEMORY = 4_000_000_000


def advice_on_size(config: CollectorConfig, rows: int, base: Path) -> list[str]:
    """Say how often drift would be called by chance in batches of ``rows`` rows, and which size would do.

    Nothing is said of a report without drift, nor where its reference is too small to draw two batches from it.
    """
    presets = [one for one in config.report_config.metrics if "DataDriftPreset" in (one, _type_of(one))]
    if not presets or config.reference_path is None:
        return []
    with thread_for_signals():
        return trio.run(_advice, config, presets, rows, base)


async def _advice(config: CollectorConfig, presets: list[object], rows: int, base: Path) -> list[str]:
    batch = Batch("", config.id, "sealed", rows=0, opened=0, sealed=0)
    job: Job = {**make_job(config, base, batch, (), base), "report_config": {"metrics": presets}}
    async with open_workers(1, _MEMORY, ()) as workers:
        with trio.move_on_after(PATIENCE):
            try:
                return await _tried(workers, job, rows)
            except EvaluationError:  # 'check' says what is wrong with the report
                return []
    return []


async def _tried(workers: Workers, job: Job, rows: int) -> list[str]:
    found = await workers.count_false_alarms(job, rows, DRAWS)
    if found is None or not found["columns"]:
        return []
    if not _is_much(found):
        return [f"{_said(found, rows)} That is little: the size will do."]
    larger: FalseAlarms | None = found
    size = rows
    while larger is not None and _is_much(larger):
        size *= 2
        larger = await workers.count_false_alarms(job, size, DRAWS)
    warning = f"{_said(found, rows)} Batches this small don't tell drift from chance."
    if larger is None:
        return [
            warning,
            "The reference is too small to find a size that does: take larger batches, or a larger reference.",
        ]
    return [warning, f"With {size:,} rows it is {_rate(larger)}: take --trigger rows:{size}."]


def _said(found: FalseAlarms, rows: int) -> str:
    return (
        f"Of {found['draws']} batches of {rows:,} rows drawn from the reference itself, {found['draws_with_drift']} "
        f"had a column that was called drifted ({_rate(found)})."
    )


def _rate(found: FalseAlarms) -> str:
    return f"{found['drifted']} of {found['columns']} columns"


def _is_much(found: FalseAlarms) -> bool:
    return found["drifted"] > MOST_BY_CHANCE * found["columns"]


def _type_of(metric: object) -> object:
    return metric.get("type") if isinstance(metric, dict) else None
