"""Bells: they say that there is something to look at, never what; and one for a thread, at our end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    import threading


class Bell:
    """Rung by some, waited for by one; a ring that nobody waits for is kept."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        """Wake the one who waits, or let the next wait return at once."""
        self._rung.set()

    async def wait(self) -> None:
        """Return after the next ring."""
        await self._rung.wait()
        self._rung = trio.Event()


async def set_when_cancelled(event: trio.Event | threading.Event) -> None:
    """Have what a thread looks at set when this is cancelled: the thread then ends with us."""
    try:
        await trio.sleep_forever()
    finally:
        event.set()
