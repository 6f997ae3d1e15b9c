"""A pipeline: one collector at work.

Four tasks, with something on disk between any two of them: rows are sealed into batches when the trigger says so,
spilled to parquet when they are many, evaluated, delivered. Each looks at what its input holds and goes on, which is
also how it goes on after a crash. Aside of these, one tries the report before there is a batch, one makes the dashboard
of what was delivered, and one looks after labels that come later, if there are any.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from collector.config import EventTimeTrigger
from collector.errors import NoDashboard
from collector.pipeline.closing import Closing
from collector.pipeline.delivering import Delivering
from collector.pipeline.evaluating import Evaluating
from collector.pipeline.failed import take_back
from collector.pipeline.referring import Referring
from collector.pipeline.rehearsing import Rehearsing
from collector.pipeline.sealing import Sealing
from collector.pipeline.showing import Showing
from collector.pipeline.skipping import Skipping
from collector.pipeline.spilling import Spilling
from collector.pipeline.work import Work

if TYPE_CHECKING:
    from collector.config import CollectorConfig, CollectorServiceConfig
    from collector.formats.frames import Frame
    from collector.pipeline.source import Gateway
    from collector.pipeline.work import Tools
    from collector.status.counts import CollectorCounts
    from collector.status.status import Status
    from collector.store.records import Batch, Taken, Whole


class Pipeline:
    """One collector at work; run it once, cancel it to stop it. What it was at stays on disk."""

    def __init__(self, config: CollectorConfig, service: CollectorServiceConfig, tools: Tools) -> None:
        self._work = Work(config, service, tools)
        self._sealing = Sealing(self._work)
        self._spilling = Spilling(self._work, self._sealing)
        self._closing = Closing(self._work, self._spilling)
        self._referring = Referring(self._work)
        self._evaluating = Evaluating(self._work, self._spilling, self._referring)
        self._showings = [Showing(self._work, report) for report in config.reports]
        self._delivering = Delivering(self._work, self._showings)
        self._rehearsing = Rehearsing(self._work, self._referring)
        self._skipping = Skipping(self._work)
        self._retrying = trio.Lock()

    @property
    def config(self) -> CollectorConfig:
        """What it was asked for."""
        return self._work.config

    @property
    def gateway(self) -> Gateway | None:
        """The way of posted events to where it fetches its events from; None for one that takes them itself."""
        return self._work.source.gateway

    @property
    def counts(self) -> CollectorCounts:
        """What is counted of it."""
        return self._work.counts

    def status(self) -> Status:
        """Return its status."""
        journal, id_ = self._work.journal, self._work.id
        waiting = journal.waiting(id_)
        status = replace(
            self._work.status,
            rows_waiting=waiting.rows,
            rows_accepted=waiting.accepted_in_all,
            bytes_buffered=journal.buffered_bytes(id_),
            rows_skipped=self._work.counts.skipped_rows,
        )
        if self.config.input is not None:
            status = replace(status, logged={"halves": journal.halves.waiting(id_), **self._work.counts.logged})
        return self._work.source.shown(status)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._work.recall()
        await self._closing.begin()
        await self._work.source.run(self._run_stages)

    async def _run_stages(self) -> None:
        stages = (
            self._sealing,
            self._closing,
            self._spilling,
            self._evaluating,
            self._delivering,
            self._rehearsing,
        )
        async with trio.open_nursery() as nursery:
            for stage in stages:
                nursery.start_soon(stage.run)
            for showing in self._showings:
                nursery.start_soon(showing.run)
            if self.config.events_from is not None and self.config.when_full == "skip":
                nursery.start_soon(self._skipping.run)
            if self.config.labels is not None or self._work.id in self._work.journal.labels.collectors:
                from collector.pipeline.labelling import Labelling

                nursery.start_soon(Labelling(self._work, self._spilling, self._sealing).run)
            if self.config.input is not None or self._work.journal.halves.waiting(self._work.id):
                from collector.pipeline.expiring import Expiring

                nursery.start_soon(Expiring(self._work).run)

    async def flush(self) -> Batch | None:
        """Seal what waits now, whatever the trigger says; None if nothing does.

        With windows of event time, each that has rows becomes a batch, and the newest is returned.
        """
        self._work.source.check_here()
        if isinstance(self.config.trigger, EventTimeTrigger):
            return await self._closing.flush()
        return await self._sealing.seal()

    async def take_whole(self, whole: Whole, frame: Frame) -> Taken:
        """Make a batch of a body, sealed at once beside the open one, unless it is known; tell which it is."""
        return await self._sealing.take_whole(whole, frame)

    async def failed(self) -> list[Batch]:
        """Return the batches whose report failed, oldest first."""
        return await self._work.journal.batches(self._work.id, "failed")

    async def retry(self) -> list[Batch]:
        """Have all failed batches evaluated again, and return them."""
        self._work.source.check_here()
        # one at a time: a batch that another call takes back may be evaluated and gone before its parts are found
        async with self._retrying:
            for batch in await self.failed():
                await take_back(self._work, batch)
            try:
                batches = await self._work.journal.retry(self._work.id)
            finally:
                self._work.to_evaluate.ring()
        await self._work.count()
        return batches

    def note_skipped(self, rows: int, why: str) -> None:
        """Count rows that it skips, and have that told."""
        self._skipping.note(rows, why)

    async def show_dashboard(self) -> int:
        """Make the collector's dashboard again, from its newest snapshot; return the number of panels."""
        first, *others = self._showings
        panels = await first.show_again()
        for showing in others:
            with suppress(NoDashboard):  # no snapshot of this report is kept, or none was made yet
                panels += await showing.show_again()
        return panels

    def take_config(self, config: CollectorConfig, service: CollectorServiceConfig) -> None:
        """Take a config that differs only in its reference, from the next batch on; a report that runs goes on."""
        self._work.config, self._work.service = config, service
        self._work.note(warnings=())
        self._work.source.note_change()
        self._work.to_evaluate.ring()
        self._work.to_rehearse.ring()
