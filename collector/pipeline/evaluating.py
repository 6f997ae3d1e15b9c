"""Evaluating: sealed batches become snapshots, one after the other, in a worker process."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from collector.config.labels import LABELS
from collector.config.tasks import whole_of
from collector.errors import EvaluationError, FilesDamaged, NoRowsMatched, Problem
from collector.fault_points import reach
from collector.pipeline.failed import drop_damaged, set_aside
from collector.pipeline.jobs import make_job
from collector.pipeline.snapshots import kept_outcome
from collector.status.telling import Empty, Evaluated, EvaluationFailed, SegmentFailed
from collector.status.verdict import made_segments, verdict_of
from collector.store.records import live_first

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collector.config import CollectorConfig
    from collector.pipeline.referring import Compared, Referring
    from collector.pipeline.spilling import Spilling
    from collector.pipeline.work import Work
    from collector.status.status import State
    from collector.status.telling import FailureKind
    from collector.store.records import Batch
    from collector.workers.exchange import Job, Outcome

# A report that raises will raise again, but one whose worker died or that took too long may work the next time.
MAX_ATTEMPTS = 2
# Snapshots that may wait for their workspace before evaluation waits, too.
MAX_OUTBOX = 100
# Seconds between looks for a missing reference: not every file system tells us of new files.
REFERENCE_INTERVAL = 10.0


class Evaluating:
    """Evaluates the batches of one collector, those of now before those of the past."""

    def __init__(self, work: Work, spilling: Spilling, referring: Referring) -> None:
        self._work = work
        self._referring = referring
        self._spilling = spilling
        self._checked: set[Path] = set()  # tables that were found sound
        # the reference and the conditions on its rows that were checked
        self._checked_rows: tuple[object, ...] | None = None
        self._took_too_long = False

    async def run(self) -> None:
        """Evaluate sealed batches, oldest first; runs until cancelled."""
        await self._work.count()
        await self._wait_until_sound()
        while True:
            await self._wait_for_room()
            if await self._find_problems(is_report_checked=True):
                await self._wait_until_sound()
            batch = live_first(await self._work.journal.batches(self._work.id, "sealed"))
            if batch is None:
                self._note_idle()
                await self._work.to_evaluate.wait()
            else:
                await self._evaluate(batch)

    # Whether it can be done

    async def _wait_until_sound(self) -> None:
        """Return once Evidently accepts the report and the reference is there; events are kept meanwhile."""
        while problems := await self._find_problems(is_report_checked=False):
            told = tuple(str(problem) for problem in problems)
            if told != self._work.status.problems:
                self._work.log.error("misconfigured: events are kept, and evaluated once this is fixed", problems=told)
            self._work.note(state="misconfigured", problems=told)
            with trio.move_on_after(REFERENCE_INTERVAL):
                await self._work.to_evaluate.wait()
        self._work.note(problems=())
        self._work.to_rehearse.ring()

    async def _find_problems(self, *, is_report_checked: bool) -> list[Problem]:
        try:
            return await self._look_for_problems(is_report_checked=is_report_checked)
        except EvaluationError as error:  # the worker that checks has failed: nothing else stops for that
            return [Problem((), str(error))]

    async def _look_for_problems(self, *, is_report_checked: bool) -> list[Problem]:
        workers = self._work.tools.workers
        config, base = self._work.config, self._work.tools.base
        if problems := config.outside(base, self._work.data_dir.path):
            return problems
        problems = await self._referring.look()
        config = self._referring.config
        if not is_report_checked:
            problems += await workers.check(config)
            problems += await self._work.workspace.problems(self._earlier())
        for field, path in config.tables(base).items():
            if path not in self._checked or not await trio.Path(path).exists():
                found = await workers.check_table(path, field)
                if any(problem.is_damage for problem in found):
                    self._work.data_dir.set_aside_reference(path)
                if not found:
                    self._checked.add(path)
                problems += found
        reference = config.reference_file(base)
        private = self._work.service.private_of(config)
        asked = (reference, private, *config.rows_wanted)
        if not problems and reference is not None and any(config.rows_wanted) and asked != self._checked_rows:
            problems += await workers.check_rows(config, reference, private)
            self._checked_rows = None if problems else asked
        return problems

    def _earlier(self) -> Iterable[CollectorConfig]:
        """Return the collectors before this one in the config: they win where two can't work together."""
        collectors = self._work.service.collectors
        return (collectors[key] for key in takewhile(lambda key: key != whole_of(self._work.id), collectors))

    async def _wait_for_room(self) -> None:
        while self._work.status.outbox >= MAX_OUTBOX:
            await self._work.delivered.wait()

    # Evaluating

    async def _evaluate(self, batch: Batch) -> None:
        self._work.note(state="evaluating")
        workers, clock = self._work.tools.workers, trio.current_time
        try:
            while await self._spilling.spill(batch.id):
                pass
            compared = await self._referring.compared(batch)
            # The time for a report begins when it has a worker. After a report that took too long, the collector waits
            # in a separate lane.
            async with (
                workers.backfills if batch.is_backfill else nullcontext(),
                workers.slow_reports if self._took_too_long else workers.reports,
            ):
                started = clock()
                job = await self._job(batch, compared)
                is_posted = self._work.config.is_posted
                starting_time = workers.posted_starting_time if is_posted else workers.starting_time
                with trio.fail_after(self._work.service.evaluation_timeout + starting_time):
                    outcome = await workers.evaluate(job)
                    reach("snapshot written")
        except FilesDamaged as error:
            self._work.counts.evaluations["damaged"] += 1
            await self._take_damage(batch, error)
        except NoRowsMatched as error:
            self._took_too_long = False
            await self._take_empty(batch, error)
        except (EvaluationError, trio.TooSlowError) as error:
            self._took_too_long = isinstance(error, trio.TooSlowError)
            await self._take_failure(batch, error)
        else:
            self._took_too_long = False
            await self._take_outcome(batch, outcome, clock() - started)
        self._work.to_label.ring()

    async def _job(self, batch: Batch, compared: Compared) -> Job:
        data_dir, base, service = self._work.data_dir, self._work.tools.base, self._work.service
        parts = [data_dir.path / part.path for part in await self._work.journal.parts(batch.id)]
        config, snapshot = compared.config.for_report(batch.report), data_dir.snapshot(batch.id)
        fast_reports, private = service.fast_reports, service.private_of(config)
        job = make_job(config, base, batch, parts, snapshot, fast_reports=fast_reports, private=private)
        return {**job, "awaits_reference": compared.lacking, "least_reference_rows": compared.least_rows}

    # The outcome

    async def _take_outcome(self, batch: Batch, outcome: Outcome, seconds: float) -> None:
        work = self._work
        kept = work.service.retention.snapshots
        if (window := outcome.get("window")) is not None:
            batch = replace(batch, start=window[0], end=window[1])
        labels = {name: batch.outcome[name] for name in (LABELS,) if name in batch.outcome}
        known, segments = {**kept_outcome(outcome, batch.outcome), **labels}, made_segments(outcome)
        await work.journal.keep_outcome(batch, known, verdict_of(outcome), kept, segments)
        reach("evaluated")
        await work.tell(Evaluated(batch, outcome, seconds))
        for one in outcome.get("segments", ()):
            if not one["ok"]:
                work.log.debug("where a segment's report failed", segment=one["segment"], traceback=one["traceback"])
                await work.tell(SegmentFailed(batch, one["segment"], one["error"]))
        await work.count()
        work.to_deliver.ring()

    async def _take_empty(self, batch: Batch, error: NoRowsMatched) -> None:
        """Count a batch as delivered if none of its rows meet the conditions: there is nothing to report."""
        work = self._work
        await work.journal.labels.write_down(batch.id, work.id)
        work.data_dir.mark_delivered(await work.journal.keep_empty(batch, work.service.retention.snapshots))
        reach("nothing to report")
        await work.tell(Empty(batch, error.why, error.notes))
        await work.count()
        work.to_deliver.ring()

    async def _take_damage(self, batch: Batch, error: FilesDamaged) -> None:
        """Set the damaged parts aside; the batch is evaluated with the rest. A damaged reference is waited for."""
        self._checked -= set(map(Path, error.paths))
        self._referring.take_damage(error.paths)
        lost = await drop_damaged(self._work, batch, error.paths)
        if lost is not None and not lost.batch.rows:
            await set_aside(self._work, lost.batch, lost.error)
            await self._work.count()

    async def _take_failure(self, batch: Batch, error: Exception) -> None:
        work, timeout = self._work, self._work.service.evaluation_timeout
        message = f"took longer than {timeout:g} s" if isinstance(error, trio.TooSlowError) else str(error)
        detail = getattr(error, "detail", "")
        attempts = batch.attempts + 1
        is_final = bool(detail) or attempts >= MAX_ATTEMPTS
        await work.tell(EvaluationFailed(batch, message, _kind_of(error), is_final))
        if is_final:
            await set_aside(work, batch, message, detail, attempts=attempts)
        else:
            await work.journal.mark(batch, "sealed", attempts=attempts, error=message)
        await work.count()

    def _note_idle(self) -> None:
        is_away = self._work.status.outbox and self._work.is_workspace_away
        state: State = "undelivered" if is_away else "waiting"
        self._work.note(state=state)


def _kind_of(error: Exception) -> FailureKind:
    """Return in a word why an evaluation failed: a report that raised has a traceback, a worker that died has none."""
    if isinstance(error, trio.TooSlowError):
        return "too_slow"
    return "raised" if getattr(error, "detail", "") else "worker_failed"
