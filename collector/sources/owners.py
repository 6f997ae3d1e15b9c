"""Owners: which service has which collector, and whether its config for it is ours; the slots' own commits say so."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import trio

from collector.sources.chain import told_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collector.config import CollectorConfig
    from collector.sources.chain import Committed
    from collector.sources.ownership import Ownership

# Seconds for which a collector may be at work nowhere before the log says so.
LACKING_SECONDS = 60.0


def digest_of(config: CollectorConfig) -> str:
    """Return a digest of a collector's config, without its secrets."""
    shown = json.dumps(config.masked(), sort_keys=True, default=str)
    return hashlib.sha256(shown.encode()).hexdigest()[:12]


def begun_in(metadata: str) -> set[str]:
    """Return the collectors of a slot that were begun, by the slot's own commit."""
    return set(told_in(metadata).get("c", ()))


class Owners:
    """What the services of the group tell of themselves."""

    def __init__(self) -> None:
        self._told: dict[int, dict[str, Any]] = {}
        self._lacking_since: dict[str, float] = {}

    def note(self, found: Iterable[tuple[int, Committed]]) -> None:
        """Take over what is committed for the slots."""
        self._told = {slot: told_in(one.metadata) for slot, one in found}

    def url_of(self, slot: int) -> str:
        """Return the address of the service that had a slot last; "" if it isn't known."""
        return str(self._told.get(slot, {}).get("u", ""))

    def count_services(self, slots: Iterable[int]) -> int:
        """Return how many services had one of these slots last."""
        return len({told["i"] for slot in slots if "i" in (told := self._told.get(slot, {}))})

    def mismatch(self, collector: str, digest: str, ownership: Ownership) -> str:
        """Say what is odd about a collector's config at the service that has it; "" if nothing is, or it is here."""
        slot = ownership.slot_of(collector)
        told = self._told.get(slot)
        if told is None or ownership.grants.of(slot) is not None:
            self._lacking_since.pop(collector, None)
            return ""
        begun = told.get("c")
        theirs = begun.get(collector) if isinstance(begun, dict) and told.get("i") != ownership.id else None
        if not theirs:
            since = self._lacking_since.setdefault(collector, trio.current_time())
            is_told = trio.current_time() - since > LACKING_SECONDS
            return "it is at work at no service: it may be missing in the config file of one of them" if is_told else ""
        self._lacking_since.pop(collector, None)
        where = self.url_of(slot) or told.get("h", "another service")
        return "" if theirs == digest else f"its config at {where}, where it is at work, differs from the config here"
