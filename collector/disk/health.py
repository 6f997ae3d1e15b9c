"""Health: whether the disk under a data directory accepts writes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import structlog
import trio

from collector.errors import OutOfFiles

if TYPE_CHECKING:
    from collector.errors import StorageError

_log = structlog.get_logger()

# How often, in seconds, the log says that no more files can be opened.
TOLD_INTERVAL = 10.0


class Health:
    """What is the matter with the disk, from the moment that it is noticed until it is well again."""

    def __init__(self) -> None:
        self.trouble = ""
        self.is_losing = False
        self._since = 0.0
        self._is_over = False
        self._files_told = -math.inf
        self._sound = trio.Event()
        self._sound.set()

    def note(self, refused: StorageError, *, is_losing: bool = False) -> None:
        """Note what the disk refused; ``is_losing`` if what was written before may be lost with it.

        Lack of file descriptors is logged, but isn't trouble of the disk.
        """
        if isinstance(refused, OutOfFiles):
            self._tell_of_files(refused)
            return
        if self._is_over:
            return
        if not self.trouble:
            self._since = trio.current_time()
            _log.error(
                "the disk refuses writes; accepted events are kept, and writing is tried again", trouble=str(refused)
            )
        self._begin(str(refused))
        self.is_losing |= is_losing

    def give_up(self, trouble: str) -> None:
        """Note what only another start mends."""
        self._begin(trouble)
        self.is_losing = self._is_over = True

    def _tell_of_files(self, refused: OutOfFiles) -> None:
        if trio.current_time() >= self._files_told + TOLD_INTERVAL:
            self._files_told = trio.current_time()
            told = "no more files may be opened; accepted events are kept, and opening is tried again"
            _log.error(told, trouble=str(refused))

    def _begin(self, trouble: str) -> None:
        if not self.trouble:
            self._sound = trio.Event()
        self.trouble = trouble

    def clear(self) -> None:
        """Say that it is well again."""
        _log.info("the disk accepts writes again", seconds=round(trio.current_time() - self._since, 1))
        self.trouble, self.is_losing = "", False
        self._sound.set()

    async def wait_until_sound(self) -> None:
        """Return once there is no trouble."""
        await self._sound.wait()
