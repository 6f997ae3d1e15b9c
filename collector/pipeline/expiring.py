"""Expiring: requests whose response doesn't come, and responses without their request, are dropped and counted."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collector.pipeline.work import Work

# A half is looked for this often in its time: it goes at most a quarter later.
_STEPS = 4
# Seconds between log lines about expired halves, each with their number: models fail at requests all day long.
TOLD_EVERY = 3600.0


class Expiring:
    """Drops the halves of one collector.

    A half's age is told by what had come before a pause, and not by a clock: one may be set, and after a restart the
    other half gets all its time again.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        kserve = work.config.input.kserve if work.config.input is not None else None
        self._wait = kserve.wait if kserve is not None else 0.0  # 0: the config makes no events of halves any more
        self._requests = self._responses = 0
        self._told = float("-inf")

    async def run(self) -> None:
        """Drop what has waited too long, until cancelled, or until nothing waits where nothing more can come."""
        newest: deque[int] = deque()
        halves, id_ = self._work.journal.halves, self._work.id
        while self._work.config.input is not None or halves.waiting(id_):
            newest.append(await halves.newest(id_))
            await trio.sleep(max(self._wait, 1.0) / _STEPS)
            if len(newest) == _STEPS and (upto := newest.popleft()):
                self._tell(*await halves.expire(id_, upto))

    def _tell(self, requests: int, responses: int) -> None:
        self._work.counts.logged["expired"] += requests + responses
        self._requests += requests
        self._responses += responses
        now = trio.current_time()
        if not (self._requests or self._responses) or now < self._told + TOLD_EVERY:
            return
        self._work.log.warning(
            "requests had no response in time, or responses no request; they are in no batch",
            requests=self._requests,
            responses=self._responses,
            wait=self._wait,
        )
        self._requests = self._responses = 0
        self._told = now
