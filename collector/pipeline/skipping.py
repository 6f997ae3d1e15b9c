"""Skipping: events that a full follower doesn't take are counted; the log says when that begins, and when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from collector.waiting.bell import Bell

if TYPE_CHECKING:
    from collector.pipeline.work import Work

# Skipping is over once this many seconds pass without it: a full follower has room now and then.
QUIET = 60.0
PAUSE = 1.0  # seconds between two looks, whatever comes


class Skipping:
    """Counts and reports the events that one collector skips."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._bell = Bell()
        self._why = ""
        self._told = work.counts.skipped_rows

    def note(self, rows: int, why: str) -> None:
        """Count rows that it skips."""
        self._work.counts.skipped_rows += rows
        self._why = why
        self._bell.ring()

    async def run(self) -> None:
        """Tell when it begins to skip events, and when it takes them again; runs until cancelled."""
        work, counts = self._work, self._work.counts
        while True:
            await self._bell.wait()
            since = work.tools.clocks.now()
            work.note(skipping_since=since, skipping_why=self._why)
            await work.tell_skipped(f"it skips its events, so that they are in no batch of it: {self._why}", since)
            while await self._goes_on():
                work.note(skipping_why=self._why)
                await trio.sleep(PAUSE)
            work.note(skipping_since=None, skipping_why="")
            rows, self._told = counts.skipped_rows - self._told, counts.skipped_rows
            await work.tell_skipped(f"it takes its events again; {rows} rows were skipped", since, rows)

    async def _goes_on(self) -> bool:
        with trio.move_on_after(QUIET) as quiet:
            await self._bell.wait()
        return not quiet.cancelled_caught
