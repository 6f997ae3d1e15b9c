"""What is committed and isn't on the disk yet: the journal and its writer add to it, Tending syncs it."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio

# Of the log, which is then moved into the file.
LONG_LOG = 64 * 1024 * 1024


@dataclass(slots=True)
class Bodies:
    """Names of body files: those to be synced, and those that the last commits let go of."""

    new: list[str] = field(default_factory=list)
    unneeded: list[str] = field(default_factory=list)


class Unsynced:
    """Commits that are in the log alone, and the body files that they name or let go of."""

    def __init__(self) -> None:
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
        """Note a body file that a commit names."""
        self._bodies.new.append(name)

    def add_unneeded(self, names: list[str]) -> None:
        """Note body files that a commit let go of: a power cut may still undo it."""
        self._bodies.unneeded += names

    def take(self) -> Bodies:
        """Return the bodies that are to be synced or removed, and count from nothing again.

        One that is let go of is in a part, which is on the disk: it needs no sync.
        """
        taken, self._bodies, self.has_commits = self._bodies, Bodies(), False
        gone = frozenset(taken.unneeded)
        return Bodies([name for name in taken.new if name not in gone], taken.unneeded)

    def put_back(self, taken: Bodies) -> None:
        """Note bodies and commits again, as their sync failed."""
        self.has_commits = True
        self._bodies.new += taken.new
        self._bodies.unneeded += taken.unneeded

    def new_bodies(self) -> list[str]:
        """Return the names of the body files that aren't synced."""
        return list(self._bodies.new)

    async def wait_for_long_log(self) -> None:
        """Return once the log is long."""
        await self._log_is_long.wait()

    def begin_log(self) -> None:
        """Count the log from nothing again."""
        self._log_is_long, self._log_bytes = trio.Event(), 0
