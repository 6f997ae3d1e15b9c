"""Room: how much of the memory bodies may take while they come in, whichever way they come."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from collector.errors import NotReady
from collector.formats.frames import TYPED_FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.config import Limits
    from collector.formats.frames import Format

# Bytes. A larger body goes into a file, written in pieces of ``MAX_WRITE`` bytes.
MAX_HELD = 256 * 1024
MAX_WRITE = 2**20


def max_bytes(limits: Limits, format_: Format) -> int:
    """Return the limit for bodies of a format."""
    return limits.max_typed_body_bytes if format_ in TYPED_FORMATS else limits.max_body_bytes


class Bodies:
    """The bodies that are in memory: no more than the limits allow, but always one, whatever its size."""

    def __init__(self) -> None:
        self.count = 0
        self.size = 0

    def check(self, limits: Limits, size: int) -> None:
        """Raise NotReady if there is no place for another body, of ``size`` bytes."""
        if self.count >= limits.max_concurrent_bodies:
            raise _no_place(f"{self.count} other requests")
        if self.count and self.size + size > limits.max_concurrent_body_bytes:
            raise _no_place(f"the bodies of {self.count} other requests")

    @contextmanager
    def admit(self, limits: Limits, announced: int) -> Iterator[Place]:
        """Make place for a body, of as many bytes as it is said to have; raise NotReady if there is none."""
        self.check(limits, announced)
        place = Place(self, limits.max_concurrent_body_bytes)
        self.count += 1
        try:
            place.grow_to(announced)
            yield place
        finally:
            self.count -= 1
            self.size -= place.size


class Place:
    """What a body takes of the memory for all of them."""

    def __init__(self, bodies: Bodies, limit: int) -> None:
        self.size = 0
        self._bodies = bodies
        self._limit = limit

    def grow_to(self, size: int) -> None:
        """Take as many bytes in all, if it has less; raise NotReady if other bodies leave no room for them."""
        growth = max(size - self.size, 0)
        if self._bodies.count > 1 and self._bodies.size + growth > self._limit:
            raise _no_place(f"the bodies of {self._bodies.count - 1} other requests")
        self.size += growth
        self._bodies.size += growth


def _no_place(others: str) -> NotReady:
    return NotReady(f"{others} are being read, and the service reads no more at a time; nothing was kept, try again")
