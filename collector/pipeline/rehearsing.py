"""Rehearsing: a report is computed over its own reference, so that what fails is known before a batch comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from collector.config.labels import LABELS
from collector.errors import EvaluationError
from collector.pipeline.jobs import make_job
from collector.store.records import Batch

if TYPE_CHECKING:
    from pathlib import Path

    from collector.config import CollectorConfig, CollectorServiceConfig
    from collector.pipeline.referring import Referring
    from collector.pipeline.work import Work
    from collector.workers.exchange import Rehearsal
    from collector.workers.pool import Workers

# Seconds without a change before a report is tried: a client posts a config and then its reference, and people save a
# file more than once.
QUIET = 3.0
_ID = "00000000-0000-0000-0000-000000000000"


class Rehearsing:
    """Rehearses the report of one collector whenever its reference is another.

    It is a warning and no more: real batches never wait for it, and it ends with the pipeline.
    """

    def __init__(self, work: Work, referring: Referring) -> None:
        self._work = work
        self._referring = referring
        self._rehearsed: str | None = None  # the reference with which the report was tried last

    async def run(self) -> None:
        """Rehearse the report over each new reference, once all is sound; runs until cancelled."""
        while True:
            await self._work.to_rehearse.wait()
            await trio.sleep(QUIET)
            is_sound, config = not self._work.status.problems, self._referring.config
            if is_sound and config.reference_path not in {None, self._rehearsed}:
                await self._rehearse(config)

    async def _rehearse(self, config: CollectorConfig) -> None:
        work, workers = self._work, self._work.tools.workers
        self._rehearsed = config.reference_path
        async with workers.rehearsals:
            with trio.move_on_after(work.service.evaluation_timeout + workers.rehearsal_starting_time) as patience:
                came_of = await rehearse(config, work.service, workers, work.tools.base, is_aside=True)
        if patience.cancelled_caught:
            work.log.info("the report was not tried over its own reference, as that takes too long")
        elif config.reference_path == self._referring.config.reference_path:
            await work.warn(came_of["failed"])


async def rehearse(
    config: CollectorConfig, service: CollectorServiceConfig, workers: Workers, base: Path, *, is_aside: bool = False
) -> Rehearsal:
    """Return what reports can't compute even of their own reference, in sentences for people, and what wasn't tried."""
    failed, left_out = [], []
    for report in config.reports:
        # A batch for which the reference is taken.
        batch = Batch(_ID, config.id, "sealed", rows=0, opened=0, sealed=0, report=report)
        try:
            job = make_job(
                config.for_report(report),
                base,
                batch,
                (),
                base,
                fast_reports=service.fast_reports,
                private=service.private_of(config),
            )
            came_of = await workers.rehearse(job, is_aside=is_aside)
        except EvaluationError as error:
            came_of = {"failed": [str(error)], "left_out": []}
        which = "the labels' report: " if report == LABELS else ""
        failed += [f"{which}computed over its own reference: {told}" for told in came_of["failed"]]
        left_out += [f"{which}{told}" for told in came_of["left_out"]]
    return {"failed": failed, "left_out": left_out}
