"""Alerts from a command: how each rule stands, and whether a message arrives."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import trio

from collector.alerts.messages import body_for_test
from collector.alerts.rules import firing
from collector.alerts.sending import send
from collector.config.alerts import address_key, addresses_of, shown_address
from collector.errors import AlertUnsent, CommandError
from collector.host.signals import thread_for_signals
from collector.store.connect import read_only
from collector.store.data_dir import DataDir
from collector.store.steps.alerts import count_messages, read_states
from collector.web.clients import open_clients
from collector.wording import counted, lasting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from collector.config import Alert, CollectorServiceConfig
    from collector.store.records import AlertState


def list_alerts(config: CollectorServiceConfig, base: Path, now: float) -> Iterator[str]:
    """Return lines that say how each rule stands, by what the service has written down."""
    states, waiting = _read(DataDir(base / config.data_dir).journal)
    told = firing(states, config)
    for alert in config.alerts:
        yield _rule(alert)
        own = [state for state in told if state.rule in alert.keys.values()]
        yield from (f"  firing for {lasting(now - state.since)}: {state.said.get('summary', '')}" for state in own)
        if not own:
            yield "  calm"
    for address in addresses_of(config.alerts):
        if number := waiting.get(address_key(address)):
            wait = "waits" if number == 1 else "wait"
            yield f"{counted(number, 'message')} {wait} for {shown_address(address)}; the service's log says why"


def send_tests(config: CollectorServiceConfig) -> list[tuple[str, str, bool]]:
    """Send one message to each address; return each as it may be shown, what came back, and whether it arrived."""
    with thread_for_signals():
        return trio.run(_send_tests, config)


async def _send_tests(config: CollectorServiceConfig) -> list[tuple[str, str, bool]]:
    body, addresses = body_for_test(config.external_url), addresses_of(config.alerts)
    came_back: dict[str, tuple[str, bool]] = {}

    async def send_one(address: str) -> None:
        try:
            came_back[address] = await send(clients, address, body), True
        except AlertUnsent as error:
            came_back[address] = str(error), False

    async with open_clients() as clients, trio.open_nursery() as nursery:
        for address in addresses:
            nursery.start_soon(send_one, address)
    return [(shown_address(address), *came_back[address]) for address in addresses]


def _rule(alert: Alert) -> str:
    about = "" if alert.when == "disk" else f" of {', '.join(alert.collectors)}"
    after = f" after {alert.after} batches" if alert.after > 1 else ""
    held = f" for {lasting(alert.for_)}" if alert.for_ else ""
    columns = f" ({', '.join(alert.columns)})" if alert.columns else ""
    return f"{alert.when}{columns}{about}{after}{held}, to {', '.join(map(shown_address, alert.to))}"


def _read(journal: Path) -> tuple[list[AlertState], dict[str, int]]:
    """Read what a service, running or not, has written down; nothing if there was no service, or an older one."""
    if not journal.exists():
        return [], {}
    try:
        with closing(read_only(journal)) as db:
            if not db.execute("SELECT 1 FROM pragma_table_info('alert') WHERE name = 'segment'").fetchone():
                return [], {}
            return read_states(db), count_messages(db)
    except sqlite3.Error as error:
        raise CommandError(
            f"{journal} can't be read: {error}", "run this command as the user that the service runs as"
        ) from error
