"""Grants: which shares of the work are this service's, and which grant of each it is.

Only the callbacks of the group change them, in the one thread that polls and commits. A share that was lost and came
back has another number: what was begun under the old one is over, even if both came in one poll. Nobody keeps a list of
events, as a grant and its revocation may come in one poll too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True)
class Grant:
    """A share of the work, by its slot, and which grant of it this is."""

    slot: int
    number: int


class Grants:
    """The shares that this service has."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._held: dict[int, Grant] = {}
        self._sending: dict[Grant, int] = {}
        self._sent = threading.Condition()

    def give(self, slots: Iterable[int]) -> None:
        """Enter that slots are ours."""
        for slot in slots:
            self._held[slot] = Grant(slot, next(self._numbers))

    def take(self, slots: Iterable[int]) -> list[Grant]:
        """Enter that slots are ours no longer; return the grants that end so."""
        return [self._held.pop(slot) for slot in slots if slot in self._held]

    def of(self, slot: int) -> Grant | None:
        """Return the grant of a slot, if it is ours."""
        return self._held.get(slot)

    def holds(self, grant: Grant) -> bool:
        """Tell whether a grant still holds."""
        return self._held.get(grant.slot) == grant

    @property
    def held(self) -> list[Grant]:
        """All that are ours."""
        return list(self._held.values())

    # Snapshots in flight to a workspace

    def begin_sending(self, grant: Grant) -> None:
        """Enter that a snapshot is being sent, under a grant."""
        with self._sent:
            self._sending[grant] = self._sending.get(grant, 0) + 1

    def end_sending(self, grant: Grant) -> None:
        """Enter that a snapshot was sent, or wasn't."""
        with self._sent:
            self._sending[grant] -= 1
            if not self._sending[grant]:
                del self._sending[grant]
            self._sent.notify_all()

    def is_sending(self, grant: Grant) -> bool:
        """Tell whether a snapshot is being sent, under a grant."""
        return grant in self._sending

    def wait_sent(self, grants: Iterable[Grant], seconds: float) -> bool:
        """Block until nothing is being sent under these grants, for ``seconds`` at most; tell whether it is so."""
        ended, until = set(grants), time.monotonic() + seconds
        with self._sent:
            while ended & self._sending.keys():
                if not self._sent.wait(max(0.0, until - time.monotonic())):
                    return False
        return True
