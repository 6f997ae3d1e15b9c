"""Spilling: frames move from the journal to parquet parts, when they are many and before a batch is evaluated.

Those of labels move alike, when whoever looks after these says so.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from collector.config import EventTimeTrigger
from collector.errors import EvaluationError, StorageError
from collector.fault_points import reach
from collector.store.windowed import Windows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from collector.pipeline.sealing import Sealing
    from collector.pipeline.work import Work
    from collector.store.records import Part, Run


class Spilling:
    """Spills frames of one collector, or of its labels: then ``stream`` is theirs."""

    def __init__(self, work: Work, sealing: Sealing, stream: str = "") -> None:
        self._work = work
        self._sealing = sealing
        self._stream = stream or work.id
        self._one_at_a_time = trio.Lock()
        self._most_rows = math.inf  # rows of a part, lowered when a part takes too long

    async def run(self) -> None:
        """Spill open frames whenever they are too many; runs until cancelled, or until some can't be written."""
        journal = self._work.journal
        rows = self._work.config.trigger.rows or math.inf
        while True:
            await journal.wait_for_spill(self._work.id, self._bounds)
            if journal.waiting(self._work.id).rows >= rows:
                await self._sealing.seal(rows)
                continue
            try:
                await self.spill(None)
            except EvaluationError as error:
                self._work.log.warning("rows stay in the journal until their batch is evaluated", error=str(error))
                return

    def _bounds(self) -> tuple[int, int]:
        return self._work.service.spill_rows, self._work.service.spill_bytes

    def _most_at_once(self, batch_id: str | None) -> tuple[int, int]:
        rows, max_bytes = self._bounds()
        return int(max(1, min(rows, self._most_rows, self._up_to_the_end(batch_id)))), max_bytes

    def _up_to_the_end(self, batch_id: str | None) -> float:
        """Return how many open rows may be moved without going past the end of a batch, which would make it longer."""
        wanted, waiting = self._work.config.trigger.rows, self._work.journal.waiting(self._work.id)
        if wanted is None or batch_id is not None or self._stream != self._work.id:
            return math.inf
        return wanted - (waiting.rows - waiting.frame_rows)

    async def spill(self, batch_id: str | None) -> bool:
        """Move the oldest frames of a batch (None: the open one) to a part; False if it has none.

        Those that take too long go in halves: other collectors wait for the processes that write parts.
        """
        work = self._work
        async with self._one_at_a_time:
            run = await work.journal.next_run(self._stream, batch_id, *self._most_at_once(batch_id))
            if run is None:
                return False
            name = work.data_dir.new_part()
            target = work.data_dir.path / name
            try:
                made = await self._write(run, target, name, is_open=batch_id is None)
            except trio.TooSlowError as error:
                if run.frames == 1:
                    raise EvaluationError(f"a frame of {run.rows} rows takes too long to be written") from error
                self._most_rows = run.rows // 2
                work.log.warning("a part takes too long to be written: half of its rows are tried", rows=run.rows)
                return True
            self._most_rows *= 2
            reach("part written")
            try:
                is_moved = await work.journal.spill(run, *made)
            except StorageError:
                self._remove(made)  # the next try makes new ones, and the disk may be full
                raise
            if is_moved:
                lost = run.rows - sum(part.rows for part in made)
                work.tools.counts.of(self._stream).damaged_rows += lost
                self._note_late(sum(part.late for part in made))
            else:
                self._remove(made)
            reach("spilled")
            return True

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Have no part made while the block lasts."""
        async with self._one_at_a_time:
            yield

    async def _write(self, run: Run, target: Path, name: str, *, is_open: bool) -> list[Part]:
        """Write the rows of a run to a part; open rows by event time go to one part for each window."""
        work, config = self._work, self._work.config
        is_of_events = is_open and self._stream == work.id
        if not (is_of_events and isinstance(config.trigger, EventTimeTrigger) and config.timestamp_column):
            return [await work.tools.workers.write_part(work.data_dir.path, run, target, name)]
        trigger = config.trigger
        windows = Windows(config.timestamp_column, int(trigger.period), trigger.timezone, work.open_from)
        return await work.tools.workers.write_windows(work.data_dir.path, run, target, name, windows)

    def _note_late(self, rows: int) -> None:
        if rows:
            self._work.counts.late_rows += rows
            self._work.log.warning("rows came after their window was closed; they are in the next batch", rows=rows)

    def _remove(self, made: Iterable[Part]) -> None:
        for part in made:
            if part.rows:  # a part without rows was never written
                (self._work.data_dir.path / part.path).unlink(missing_ok=True)
