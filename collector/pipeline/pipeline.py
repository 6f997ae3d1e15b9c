"""A pipeline: one collector at work.

Four tasks, with something on disk between any two of them: rows are sealed into batches when the trigger says so,
spilled to parquet when they are many, evaluated, delivered. Each looks at what its input holds and goes on, which is
also how it goes on after a crash.
"""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
import trio
import uuid6

from collector.errors import (
    DeliveryError,
    DeliveryRefused,
    EvaluationError,
    Problem,
    SnapshotRejected,
    SnapshotTooLarge,
)
from collector.fault_points import reach
from collector.pipeline.backoff import Backoff
from collector.pipeline.bell import Bell
from collector.pipeline.delivery import Progress
from collector.pipeline.status import Status

if TYPE_CHECKING:
    from pathlib import Path

    from collector.config import CollectorConfig, CollectorServiceConfig
    from collector.pipeline.delivery import Delivery
    from collector.pipeline.status import State
    from collector.pipeline.workers import Workers
    from collector.store.data_dir import DataDir
    from collector.store.journal import Journal
    from collector.store.statements import Batch

# A report that raises will raise again; one whose worker died or that took too long may not.
MAX_ATTEMPTS = 2
# Snapshots that wait for their workspace before evaluation does.
MAX_OUTBOX = 100
# A reference that isn't there is looked for again; nothing tells us of a file on any file system.
REFERENCE_INTERVAL = 10.0
REFUSED_INTERVAL = 60.0


@dataclass(frozen=True)
class Tools:
    """What all pipelines work with; ``base`` is the directory at which the config's relative paths start."""

    journal: Journal
    data_dir: DataDir
    workers: Workers
    delivery: Delivery
    base: Path


class Pipeline:
    """One collector at work; run it once, cancel it to stop it. What it was at stays on disk."""

    def __init__(self, config: CollectorConfig, service: CollectorServiceConfig, tools: Tools) -> None:
        self.config = config
        self._service = service
        self._tools = tools
        self._journal = tools.journal
        self._log = structlog.get_logger().bind(collector=config.id)
        self._to_evaluate = Bell()
        self._to_deliver = Bell()
        self._delivered = Bell()
        self._spilling = trio.Lock()
        self._checked_reference: Path | None = None
        self._notes: list[str] = []
        self._status = Status(config.id, "starting", 0, config.trigger.rows, None, 0, 0, 0, 0)

    def status(self) -> Status:
        """Say how it stands."""
        return replace(self._status, rows_waiting=self._journal.waiting(self.config.id).rows)

    async def run(self) -> None:
        """Work until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._seal_when_due)
            nursery.start_soon(self._spill_when_large)
            nursery.start_soon(self._evaluate_batches)
            nursery.start_soon(self._deliver_snapshots)

    async def flush(self) -> Batch | None:
        """Seal what waits now, whatever the trigger says; None if nothing does."""
        return await self._seal()

    async def failed(self) -> list[Batch]:
        """Give the batches whose report failed, oldest first."""
        return await self._journal.batches(self.config.id, "failed")

    async def retry(self) -> list[Batch]:
        """Have all failed batches evaluated again, and give them."""
        try:
            batches = await self._journal.retry(self.config.id)
        finally:
            self._to_evaluate.ring()
        await self._count()
        return batches

    def take_reference(self, config: CollectorConfig) -> None:
        """Take a config whose reference alone is new, from the next batch on; a report that runs goes on."""
        self.config = config
        self._to_evaluate.ring()

    # Sealing

    async def _seal_when_due(self) -> None:
        trigger = self.config.trigger
        fired = await self._journal.clock(
            self.config.id, time.time(), is_kept=trigger.next_time(time.time()) is not None
        )
        while True:
            due = trigger.next_time(fired)
            self._note(next_time=due)
            is_full = await self._wait_for_trigger(due)
            await self._seal(trigger.rows if is_full and trigger.rows else math.inf)
            if due is not None:
                fired = _clock_after(self.config, due, is_full=is_full)
                await self._journal.set_clock(self.config.id, fired)

    async def _wait_for_trigger(self, due: float | None) -> bool:
        """Wait until a batch is due; True when enough rows wait, False when it is time."""
        timeout = math.inf if due is None else max(0.0, due - time.time())
        with trio.move_on_after(timeout):
            await self._journal.wait_for_rows(self.config.id, self.config.trigger.rows or math.inf)
            return True
        return False

    async def _seal(self, rows: float = math.inf) -> Batch | None:
        try:
            batch = await self._journal.seal(self.config.id, str(uuid6.uuid7()), rows)
        finally:
            self._to_evaluate.ring()  # a client that hangs up while it flushes may have sealed a batch nevertheless
        if batch is not None:
            reach("sealed")
            self._log.info("batch sealed", batch=batch.id, rows=batch.rows)
            await self._count()
        return batch

    # Spilling

    async def _spill_when_large(self) -> None:
        rows = self.config.trigger.rows or math.inf
        while True:
            await self._journal.wait_for_spill(self.config.id, self._service.spill_rows, self._service.spill_bytes)
            if self._journal.waiting(self.config.id).rows >= rows:
                await self._seal(rows)  # a part that went past the end of a batch would make it longer
                continue
            try:
                await self._spill(None)
            except EvaluationError as error:
                self._log.error("waiting rows stay in the journal until their batch is evaluated", error=str(error))
                return

    async def _spill(self, batch_id: str | None) -> bool:
        """Move the oldest frames of a batch to a part; False if it has none."""
        async with self._spilling:
            run = await self._journal.next_run(
                self.config.id, batch_id, self._service.spill_rows, self._service.spill_bytes
            )
            if run is None:
                return False
            name = self._tools.data_dir.new_part()
            target = self._tools.data_dir.path / name
            part = await self._tools.workers.write_part(self._tools.data_dir.journal, run, target, name)
            reach("part written")
            if not await self._journal.spill(run, part):
                target.unlink()
            reach("spilled")
            return True

    # Evaluation

    async def _evaluate_batches(self) -> None:
        await self._count()
        await self._wait_until_sound()
        while True:
            await self._wait_for_room()
            if await self._find_problems(is_report_checked=True):
                await self._wait_until_sound()
            batch = next(iter(await self._journal.batches(self.config.id, "sealed")), None)
            if batch is None:
                self._note_idle()
                await self._to_evaluate.wait()
            else:
                await self._evaluate(batch)

    async def _wait_until_sound(self) -> None:
        """Return once Evidently takes the report and the reference is there; events are kept meanwhile."""
        while problems := await self._find_problems(is_report_checked=False):
            told = tuple(str(problem) for problem in problems)
            if told != self._status.problems:
                self._log.error("misconfigured: events are kept, and evaluated once this is mended", problems=told)
            self._note(state="misconfigured", problems=told)
            with trio.move_on_after(REFERENCE_INTERVAL):
                await self._to_evaluate.wait()
        self._note(problems=())

    async def _find_problems(self, *, is_report_checked: bool) -> list[Problem]:
        problems = [] if is_report_checked else await self._tools.workers.check(self.config)
        path = self.config.reference_file(self._tools.base)
        if path is not None and (path != self._checked_reference or not await trio.Path(path).exists()):
            found = await self._tools.workers.check_reference(path)
            self._checked_reference = None if found else path
            problems += found
        return problems

    async def _wait_for_room(self) -> None:
        while self._status.outbox >= MAX_OUTBOX:
            await self._delivered.wait()

    async def _evaluate(self, batch: Batch) -> None:
        self._note(state="evaluating")
        try:
            while await self._spill(batch.id):
                pass
            async with self._tools.workers.reports:  # what others take of the workers' time doesn't count
                started = trio.current_time()
                with trio.fail_after(self._service.evaluation_timeout):
                    outcome = await self._tools.workers.evaluate(await self._job(batch))
                    reach("snapshot written")
        except (EvaluationError, trio.TooSlowError) as error:
            await self._take_failure(batch, error)
        else:
            await self._take_outcome(batch, outcome, trio.current_time() - started)

    async def _job(self, batch: Batch) -> dict[str, Any]:
        config, parts = self.config, await self._journal.parts(batch.id)
        reference = config.reference_file(self._tools.base)
        return {
            "collector": config.id,
            "batch_id": batch.id,
            "report_config": config.report_config.model_dump(),
            "data_definition": config.data_definition,
            "column_mapping": config.column_mapping,
            "parts": [str(self._tools.data_dir.path / part.path) for part in parts],
            "reference": None if reference is None else str(reference),
            "cache_reference": config.cache_reference,
            "opened": _iso(batch.opened),
            "sealed": _iso(batch.sealed),
            "snapshot_path": str(self._tools.data_dir.snapshot(batch.id)),
            "save_datasets": config.save_datasets and config.workspace_kind == "cloud",
        }

    async def _take_outcome(self, batch: Batch, outcome: dict[str, Any], seconds: float) -> None:
        await self._journal.mark(batch, "evaluated", outcome=outcome)
        reach("evaluated")
        await self._enter("CreateReport", batch, outcome, ok=True, seconds=round(seconds, 3))
        self._log.info("report computed", batch=batch.id, rows=batch.rows, **_summary(outcome))
        if outcome["notes"] != self._notes:  # what is so with every batch is said once
            self._notes = outcome["notes"]
            for note in self._notes:
                self._log.warning(note, batch=batch.id)
        self._note(snapshots=self._status.snapshots + 1, last_snapshot={"batch": batch.id, **_summary(outcome)})
        await self._count()
        self._to_deliver.ring()

    async def _take_failure(self, batch: Batch, error: Exception) -> None:
        timeout = self._service.evaluation_timeout
        message = f"took longer than {timeout:g} s" if isinstance(error, trio.TooSlowError) else str(error)
        detail = getattr(error, "detail", "")
        attempts = batch.attempts + 1
        is_final = bool(detail) or attempts >= MAX_ATTEMPTS
        await self._enter("CreateReport", batch, {}, ok=False, error=f"Error running report: {message}")
        self._log.error("report failed", batch=batch.id, rows=batch.rows, error=message, is_kept_under_failed=is_final)
        if is_final:
            await self._set_aside(batch, f"{message}\n\n{detail}")
        await self._journal.mark(batch, "failed" if is_final else "sealed", attempts=attempts, error=message)
        self._note(last_error=message)
        await self._count()

    async def _set_aside(self, batch: Batch, text: str) -> None:
        """Move a batch's parts to failed/, beside its error; linked before the journal knows, unlinked after."""
        folder = self._tools.data_dir.failed(batch.id)
        parts = [self._tools.data_dir.path / part.path for part in await self._journal.parts(batch.id)]
        await trio.to_thread.run_sync(_link_into, folder, parts, text)
        moved = {f"parts/{path.name}": f"failed/{batch.id}/{path.name}" for path in parts if path.parent != folder}
        reach("set aside")
        await self._journal.move_parts(moved)
        reach("failed")
        for path in parts:
            if path.parent != folder:
                path.unlink()

    # Delivery

    async def _deliver_snapshots(self) -> None:
        backoff = Backoff()
        while True:
            batch = next(iter(await self._journal.batches(self.config.id, "evaluated")), None)
            if batch is None:
                await self._to_deliver.wait()
                continue
            try:
                await self._deliver(batch)
            except SnapshotRejected as error:
                await self._take_rejection(batch, error)
            except DeliveryError as error:
                await self._take_refusal(batch, error)
                pause = REFUSED_INTERVAL if isinstance(error, DeliveryRefused) else backoff.next()
                await trio.sleep(max(pause, error.retry_after))
            else:
                backoff.reset()

    async def _deliver(self, batch: Batch) -> None:
        snapshot = self._tools.data_dir.snapshot(batch.id)
        if not snapshot.exists():
            await self._evaluate_again(batch)
            return
        progress = Progress(partial(self._keep_progress, batch), **batch.outcome.get("progress", {}))
        try:
            await self._tools.delivery.deliver(self.config, batch, snapshot, progress)
        except SnapshotTooLarge as error:
            await self._make_smaller(snapshot, error)
            self._log.warning("snapshot is too large for the workspace: it is sent without its plots", batch=batch.id)
            await self._tools.delivery.deliver(self.config, batch, snapshot, progress)
        reach("delivered")
        await self._enter("UploadReport", batch, batch.outcome, ok=True)
        self._log.info("snapshot delivered", batch=batch.id, workspace=self.config.api_url)
        paths = await self._journal.finish(batch)
        reach("finished")
        self._tools.data_dir.remove(paths)
        self._tools.data_dir.remove_snapshot(batch.id)
        await self._count()
        self._note(last_error="", state="waiting" if self._status.state == "undelivered" else self._status.state)
        self._delivered.ring()

    async def _evaluate_again(self, batch: Batch) -> None:
        self._log.error("the snapshot's file is gone; its batch is evaluated again", batch=batch.id)
        await self._journal.mark(batch, "sealed")
        await self._count()
        self._delivered.ring()
        self._to_evaluate.ring()

    async def _make_smaller(self, snapshot: Path, too_large: SnapshotTooLarge) -> None:
        try:
            await self._tools.workers.strip_widgets(snapshot)
        except ValueError as error:
            raise SnapshotRejected(f"{too_large}; {error}") from error
        except EvaluationError as error:
            raise DeliveryError(str(error)) from error

    async def _keep_progress(self, batch: Batch, progress: dict[str, Any]) -> None:
        await self._journal.mark(batch, "evaluated", outcome={**batch.outcome, "progress": progress})

    async def _take_rejection(self, batch: Batch, error: SnapshotRejected) -> None:
        """Keep a batch under failed/ whose snapshot the workspace will never take; those behind it go on."""
        await self._enter("UploadReport", batch, batch.outcome, ok=False, error=f"Error saving snapshot: {error}")
        self._log.error("snapshot rejected; its batch is kept under failed", batch=batch.id, error=str(error))
        await self._set_aside(batch, str(error))
        await self._journal.mark(batch, "failed", error=str(error))
        self._tools.data_dir.remove_snapshot(batch.id)
        self._note(last_error=str(error))
        await self._count()
        self._delivered.ring()

    async def _take_refusal(self, batch: Batch, error: DeliveryError) -> None:
        if str(error) != self._status.last_error:
            await self._enter("UploadReport", batch, batch.outcome, ok=False, error=f"Error saving snapshot: {error}")
            self._log.error("snapshot waits for its workspace", batch=batch.id, error=str(error))
        self._note(state="undelivered", last_error=str(error))

    # What it says

    async def _enter(self, type_: str, batch: Batch, outcome: dict[str, Any], **fields: Any) -> None:
        """Add to the log, in the original's form with more fields."""
        entry = {
            "type": type_,
            "report_id": outcome.get("report_id", batch.id),
            "ok": fields.pop("ok"),
            "error": fields.pop("error", ""),
            "time": _iso(time.time()),
            "batch_id": batch.id,
            "rows": batch.rows,
            "window": [_iso(batch.opened), _iso(batch.sealed)],
            **_summary(outcome),
            **fields,
        }
        if type_ == "CreateReport":
            entry["notes"] = outcome.get("notes", [])
        await self._journal.log(self.config.id, entry, self._service.storage.max_log_events)

    async def _count(self) -> None:
        batches = await self._journal.batches(self.config.id, "sealed", "evaluated", "failed")
        states = [batch.state for batch in batches]
        self._note(sealed=states.count("sealed"), outbox=states.count("evaluated"), failed=states.count("failed"))

    def _note_idle(self) -> None:
        state: State = "undelivered" if self._status.outbox and self._status.last_error else "waiting"
        self._note(state=state)

    def _note(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes)


def _clock_after(config: CollectorConfig, due: float, *, is_full: bool) -> float:
    """Give the time from which the next one is counted: no drift, and no burst for what was missed."""
    now = time.time()
    following = config.trigger.next_time(due)
    return due if not is_full and following is not None and following > now else now


def _link_into(folder: Path, parts: list[Path], text: str) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "error.txt").write_text(text, encoding="utf-8")
    for path in parts:
        if path.parent != folder and not (folder / path.name).exists():
            try:
                (folder / path.name).hardlink_to(path)
            except OSError:  # not every file system has them
                shutil.copy2(path, folder / path.name)


def _summary(outcome: dict[str, Any]) -> dict[str, Any]:
    names = ("drift_share", "drifted_columns", "columns", "tests")
    return {name: outcome[name] for name in names if outcome.get(name) not in (None, {})}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
