"""Identity: whether the journal's files are still those that SQLite has open, and have lost nothing.

SQLite keeps its files open and never looks at their names again: of a log that somebody removed or cut off it knows
nothing, and accepts commits that no start will find. The log must be as long as its index says (the file "-shm": see
https://sqlite.org/walformat.html), and without holes: where it was cut off, the next commit is written at its old
place. The file itself is made shorter by us alone, and then it is as long as its pages.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from collector.store.connect import FRAME_BYTES, HEADER_BYTES, index_of, log_of

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path
    from typing import Self

    from collector.store.data_dir import DataDir

# The head of the log's index: how many frames the log has. It stands there twice, so that one of them is always whole.
_HEAD = struct.Struct("=16xI28x")
_SIZE = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"


class Identity:
    """The journal's files by device, inode and size, as they were when they were opened and looked at last."""

    def __init__(self, data_dir: DataDir) -> None:
        self._journal, self.log = data_dir.journal, log_of(data_dir.journal)
        self._known = {path: _identity(path) for path in (self._journal, self.log, index_of(data_dir.journal))}
        # Closing our descriptor of the index would drop SQLite's locks on it. So that happens after SQLite has closed
        # it.
        self._descriptor, self._index = os.open(self.log, os.O_RDWR), os.open(index_of(data_dir.journal), os.O_RDONLY)
        self._journal_bytes = self._journal.stat().st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        os.close(self._index)

    @property
    def is_deleted(self) -> bool:
        """Whether the log was removed, and not just moved: it has no name any more."""
        return os.fstat(self._descriptor).st_nlink == 0

    def sync(self) -> None:
        """Have the log on the disk."""
        os.fsync(self._descriptor)

    @property
    def log_bytes(self) -> int:
        """The size of the log."""
        return os.fstat(self._descriptor).st_size

    def find_fault(self, db: sqlite3.Connection) -> str:
        """Say how the files were changed from outside; empty if they weren't."""
        for path, known in self._known.items():
            found = _identity(path)
            if found != known:
                return f"{path} was {'removed or moved away' if found is None else 'replaced by another file'}"
        size, before = self._journal.stat().st_size, self._journal_bytes
        if size < before and size < database_bytes(db):
            return f"{self._journal} was cut off, from {before} bytes to {size}"
        self._journal_bytes = size
        size, used = self.log_bytes, self._used_log_bytes()
        if size < used:
            return f"{self.log} was cut off, from {used} bytes to {size}"
        if _first_hole(self._descriptor, size) < used:
            return f"{self.log} was cut off, and then written to again"
        return ""

    def _used_log_bytes(self) -> int:
        """Return the length of the log by its index; 0 while SQLite writes that."""
        head = os.pread(self._index, 2 * _HEAD.size, 0)
        if len(head) < 2 * _HEAD.size or head[: _HEAD.size] != head[_HEAD.size :]:
            return 0
        frames = _HEAD.unpack_from(head)[0]
        return HEADER_BYTES + frames * FRAME_BYTES if frames else 0


def database_bytes(db: sqlite3.Connection) -> int:
    """Return the size of a database with what is still in its log."""
    return int(db.execute(_SIZE).fetchone()[0])


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:  # its directory may be gone
        return None
    return found.st_dev, found.st_ino


def _first_hole(descriptor: int, size: int) -> int:
    """Return the place of the first hole in a file; its end if it has none, or if the file system can't tell."""
    with suppress(OSError):
        return os.lseek(descriptor, 0, os.SEEK_HOLE)
    return size
