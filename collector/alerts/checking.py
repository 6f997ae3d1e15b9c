"""Checking: whether apprise knows the addresses that only it can use; the rest is checked as the config is read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio

from collector.config.alerts import is_webhook
from collector.config.environment import filled
from collector.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.config import CollectorServiceConfig

# Hosts of chats whose hooks take no body of Alertmanager's, and the apprise scheme to use for each.
_CHATS = {"hooks.slack.com": "slack", "discord.com": "discord", "chat.googleapis.com": "gchat"}

_Path = tuple[str | int, ...]


async def find_problems(config: CollectorServiceConfig) -> list[Problem]:
    """Return what is wrong with addresses; nobody is sent anything."""
    addresses: dict[_Path, str] = {
        ("alerts", number, "to", place): filled(address)
        for number, alert in enumerate(config.alerts)
        for place, address in enumerate(alert.to)
    }
    by_apprise = {path: address for path, address in addresses.items() if not is_webhook(address)}
    return await trio.to_thread.run_sync(_problems, by_apprise) if by_apprise else []


def doubts(config: CollectorServiceConfig) -> Iterator[str]:
    """Yield a sentence on each rule that is valid, but most probably not meant."""
    for number, alert in enumerate(config.alerts):
        if alert.when != "disk" and not any(map(alert.is_about, config.collectors)):
            yield f"alerts.{number} matches no collector: it has {', '.join(alert.collectors)}"
        for place, address in enumerate(alert.to):
            scheme = _CHATS.get(urlsplit(filled(address)).hostname or "")
            if scheme and is_webhook(filled(address)):
                said = f"this chat's own hooks don't understand Alertmanager's body; write it as {scheme}://…"
                yield f"alerts.{number}.to.{place}: {said}"


def _problems(addresses: dict[_Path, str]) -> list[Problem]:
    from collector.alerts.by_apprise import problem_of

    found = {path: problem_of(address) for path, address in addresses.items()}
    return [Problem(path, problem) for path, problem in found.items() if problem]
