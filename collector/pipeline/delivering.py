"""Delivering: snapshots go to the workspace in their order, and wait on disk while it is away."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from collector.errors import (
    DeliveryError,
    DeliveryRefused,
    EvaluationError,
    SnapshotRejected,
    SnapshotTooLarge,
)
from collector.fault_points import reach
from collector.pipeline.asking import ask_workspace
from collector.pipeline.failed import set_aside
from collector.pipeline.snapshots import outgoing_of, part_of
from collector.status.telling import Delivered, Rejected, SegmentFailed, Undelivered
from collector.store.records import live_first
from collector.waiting.backoff import REFUSED_INTERVAL, Backoff
from collector.workspaces.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from collector.pipeline.showing import Showing
    from collector.pipeline.work import Work
    from collector.store.records import Batch
    from collector.workspaces.outgoing import Outgoing

PRUNING_INTERVAL = 60.0
_TOO_LARGE = "snapshot is too large for the workspace: it is sent without its plots"
_OUTCOMES = {DeliveryRefused: "refused", SnapshotRejected: "rejected", SnapshotTooLarge: "too_large"}

_in_thread = trio.to_thread.run_sync


class Delivering:
    """Delivers the snapshots of one collector."""

    def __init__(self, work: Work, showings: Sequence[Showing]) -> None:
        self._work = work
        self._showings = showings

    async def run(self) -> None:
        """Deliver what was evaluated, oldest first, and the past last; runs until cancelled."""
        backoff = Backoff()
        while True:
            batch = live_first(await self._work.journal.batches(self._work.id, "evaluated"))
            if batch is None:
                await self._prune()
                with trio.move_on_after(PRUNING_INTERVAL):
                    await self._work.to_deliver.wait()
                continue
            try:
                is_delivered = await self._deliver(batch)
            except SnapshotRejected as error:
                await self._take_rejection(batch, error)
            except DeliveryError as error:
                is_news = str(error) != self._work.status.last_error
                await self._work.tell(Undelivered(batch, str(error), is_news))
                pause = REFUSED_INTERVAL if isinstance(error, DeliveryRefused) else backoff.next()
                await trio.sleep(max(pause, error.retry_after))
            else:
                if is_delivered:
                    backoff.reset()
                else:  # pause: a disk that spoils its files would have reports computed without end
                    await trio.sleep(backoff.next())

    async def _deliver(self, batch: Batch) -> bool:
        """Deliver a batch's snapshots, one after the other. Each is noted once done, so that none is delivered twice.

        Returns False if a snapshot is spoiled: the batch is evaluated again.
        """
        work, has_plots = self._work, True
        for outgoing in outgoing_of(batch, work.data_dir):
            save = partial(self._keep_progress, batch, outgoing.segment)
            progress = Progress(save, work.source.sending, **outgoing.progress)
            if work.source.is_inherited(batch.id):
                progress.is_doubtful = True
            if not progress.is_done:
                checksum = progress.checksum or outgoing.outcome.get("checksum")
                if not await _in_thread(work.data_dir.is_snapshot_sound, outgoing.path, checksum):
                    await self._evaluate_again(batch, outgoing.path)
                    return False
                await self._deliver_one(batch, outgoing, progress)
            has_plots = has_plots and progress.has_plots
        reach("delivered")
        await work.tell(Delivered(batch, work.config.shown_url, has_plots=has_plots))
        await work.journal.labels.write_down(batch.id, work.id)
        work.data_dir.mark_delivered(await work.journal.finish(batch))
        work.source.note_change()
        reach("finished")
        await work.count()
        work.delivered.ring()
        for showing in self._showings:
            await showing.look(batch)
        return True

    async def _deliver_one(self, batch: Batch, outgoing: Outgoing, progress: Progress) -> None:
        """Deliver one snapshot; if the workspace rejects that of a segment, only this segment fails."""
        try:
            await self._send_or_shrink(batch, outgoing, progress)
        except SnapshotRejected as error:
            if not outgoing.segment:
                raise
            await self._finish_one(batch, outgoing.segment, progress, str(error))
            await self._work.tell(SegmentFailed(batch, outgoing.segment, str(error), is_rejected=True))
        else:
            if len(batch.outcome.get("segments") or ()):  # otherwise the batch's own state says so
                await self._finish_one(batch, outgoing.segment, progress)
                reach("segment delivered")

    async def _send_or_shrink(self, batch: Batch, outgoing: Outgoing, progress: Progress) -> None:
        try:
            await self._send(batch, outgoing, progress)
        except SnapshotTooLarge as error:
            await progress.keep(checksum=await self._make_smaller(outgoing.path, error), has_plots=False)
            said = {"segment": outgoing.segment} if outgoing.segment else {}
            self._work.log.warning(_TOO_LARGE, batch=batch.id, **said)
            await self._send(batch, outgoing, progress)

    async def _prune(self) -> None:
        """Remove delivered batches that are beyond the retention."""
        work = self._work
        rule = None if work.config.reference_path else work.config.reference_from
        work.data_dir.remove_batches(*await work.journal.prune(work.id, work.service.retention, rule))

    async def _send(self, batch: Batch, outgoing: Outgoing, progress: Progress) -> None:
        """Try once, and count the try."""
        with self._counted():
            await ask_workspace(self._work, lambda: self._work.workspace.deliver(outgoing, progress), batch.id)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a try with its outcome; one that our own stop cuts off isn't counted."""
        started = trio.current_time()
        try:
            yield
        except DeliveryError as error:
            self._count(_OUTCOMES.get(type(error), "failed"), started)
            raise
        else:
            self._count("ok", started)

    def _count(self, outcome: str, started: float) -> None:
        self._work.counts.deliveries[outcome] += 1
        self._work.counts.delivery.observe(trio.current_time() - started)

    async def _evaluate_again(self, batch: Batch, snapshot: Path) -> None:
        work = self._work
        kept = work.data_dir.set_aside(snapshot, "snapshot")
        state = "gone" if kept is None else "damaged, and set aside"
        work.log.error("a snapshot's file is gone or damaged; its batch is evaluated again", batch=batch.id, file=state)
        await work.journal.mark(batch, "sealed")
        await work.count()
        work.delivered.ring()
        work.to_evaluate.ring()

    async def _make_smaller(self, snapshot: Path, too_large: SnapshotTooLarge) -> int:
        try:
            return await self._work.tools.workers.strip_widgets(snapshot)
        except ValueError as error:
            raise SnapshotRejected(f"{too_large}; {error}") from error
        except EvaluationError as error:
            raise DeliveryError(str(error)) from error

    async def _keep_progress(self, batch: Batch, segment: str, progress: dict[str, Any]) -> None:
        # Kept in the batch, which all of its snapshots share: each adds to what the others have kept.
        part_of(batch.outcome, segment)["progress"] = progress
        await self._work.journal.mark(batch, "evaluated", outcome=batch.outcome)

    async def _finish_one(self, batch: Batch, segment: str, progress: Progress, error: str = "") -> None:
        """Note that one of several snapshots is in the workspace, or never will be."""
        part_of(batch.outcome, segment)["progress"] = {**progress.as_kept(), "is_done": True}
        await self._work.journal.keep_delivery(batch, batch.outcome, segment, error)

    async def _take_rejection(self, batch: Batch, error: SnapshotRejected) -> None:
        """Move a batch under failed/ because the workspace will never accept its snapshot; later batches go on."""
        work = self._work
        await work.tell(Rejected(batch, str(error)))
        await set_aside(work, batch, str(error))
        work.data_dir.remove_snapshot(batch.id)
        await work.count()
        work.delivered.ring()
