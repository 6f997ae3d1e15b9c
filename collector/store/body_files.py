"""Body files: bodies too large for the journal, each a file beside it, whose name stands there in the body's place.

A file is written several times as fast as a blob of SQLite's, and by several threads at once. It is written before the
transaction that names it, and removed once the transaction that lets go of it is on the disk. A file that no row names
was left by a crash between the two, and goes at the next start.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from collector.disk.checksums import body_checksum
from collector.disk.files import PRIVATE, sync_directory, sync_file, write_whole
from collector.disk.refusals import refusal
from collector.formats.frames import StoredBody

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


class BodyFile:
    """A file into which a body is written as it comes in."""

    def __init__(self, path: Path, threads: trio.CapacityLimiter, *, is_digested: bool) -> None:
        self.path = path
        self._threads = threads
        self._digest = hashlib.sha256() if is_digested else None
        self._descriptor: int | None = None
        self._size = self._checksum = 0

    @property
    def is_begun(self) -> bool:
        """Whether anything of the body is in it."""
        return self._descriptor is not None

    async def write(self, data: bytes) -> None:
        """Write what comes next; raise StorageError if the disk refuses."""
        await self._in_thread(self._write, data)

    async def finish(
        self, data: bytes, *, is_synced: bool, then: Callable[[], T] | None = None
    ) -> tuple[StoredBody, T | None]:
        """Write the last of it, and have it on the disk if it ``is_synced``; raise StorageError if the disk refuses.

        Returns what came of ``then`` as well, which is called in the same thread.
        """
        result = await self._in_thread(self._finish, data, is_synced, then)
        digest = "" if self._digest is None else self._digest.hexdigest()
        return StoredBody(self.path, self._size, self._checksum, digest), result

    def discard(self) -> None:
        """Remove it, whatever is in it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self.path.unlink(missing_ok=True)

    async def _in_thread(self, run: Callable[..., T], *args: Any) -> T:
        try:
            return await trio.to_thread.run_sync(run, *args, limiter=self._threads)
        except OSError as error:
            raise refusal(error, self.path.parent) from error

    def _write(self, data: bytes) -> None:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._size += len(data)
        self._checksum = body_checksum(data, self._checksum)
        if self._digest is not None:
            self._digest.update(data)

    def _finish(self, data: bytes, is_synced: bool, then: Callable[[], T] | None) -> T | None:  # noqa: FBT001  (run_sync takes no names)
        self._write(data)
        assert self._descriptor is not None  # noqa: S101  (it was written)
        if is_synced:
            os.fsync(self._descriptor)
            sync_directory(self.path.parent)
        os.close(self._descriptor)
        self._descriptor = None
        return None if then is None else then()


def write_body_again(path: Path) -> None:
    """Write a file whose fsync failed to another place of the disk, and have it there; one that is gone is a part.

    A second fsync would prove nothing, as the kernel takes the pages for written; should they have been lost, the
    body's checksum tells when its part is made.
    """
    with suppress(FileNotFoundError), path.open("rb") as old:
        write_whole(path, lambda new: shutil.copyfileobj(old, new))


def sync_body(path: Path) -> None:
    """Have a file on the disk; one that is gone has become a part, which is."""
    with suppress(FileNotFoundError):
        sync_file(path)
