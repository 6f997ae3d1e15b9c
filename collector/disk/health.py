"""Health: whether the disk under a data directory takes what is written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog
import trio

if TYPE_CHECKING:
    from pathlib import Path

_log = structlog.get_logger()

SCRATCH_BYTES = 64 * 1024


class Health:
    """What is the matter with the disk, from the moment that it is noticed until it is well again."""

    def __init__(self) -> None:
        self.trouble = ""
        self.is_losing = False
        self._since = 0.0
        self._is_over = False
        self._sound = trio.Event()
        self._sound.set()

    def note(self, trouble: str, *, is_losing: bool = False) -> None:
        """Take down what the disk refused; ``is_losing`` if what was written before may be lost with it."""
        if self._is_over:
            return
        if not self.trouble:
            self._since = trio.current_time()
            _log.error("the disk refuses; what was accepted is kept, and it is tried again", trouble=trouble)
        self._begin(trouble)
        self.is_losing |= is_losing

    def give_up(self, trouble: str) -> None:
        """Take down what only another start mends."""
        self._begin(trouble)
        self.is_losing = self._is_over = True

    def _begin(self, trouble: str) -> None:
        if not self.trouble:
            self._sound = trio.Event()
        self.trouble = trouble

    def clear(self) -> None:
        """Say that it is well again."""
        _log.info("the disk takes again what is written", seconds=round(trio.current_time() - self._since, 1))
        self.trouble, self.is_losing = "", False
        self._sound.set()

    async def wait_until_sound(self) -> None:
        """Return once there is no trouble."""
        await self._sound.wait()


def write_scratch(directory: Path) -> None:
    """Write and fsync a file in a directory, and remove it; raise OSError if that can't be done."""
    scratch = directory / "scratch.tmp"
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            written = os.write(descriptor, bytes(SCRATCH_BYTES))
            os.write(descriptor, bytes(SCRATCH_BYTES - written))  # a disk with a little room takes a part, then refuses
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        scratch.unlink(missing_ok=True)
