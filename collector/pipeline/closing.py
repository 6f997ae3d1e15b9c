"""Closing: windows of event time become batches once the clock has passed their end, and the time for late rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio
import uuid6

from collector.config import EventTimeTrigger
from collector.config.periods import DAY
from collector.errors import EvaluationError
from collector.fault_points import reach
from collector.status.telling import Sealed

if TYPE_CHECKING:
    from collector.pipeline.spilling import Spilling
    from collector.pipeline.work import Work
    from collector.store.records import Batch

# Seconds until the next try, if rows can't be written to parts. Their windows stay open.
PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class _Due:
    """Windows that begin before ``upto`` are over. One that begins after ``tomorrow`` comes from a wrong clock."""

    upto: float
    tomorrow: float

    def has(self, start: float) -> bool:
        return start < self.upto or start > self.tomorrow


class Closing:
    """Closes windows of one collector whose trigger goes by event time; for any other it does nothing.

    To which window a row belongs is told once, when its part is made. So all open frames are made parts first, and
    nothing else makes parts while windows are closed: a row is late or it isn't.
    """

    def __init__(self, work: Work, spilling: Spilling) -> None:
        self._work = work
        self._spilling = spilling
        self._clocks = work.tools.clocks

    async def begin(self) -> None:
        """Find out which windows are open: those after the last that was closed.

        Another trigger, or another period or zone, may have cut elsewhere: what it left counts to the window of this
        one in which it begins.
        """
        trigger = self._work.config.trigger
        if not isinstance(trigger, EventTimeTrigger):
            return
        now = self._clocks.now()
        first, _ = trigger.periods.window_of(now - trigger.lateness)
        journal, id_ = self._work.journal, self._work.id
        kept = await journal.clock(id_, first)
        if kept > now + DAY:  # the clock was set back since
            kept = first
        open_from = float(trigger.periods.window_of(kept)[0])
        await journal.set_clock(id_, open_from)
        for start in await journal.open_windows(id_, open_from):
            whole, _ = trigger.periods.window_of(start)
            if whole != start:
                await journal.move_window(id_, start, whole)
        self._work.open_from = open_from

    async def run(self) -> None:
        """Close windows when they are due; runs until cancelled."""
        trigger = self._work.config.trigger
        while isinstance(trigger, EventTimeTrigger):
            due = trigger.next_time(self._work.open_from)
            self._work.note(last_time=self._work.open_from, next_time=due)
            with self._clocks.until(due):
                await trio.sleep(math.inf)
            try:
                await self._close(trigger, self._due(trigger))
            except EvaluationError as error:
                self._work.log.warning("windows stay open: their rows can't be written", error=str(error))
                await trio.sleep(PAUSE)

    async def flush(self) -> Batch | None:
        """Make batches of all windows that have rows, which stay open; return the newest, None if there is none."""
        trigger = self._work.config.trigger
        assert isinstance(trigger, EventTimeTrigger)  # noqa: S101  (who calls it has looked)
        batches = await self._close(trigger, _Due(self._work.open_from, -math.inf))
        return batches[-1] if batches else None

    def _due(self, trigger: EventTimeTrigger) -> _Due:
        now = self._clocks.now()
        upto, _ = trigger.periods.window_of(now - trigger.lateness)
        return _Due(max(self._work.open_from, upto), now + DAY)

    async def _close(self, trigger: EventTimeTrigger, due: _Due) -> list[Batch]:
        work, journal = self._work, self._work.journal
        batches: list[Batch] = []
        upto = await journal.last_open_frame(work.id)
        while await journal.has_open_frames(work.id, upto):
            await self._spilling.spill(None)
        try:
            async with self._spilling.held():
                for start in await journal.open_windows(work.id, work.open_from):
                    if due.has(start):
                        _, end = trigger.periods.window_of(start)
                        batches += await self._seal((start, end), max(work.open_from, min(end, due.upto)))
                if due.upto > work.open_from:
                    await journal.set_clock(work.id, due.upto)
                    work.open_from = due.upto
        finally:
            work.to_label.ring()
            work.to_evaluate.ring()
        await work.count()
        for batch in batches:
            await work.tell(Sealed(batch))
        return batches

    async def _seal(self, window: tuple[float, float], open_from: float) -> list[Batch]:
        work = self._work
        batch = await work.journal.seal_window(
            work.id, str(uuid6.uuid7()), window, (work.open_from, open_from), work.labels_wait
        )
        if batch is not None:
            work.count_sealed(batch)
        work.open_from = open_from
        reach("window closed")
        return [] if batch is None else [batch]
