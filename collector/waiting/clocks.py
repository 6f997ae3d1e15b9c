"""Clocks: the wall clock, for what is written down, and a word when it parts from the time that has really passed.

trio waits by a clock that stands still while the machine is suspended and doesn't heed that somebody sets the wall
clock. So whoever waits for a wall time looks again when told.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import trio

_log = structlog.get_logger()

INTERVAL = 1.0
# Seconds. NTP slews a clock by less than a thousandth of an interval; a larger step means that the clock was set or the
# machine slept.
TOLERANCE = 0.5


def boot_time() -> float:
    """Return seconds by a clock that doesn't stand still while the machine sleeps."""
    # macOS has no CLOCK_BOOTTIME, but its monotonic clock goes on in sleep; Linux's doesn't.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clocks:
    """The wall clock, and by how much it was set since the start; ``passed`` counts seconds, suspended ones too.

    ``changes`` counts how often a wait for a wall time has become wrong, as the clock was set or the machine suspended.
    """

    def __init__(self, now: Callable[[], float] = time.time, passed: Callable[[], float] = boot_time) -> None:
        self.now = now
        self.set_by = 0.0
        self.changes = 0
        self._passed = passed
        self._waits: set[trio.CancelScope] = set()

    @contextmanager
    def until(self, due: float | None) -> Iterator[None]:
        """Cancel what is in the block at a wall time (None: never), and whenever the wait for it has become wrong."""
        seconds = math.inf if due is None else max(0.0, due - self.now())
        wait = trio.CancelScope(deadline=trio.current_time() + seconds)
        self._waits.add(wait)
        try:
            with wait:
                yield
        finally:
            self._waits.remove(wait)

    async def watch(self) -> None:
        """Notice when the wall clock is set and when the machine was suspended; runs until cancelled."""
        before = self._offsets()
        while True:
            await trio.sleep(INTERVAL)
            after = self._offsets()
            set_by, suspended = (new - old for new, old in zip(after, before, strict=True))
            before = after
            if max(abs(set_by), suspended) > TOLERANCE:
                self._tell(set_by if abs(set_by) > TOLERANCE else 0, suspended)

    def _offsets(self) -> tuple[float, float]:
        return self.now() - self._passed(), self._passed() - trio.current_time()

    def _tell(self, set_by: float, suspended: float) -> None:
        if set_by:
            _log.warning("the wall clock was set; intervals keep their pace", seconds=round(set_by, 1))
        if suspended > TOLERANCE:
            _log.warning(
                "the machine was suspended; a trigger that was due meanwhile fires once", seconds=round(suspended)
            )
        self.set_by += set_by
        self.changes += 1
        for wait in self._waits:
            wait.cancel()
