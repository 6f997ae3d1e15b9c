"""Sending: messages wait in the outbox, and are sent to their address in order, until it has accepted them.

Each address has a task of its own, so that none waits for another. A message is sent at least once: after a kill or a
lost answer it is sent again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import structlog
import trio

from collector.config.alerts import address_key, is_webhook, shown_address
from collector.config.environment import filled
from collector.errors import AlertRefused, AlertRejected, AlertUnsent, ConfigError, StorageError
from collector.fault_points import reach
from collector.waiting.backoff import REFUSED_INTERVAL, Backoff
from collector.waiting.bell import Bell

if TYPE_CHECKING:
    from collector.status.counts import AlertCounts
    from collector.store.alerts import AlertBook
    from collector.web.clients import Clients

_log = structlog.get_logger()

# How often a receiver may reject a message before it is given up, so that the messages behind it go on.
MAX_REJECTIONS = 5
# How many messages wait in memory while the disk refuses to keep them. The newest stay.
MAX_UNKEPT = 100


async def send(clients: Clients, address: str, body: str) -> str:
    """Send a message once; return the answer in words, or raise AlertUnsent."""
    try:
        target = filled(address)
    except ConfigError as error:
        raise AlertRefused(str(error)) from error
    if is_webhook(target):
        from collector.alerts.webhook import post

        return await post(clients, target, body)
    from collector.alerts.by_apprise import send as send_by_apprise

    return await send_by_apprise(target, body)


class Sending:
    """Sends what waits for one address."""

    def __init__(self, address: str, book: AlertBook, clients: Clients, counts: AlertCounts) -> None:
        self.counts = counts
        self._address = address
        self._key = address_key(address)
        self._book = book
        self._clients = clients
        self._bell = Bell()
        self._unkept: deque[str] = deque(maxlen=MAX_UNKEPT)
        self._sent_upto = 0  # the number of the last message sent: the journal may fail to drop it
        self._rejections = 0
        self._told = ""
        self._waiting = 0
        self._log = _log.bind(address=shown_address(address))

    def note_posted(self, dropped: int) -> None:
        """Note that a message waits, and how many of the oldest were dropped for it."""
        self.counts.dropped += dropped
        self._count_waiting(self._waiting + 1 - dropped)
        self._bell.ring()

    def send_unkept(self, body: str) -> None:
        """Have a message sent that the disk refused to keep."""
        self._unkept.append(body)
        self._bell.ring()

    async def run(self) -> None:
        """Send what waits, oldest first; runs until cancelled."""
        backoff = Backoff()
        while True:
            try:
                is_done = await self._send_next()
            except AlertUnsent as error:
                self.counts.failed += 1
                self._tell(error)
                pause = REFUSED_INTERVAL if isinstance(error, AlertRefused) else backoff.next()
                await trio.sleep(max(pause, error.retry_after))
            except StorageError:  # the journal's ``trouble`` tells it
                await trio.sleep(backoff.next())
            else:
                backoff.reset()
                if is_done:
                    await self._bell.wait()

    async def _send_next(self) -> bool:
        """Send the message that has waited longest; return True if none waits."""
        if self._unkept:
            await self._send(self._unkept[0])
            self._unkept.popleft()
            return False
        message = await self._book.oldest(self._key, self._sent_upto)
        self._count_waiting(0 if message is None else message.waiting)
        if message is None:
            return True
        try:
            await self._send(message.body)
        except AlertRejected as error:
            self._rejections += 1
            if self._rejections < MAX_REJECTIONS:
                raise
            self.counts.failed += 1
            self.counts.dropped += 1
            self._log.error("an alert message is given up: its address refuses it", error=str(error))
        self._rejections = 0
        self._sent_upto = message.number
        self._count_waiting(self._waiting - 1)
        await self._book.drop(self._key, message.number)
        return False

    async def _send(self, body: str) -> None:
        await send(self._clients, self._address, body)
        self.counts.sent += 1
        reach("alert sent")
        if self._told:
            self._told = ""
            self._log.info("alert messages are sent again")

    def _count_waiting(self, waiting: int) -> None:
        self.counts.waiting += waiting - self._waiting  # addresses that are shown alike share these counts
        self._waiting = waiting

    def _tell(self, error: AlertUnsent) -> None:
        if str(error) != self._told:
            self._told = str(error)
            self._log.error("an alert message waits for its address", error=str(error))
