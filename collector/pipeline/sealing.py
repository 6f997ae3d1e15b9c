"""Sealing: the open rows become a batch when the trigger says so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from collector.config import CronTrigger, EventTimeTrigger
from collector.fault_points import reach
from collector.status.telling import Sealed

if TYPE_CHECKING:
    from collector.config.triggers import Trigger
    from collector.formats.frames import Frame
    from collector.pipeline.work import Work
    from collector.store.records import Batch, Taken, Whole

# Seconds. If the wall clock is set back by less, cron waits until it has caught up, so that no time comes twice.
CRON_RESOLUTION = 60.0


class Sealing:
    """Seals batches of one collector."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._journal = work.journal
        self._clocks = work.tools.clocks

    async def run(self) -> None:
        """Seal a batch whenever one is due; runs until cancelled.

        An interval counts the time that has really passed; a cron line goes by the wall clock. What was missed is
        made up for once.
        """
        trigger, now, set_by = self._work.config.trigger, self._clocks.now(), self._clocks.set_by
        if isinstance(trigger, EventTimeTrigger):  # closing.py closes its windows
            return
        fired = await self._journal.clock(self._work.id, now, is_kept=trigger.next_time(now) is not None)
        fired = min(fired, now)  # the wall clock may have been set back while the service was down
        while True:
            while self._clocks.set_by != set_by:  # the clock was set while it waited, or while a batch was sealed
                fired = _after_setting(trigger, fired, self._clocks.set_by - set_by, self._clocks.now())
                set_by = self._clocks.set_by
                await self._journal.set_clock(self._work.id, fired)
            due = trigger.next_time(fired)
            self._work.note(last_time=None if due is None else fired, next_time=due)
            came = await self._wait_for_any(due)
            if came == "clock":
                continue
            batch = None
            if self._journal.waiting(self._work.id).rows:  # most collectors of a thousand have none
                batch = await self._cut(trigger.rows if came == "rows" and trigger.rows else math.inf)
            if due is not None and came == "time" and self._clocks.set_by == set_by:
                self._work.counts.lateness.observe(max(0.0, self._clocks.now() - due))
            await self._tell(batch)
            if due is not None:
                fired = self._fired(trigger, due, is_full=came == "rows")
                await self._journal.set_clock(self._work.id, fired)

    async def seal(self, rows: float = math.inf) -> Batch | None:
        """Seal the oldest open rows, at least ``rows`` of them, by default all; None if there are none, or fewer."""
        batch = await self._cut(rows)
        await self._tell(batch)
        return batch

    async def take_whole(self, whole: Whole, frame: Frame) -> Taken:
        """Make a batch of a body, beside the open one, unless it is known; see Journal.take_whole."""
        work = self._work
        try:
            taken = await self._journal.take_whole(whole, frame, self._work.labels_wait)
        finally:
            work.to_evaluate.ring()  # even if cancelled, as in _cut
            work.to_label.ring()
        for old in taken.replaced:
            work.data_dir.remove_batches(list(old.paths), [old.batch])
            work.data_dir.remove_failed(old.batch)
        if taken.is_new:
            reach("taken whole")
            await work.count()
            work.log.info("batch sealed", batch=taken.batch, rows=frame.rows, is_backfill=whole.is_backfill)
        return taken

    async def _cut(self, rows: float) -> Batch | None:
        try:
            if self._work.source.is_full:
                await self._work.source.wait_for_room()
            batch = await self._journal.seal(self._work.id, self._work.source.name_batch, rows, self._work.labels_wait)
            if batch is not None:
                self._work.count_sealed(batch)
            return batch
        finally:
            self._work.source.note_change()
            self._work.to_label.ring()
            # even if cancelled: the flush of a client that hangs up may still seal a batch
            self._work.to_evaluate.ring()

    async def _tell(self, batch: Batch | None) -> None:
        if batch is not None:
            reach("sealed")
            await self._work.count()
            await self._work.tell(Sealed(batch))

    async def _wait_for_any(self, due: float | None) -> str:
        """Wait until enough rows wait ("rows"), it is time ("time"), or the clock was set ("clock")."""
        came, changes = "time", self._clocks.changes
        with self._clocks.until(due):
            await self._journal.wait_for_rows(self._work.id, self._work.config.trigger.rows or math.inf)
            came = "rows"
        return came if self._clocks.changes == changes else "clock"

    def _fired(self, trigger: Trigger, due: float, *, is_full: bool) -> float:
        """Return the time from which the next one is counted, without drift, and without a burst after missed times."""
        now, following = self._clocks.now(), trigger.next_time(due)
        return due if not is_full and following is not None and following > now else now


def _after_setting(trigger: Trigger, fired: float, set_by: float, now: float) -> float:
    """Return when a trigger last fired, by a wall clock that has been set."""
    if isinstance(trigger, CronTrigger):
        return fired if fired - now < CRON_RESOLUTION else now
    shifted = fired + set_by
    # it fired after the clock was set and before we noticed: that time is by the new clock
    return shifted if shifted <= now else fired
