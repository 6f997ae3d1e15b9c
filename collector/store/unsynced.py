"""What is committed and isn't on the disk yet: the journal and its writer add to it, Tending syncs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collector.store.body_files import BodyFiles

# Bytes of the log; at this length it is moved into the file.
LONG_LOG = 64 * 1024 * 1024


@dataclass(slots=True)
class Bodies:
    """Names of body files: those to be synced, and those in which the last commits dropped bodies."""

    new: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)


class Unsynced:
    """Commits that are in the log alone, and the body files that have to do with them."""

    def __init__(self, body_files: BodyFiles) -> None:
        self.body_files = body_files
        self.has_commits = False
        self._bodies = Bodies()
        self._log_bytes = 0
        self._log_is_long = trio.Event()

    def add_commit(self, size: int) -> None:
        """Count a commit, and the bytes that it added to the log, more or less."""
        self.has_commits = True
        self._log_bytes += size
        if self._log_bytes >= LONG_LOG:
            self._log_is_long.set()

    def add_body(self, name: str) -> None:
        """Note the file of a body that a commit names."""
        self._bodies.new.add(name)

    def add_left(self, names: set[str]) -> None:
        """Note the files of bodies that a commit dropped, which may be needed no more."""
        self._bodies.left |= names

    def take(self) -> Bodies:
        """Return the files that are to be synced, or looked at, and count from nothing again."""
        taken, self._bodies, self.has_commits = self._bodies, Bodies(), False
        return taken

    def put_back(self, taken: Bodies) -> None:
        """Note files and commits again: their sync failed, or it was too early."""
        self.has_commits = True
        self._bodies.new |= taken.new
        self._bodies.left |= taken.left

    def new_files(self) -> set[str]:
        """Return the names of the body files that aren't synced."""
        return set(self._bodies.new)

    async def wait_for_long_log(self) -> None:
        """Return once the log is long."""
        await self._log_is_long.wait()

    def begin_log(self) -> None:
        """Count the log from nothing again."""
        self._log_is_long, self._log_bytes = trio.Event(), 0
