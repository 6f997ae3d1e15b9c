"""Showing: a collector's dashboard is made in its project at its first snapshot, and again when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from collector.config.labels import LABELS, MAIN
from collector.config.triggers import CronTrigger, EventTimeTrigger, IntervalTrigger, RowsCountTrigger
from collector.errors import CollectorError, EvaluationError, NoDashboard
from collector.pipeline.asking import ask_workspace
from collector.pipeline.snapshots import segments_of
from collector.status.telling import NotShown
from collector.waiting.bell import Bell
from collector.wording import lasting

if TYPE_CHECKING:
    from collector.config import CollectorConfig
    from collector.config.triggers import Trigger
    from collector.dashboard import Tab
    from collector.pipeline.work import Work
    from collector.store.records import Batch

_LEFT_ALONE = (
    "the project's dashboard has panels that somebody made, so it was left alone; "
    "'evidently-collector dashboard {}' adds panels beside those"
)
_NO_SNAPSHOT = (
    "no snapshot is kept from which a dashboard could be made; repeat this after the next one is delivered "
    "(with retention.batches of 1 or more)"
)


class Showing:
    """Makes the dashboard of one report of a collector; a failure is told, and tried again with the next snapshot."""

    def __init__(self, work: Work, report: str = MAIN) -> None:
        self._work = work
        self._report = report
        self._place = f"{work.config.shown_url} {work.config.project_id or work.config.project_name}"
        if work.config.segments is not None:  # a dashboard without panels of segments isn't this one
            self._place += f" by {work.config.segments.column}"
        if report != MAIN:
            self._place += f" {report}"
        self._is_settled = work.config.why_no_dashboard() is not None
        self._found: tuple[Batch, Tab] | None = None
        self._bell = Bell()
        self._making = trio.Lock()
        self._told = ""

    async def look(self, batch: Batch) -> None:
        """Read from a delivered snapshot what a dashboard is to show, unless it has one; ``run`` makes it."""
        if self._is_settled or self._making.locked() or batch.report != self._report:
            return
        # wait for a snapshot with a reference, whose metrics are to be shown too
        if batch.outcome.get("awaits_reference"):
            return
        if await self._work.journal.has_dashboard(self._work.id, self._place):
            self._is_settled = True
            return
        try:
            self._found = batch, await self._tab_of(batch)
        except CollectorError as error:
            await self._tell(batch, str(error))
        else:
            self._bell.ring()

    async def run(self) -> None:
        """Show what was found; runs until cancelled."""
        while True:
            await self._bell.wait()
            if self._is_settled:  # somebody asked for it meanwhile
                continue
            assert self._found is not None  # noqa: S101  (set before the bell is rung)
            batch, tab = self._found
            try:
                if not await self._show(batch, tab, is_asked=False):
                    await self._tell(batch, _LEFT_ALONE.format(self._work.id))
            except CollectorError as error:
                await self._tell(batch, str(error))

    async def show_again(self) -> int:
        """Make the dashboard of the newest snapshot; return how many panels it has. Raises NoDashboard."""
        if why := self._work.config.why_no_dashboard():
            raise NoDashboard(f"'{self._work.id}' gets no dashboard: {why}")
        batches = await self._work.journal.batches(self._work.id, "delivered")
        mine = (one for one in reversed(batches) if one.report == self._report)
        batch = next((one for one in mine if self._work.data_dir.snapshot(one.id).exists()), None)
        if batch is None:
            raise NoDashboard(_NO_SNAPSHOT)
        tab = await self._tab_of(batch)
        await self._show(batch, tab, is_asked=True)
        return len(tab["panels"])

    async def _tab_of(self, batch: Batch) -> Tab:
        config, snapshot = self._work.config, self._work.data_dir.snapshot(batch.id)
        try:
            about = _about(config) if batch.report == MAIN else _about_labels(config)
            return await self._work.tools.workers.tab_of(snapshot, config, about, segments_of(batch))
        except (OSError, ValueError, LookupError) as error:
            raise EvaluationError(f"its snapshot can't be read: {error}") from error
        except trio.TooSlowError as error:
            raise EvaluationError("its snapshot couldn't be read in time") from error

    async def _show(self, batch: Batch, tab: Tab, *, is_asked: bool) -> bool:
        work = self._work
        async with self._making:
            is_shown = await ask_workspace(work, lambda: work.workspace.show(tab, is_asked=is_asked), batch.id)
            await work.journal.enter_dashboard(work.id, self._place)
            self._is_settled = True
        if is_shown:
            work.log.info("dashboard made", workspace=work.config.shown_url, panels=len(tab["panels"]))
        return is_shown

    async def _tell(self, batch: Batch, why: str) -> None:
        if why != self._told:
            self._told = why
            await self._work.tell(NotShown(batch, why))


def _about(config: CollectorConfig) -> str:
    measured = ", compared with its reference" if config.reference_path is not None else ""
    if not measured and config.reference_from is not None:
        measured = f", compared with {config.reference_from.words}"
    return (
        f"Collector '{config.id}' computes {_metrics(config)} over batches of its events, {_when(config.trigger)}"
        f"{measured}. Each point is a batch: click it for the report."
    )


def _about_labels(config: CollectorConfig) -> str:
    return (
        f"Collector '{config.id}' computes {_metrics(config.for_report(LABELS))} over the rows of each batch that have "
        "their labels by now. Each point is a batch at the time of its events: click it for the report."
    )


def _metrics(config: CollectorConfig) -> str:
    names = [one if isinstance(one, str) else str(one.get("type", "")) for one in config.report_config.metrics]
    return ", ".join(dict.fromkeys(name.rpartition(":")[2] for name in names))


def _when(trigger: Trigger) -> str:
    match trigger:
        case IntervalTrigger(interval=seconds):
            return f"every {seconds:g} s"
        case RowsCountTrigger(rows_count=rows):
            return f"every {rows} rows"
        case EventTimeTrigger(period=seconds, timezone=zone):
            return f"for each {lasting(seconds)} of their time ({zone})"
        case CronTrigger(schedule=schedule, timezone=zone):
            return f"at {schedule} ({zone})"
        case _:
            return f"every {trigger.rows} rows or {trigger.interval_trigger.interval:g} s"
