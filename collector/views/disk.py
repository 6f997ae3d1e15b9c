"""The disk under the data directory: what is seen of it from outside."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import trio

# Seconds after which a disk that doesn't answer is left out; all else is still shown.
DISK_PATIENCE = 2.0


@dataclass(frozen=True)
class Disk:
    """What is seen of the data directory: the bytes of its disk, and the files that were set aside, by kind."""

    free: float | None = None
    size: float | None = None
    damaged: Counter[str] = field(default_factory=Counter)


class Looking:
    """Looks at a data directory, with one thread at most: a look may take as long as the disk likes."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._threads = trio.CapacityLimiter(1)

    async def look(self) -> Disk:
        """Return what is seen; nothing is, if that takes too long."""
        with trio.move_on_after(DISK_PATIENCE):
            return await trio.to_thread.run_sync(look_at, self._data_dir, abandon_on_cancel=True, limiter=self._threads)
        return Disk()


def look_at(data_dir: Path) -> Disk:
    """Return what is seen now."""
    try:
        usage = shutil.disk_usage(data_dir)
        damaged = Counter(path.name.partition("-")[0] for path in (data_dir / "damaged").glob("*"))
    except OSError:  # the disk is gone or can't be read: the journal's ``trouble`` says so
        return Disk()
    return Disk(usage.free, usage.total, damaged)
