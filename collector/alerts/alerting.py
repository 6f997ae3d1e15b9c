"""Alerting: starts what checks the rules and what sends the messages; nothing of it runs without a rule."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog
import trio

from collector.alerts.hearing import Hearing
from collector.alerts.lasting import Lasting, Moment
from collector.alerts.posting import messages_of, post_changes
from collector.alerts.rules import Change, firing
from collector.alerts.sending import Sending
from collector.config.alerts import address_key, addresses_of, shown_address
from collector.errors import StorageError
from collector.fault_points import reach
from collector.status.counts import Restarts
from collector.status.status import Status
from collector.store.steps.alerts import put_state, read_states
from collector.web.clients import open_clients

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from collector.alerts.posting import Posted
    from collector.config import CollectorServiceConfig
    from collector.status.counts import Counts
    from collector.status.status import ServiceStatus
    from collector.store.journal import Journal
    from collector.store.records import AlertState
    from collector.waiting.clocks import Clocks

_log = structlog.get_logger()

# How often, in seconds, conditions that last are checked; and how often we look whether a message is to be repeated.
INTERVAL = 5.0
REPEAT_INTERVAL = 60.0


class Alerting:
    """Sends the alerts that the rules ask for; ``service_status`` returns the state of the service."""

    def __init__(
        self,
        config: CollectorServiceConfig,
        journal: Journal,
        clocks: Clocks,
        counts: Counts,
        service_status: Callable[[], ServiceStatus],
    ) -> None:
        self.counts = Restarts()
        self._config = config
        self._journal = journal
        self._clocks = clocks
        self._all_counts = counts
        self._service_status = service_status
        self._sending: dict[str, Sending] = {}
        self._accepted: dict[str, int] = {}
        self._changed = trio.Event()
        journal.listen(Hearing(lambda: self._config, self._tell))

    def status(self) -> Status:
        """Return what it is called where it fails."""
        return Status("alerts", "waiting")

    def apply(self, config: CollectorServiceConfig) -> None:
        """Go on with another config, which has rules too."""
        before, self._config = self._config, config
        if (config.alerts, config.external_url, config.ui_url) != (before.alerts, before.external_url, before.ui_url):
            self._changed.set()

    async def run(self) -> None:
        """Watch and send until cancelled."""
        while True:
            self._changed = trio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._work)
                await self._changed.wait()
                nursery.cancel_scope.cancel()

    async def _work(self) -> None:
        alerts = self._config.alerts
        addresses = addresses_of(alerts)
        with suppress(StorageError):  # the disk's refusal is told elsewhere
            kept = {key for alert in alerts for key in alert.keys.values()}, {address_key(one) for one in addresses}
            if gone := await self._journal.alerts.keep_only(*kept):
                _log.warning("alert messages to addresses that are no longer configured are dropped", messages=gone)
        try:
            async with open_clients() as clients, trio.open_nursery() as nursery:
                self._sending = {
                    address_key(one): Sending(
                        one, self._journal.alerts, clients, self._all_counts.alerts[shown_address(one)]
                    )
                    for one in addresses
                }
                for sending in self._sending.values():
                    nursery.start_soon(sending.run)
                if not all(alert.is_of_batches and alert.repeat is None for alert in alerts):
                    nursery.start_soon(self._watch)
        finally:
            for counts in self._all_counts.alerts.values():  # also for addresses that were taken out of the config
                counts.waiting = 0

    # What lasts

    async def _watch(self) -> None:
        alerts, repeated = self._config.alerts, -math.inf
        lasting, ids = None, None
        repeats = [alert.repeat for alert in alerts if alert.repeat is not None]
        pause = min([REPEAT_INTERVAL, *repeats])
        unwritten: dict[tuple[str, str], AlertState] = {}
        while True:
            # after a rename the states have other ids: read them again
            if lasting is None or ids != self._config.collectors.keys():
                states, ids = await self._journal.alerts.read(), set(self._config.collectors)
                lasting = Lasting(alerts, [*states, *unwritten.values()], self._moment(), self._accepted)
            look = partial(lasting.look, self._service_status(), self._moment())
            news, changes = await trio.to_thread.run_sync(look)  # a thousand collectors take 20 ms
            unwritten |= {(state.rule, state.collector): state for state in news}
            if (
                unwritten
                and (changes or not self._journal.trouble)
                and await self._keep(list(unwritten.values()), changes)
            ):
                unwritten.clear()
            if repeats and trio.current_time() - repeated >= pause:
                repeated = trio.current_time()
                await self._repeat()
            await trio.sleep(INTERVAL)

    def _moment(self) -> Moment:
        return Moment(self._clocks.now(), trio.current_time())

    async def _keep(self, states: Sequence[AlertState], changes: list[Change]) -> bool:
        """Write states down, and put messages about changes into the outbox; return False if the disk refused."""
        now, config = self._clocks.now(), self._config

        def keep(db: sqlite3.Connection) -> list[Posted]:
            for state in states:
                put_state(db, state)
            return [posted for group in _by_collector(changes) for posted in post_changes(db, group, config, now)]

        try:
            posted = await self._journal.alerts.write(keep)
        except StorageError:
            for group in _by_collector(changes):
                for address, body in messages_of(group, (), config, now):
                    if address in self._sending:
                        self._sending[address].send_unkept(body)
            self._say(changes)
            return False
        self._tell(changes, posted)
        return True

    async def _repeat(self) -> None:
        """Tell again of what goes on for long."""
        now, config = self._clocks.now(), self._config
        alerts = {key: alert for alert in config.alerts if alert.repeat is not None for key in alert.keys.values()}

        def repeat(db: sqlite3.Connection) -> list[Posted]:
            changes = []
            for state in firing(read_states(db), config):
                alert = alerts.get(state.rule)
                # A negative age means that the clock was set back: then the message is repeated.
                if alert is not None and alert.repeat and not 0 <= now - state.told < alert.repeat:
                    put_state(db, told := replace(state, told=now))
                    changes.append(Change(alert, told))
            return [posted for group in _by_collector(changes) for posted in post_changes(db, group, config, now)]

        with suppress(StorageError):  # it is tried again
            self._tell([], await self._journal.alerts.write(repeat))

    # What is told

    def _tell(self, changes: Sequence[Change], posted: Sequence[Posted]) -> None:
        """Log committed changes, and have their messages sent."""
        if posted:
            reach("alert posted")
        self._say(changes)
        for address, dropped in posted:
            sending = self._sending.get(address)
            if sending is not None:
                sending.note_posted(dropped)

    def _say(self, changes: Sequence[Change]) -> None:
        for change in changes:
            summary = change.state.said["summary"]
            if change.is_over:
                _log.info(f"alert is over: {summary}", rule=change.alert.when)
            else:
                _log.warning(f"alert: {summary}", rule=change.alert.when)


def _by_collector(changes: Sequence[Change]) -> list[list[Change]]:
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.state.collector, []).append(change)
    return list(groups.values())
