"""Fencing: a commit that the group takes proves that a collector was still ours when it was sent.

A commit is refused unless it comes from a member of the group's present generation, and our thread sends none under a
grant that is over. So whoever is about to deliver commits first, and delivers within a second of the moment before that
commit was sent; by a clock that goes on while the machine sleeps or the process is stopped.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import structlog
import trio

from collector.errors import DeliveryError, OwnershipLost
from collector.waiting.clocks import boot_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from collector.sources.chain import Chain
    from collector.sources.grants import Grant
    from collector.sources.ownership import Order, Ownership

# Seconds for which a fence holds; and for which a delivery waits for one.
FENCE_SECONDS = 1.0
FENCE_PATIENCE = 5.0
# Seconds before a refused commit is sent again, by the name of the error. The rightful owner may get the first three,
# too, while the group settles. The others mean that the callbacks will take the share from us.
_PAUSES = {
    "ILLEGAL_GENERATION": 0.1,
    "STALE_MEMBER_EPOCH": 0.1,
    "REBALANCE_IN_PROGRESS": 0.1,
    "UNKNOWN_MEMBER_ID": 0.5,
    "FENCED_INSTANCE_ID": 0.5,
    "FENCED_MEMBER_EPOCH": 0.5,
}
_OTHER_PAUSE = 0.2
_FENCED = frozenset({"UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID", "FENCED_MEMBER_EPOCH"})
# Seconds between log lines about brokers that don't take commits.
_TOLD_AFTER = 30.0

Outcome = Literal["ok", "fenced", "failed"]

_log = structlog.get_logger()


class Fencing:
    """Commits what a collector's journal says, under one grant; ``read`` says it, ``count`` hears what came of each."""

    def __init__(
        self,
        ownership: Ownership,
        grant: Grant,
        read: Callable[[], Awaitable[Chain]],
        clock: Callable[[], float] = boot_time,
        count: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._ownership = ownership
        self._grant = grant
        self._read = read
        self._clock = clock
        self._count = count
        self._one_at_a_time = trio.Lock()
        self._unanswered: Order | None = None

    async def commit(self) -> float:
        """Publish the chain as it is; return the time before the commit was sent that was taken. Raises OwnershipLost.

        It is sent again until it is taken: at each time what then holds, so an old chain never replaces a new one.
        """
        began = told = self._clock()
        async with self._one_at_a_time:
            while True:
                asked = self._clock()
                error = await self._send()
                if not self._ownership.grants.holds(self._grant):
                    raise OwnershipLost
                if not error:
                    return asked
                if self._clock() - told > _TOLD_AFTER:
                    told = self._clock()
                    _log.warning("the brokers take no commits", error=error, seconds=round(told - began))
                await trio.sleep(_PAUSES.get(error, _OTHER_PAUSE))

    async def _send(self) -> str:
        """Send one commit and return the brokers' answer; first wait for that of an earlier one that was given up."""
        if self._unanswered is not None:
            await self._unanswered.wait()
        chain = await self._read()
        self._unanswered = self._ownership.order(self._grant, chain)
        try:
            error = await self._unanswered.wait()
        except OwnershipLost:
            self._count("fenced")
            raise
        self._unanswered = None
        self._count("ok" if not error else "fenced" if error in _FENCED else "failed")
        return error

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Hold the collector while a snapshot is sent: it goes to no other service, for some seconds at most.

        Raises OwnershipLost if it isn't ours, DeliveryError if the brokers don't say that it is.
        """
        fenced = -math.inf
        with trio.move_on_after(FENCE_PATIENCE):
            while self._clock() - fenced > FENCE_SECONDS:
                fenced = await self.commit()
        self._ownership.grants.begin_sending(self._grant)
        try:
            if not self._ownership.grants.holds(self._grant):
                raise OwnershipLost
            if self._clock() - fenced > FENCE_SECONDS:
                raise DeliveryError(
                    f"the Kafka brokers didn't confirm within {FENCE_PATIENCE:g} s that the collector is still here; "
                    "it is tried again",
                    is_ambiguous=True,
                )
            yield
        finally:
            self._ownership.grants.end_sending(self._grant)
