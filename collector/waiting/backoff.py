"""Backoff: how long to wait before the next try."""

from __future__ import annotations

import random

FIRST = 0.5
LONGEST = 60.0
# Seconds between tries if a person has to mend the cause; no backoff then.
REFUSED_INTERVAL = 60.0


class Backoff:
    """Pauses that double from half a second to a minute, each shortened by up to a half so that many don't meet."""

    def __init__(self) -> None:
        self._pause = FIRST

    def next(self) -> float:
        """Return the next pause in seconds."""
        pause, self._pause = self._pause, min(LONGEST, self._pause * 2)
        return pause * random.uniform(0.5, 1)  # noqa: S311  (no secret)

    def reset(self) -> None:
        """Begin again, after a success."""
        self._pause = FIRST
