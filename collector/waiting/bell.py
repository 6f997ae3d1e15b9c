"""A bell: says that there is something to look at, never what."""

from __future__ import annotations

import trio


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
