"""Body files: bodies too large for the journal, one behind the other in files beside it; it has their places.

A file is written several times as fast as a blob of SQLite's, and by several threads at once. To make one, sync it and
remove it takes as long as to write 460 kB, so a file isn't made for each body: it is lent to one body after the other
until it is synced, for a second or so. Each of several bodies that come in at once has a file for itself, so that none
waits for another; of one that isn't kept nothing stays.

A body is written before the transaction that has its place. A file is removed once the transaction that drops the
last body in it is on the disk; one that no row names was left by a crash, and goes at the next start.
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
from collector.formats.stored import StoredBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from collector.formats.frames import Format
    from collector.store.data_dir import DataDir

T = TypeVar("T")

# A file of this size takes no more bodies: it takes room on the disk until all of its bodies are in parts.
MAX_BYTES = 64 * 1024 * 1024
# A body begins at a multiple of this: Arrow reads numbers where they lie, which have to be aligned.
_ALIGNED = 64


class BodyFiles:
    """The files into which bodies may be written."""

    def __init__(self, data_dir: DataDir) -> None:
        self._data_dir = data_dir
        self._free: list[_File] = []
        self._lent: list[_File] = []

    def lend(self, format_: Format) -> _File:
        """Return a file for a body of a format, until it is given back."""
        file = next((file for file in self._free if file.format == format_), None)
        if file is None:
            file = _File(self._data_dir.new_body_file(format_), format_)
        else:
            self._free.remove(file)
        self._lent.append(file)
        return file

    def take_back(self, file: _File, *, is_kept: bool) -> None:
        """Take a file back; the body that was written into it is removed unless it ``is_kept``."""
        self._lent.remove(file)
        if is_kept:
            file.end = file.position = _aligned(file.position)
        else:
            file.cut()
        if file.is_sound and 0 < file.end < MAX_BYTES:
            self._free.append(file)
        else:
            file.close()

    def close_free(self) -> None:
        """Write no more bodies into files that aren't lent now."""
        for file in self._free:
            file.close()
        self._free.clear()

    def lent(self, names: Iterable[str]) -> set[str]:
        """Return those of these files into which bodies are being written."""
        return {file.path.name for file in self._lent}.intersection(names)


class _File:
    """A file with bodies up to its ``end``; ``position`` is where it is written next."""

    def __init__(self, path: Path, format_: Format) -> None:
        self.path = path
        self.format = format_
        self.end = self.position = 0
        self.is_sound = True
        self._descriptor = -1

    def write(self, data: bytes) -> None:
        if self._descriptor < 0:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor, rest, self.position)
            self.position += written
            rest = rest[written:]

    def sync(self) -> None:
        os.fsync(self._descriptor)
        if not self.end:
            sync_directory(self.path.parent)

    def cut(self) -> None:
        """Remove what is behind the end; remove the file if it has no body."""
        self.position = self.end
        if not self.end:
            self.path.unlink(missing_ok=True)
            return
        try:
            os.ftruncate(self._descriptor, self.end)
        except OSError:
            self.is_sound = False  # the rest goes with the file

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


class BodyWriter:
    """Writes a body into a file as it comes in."""

    def __init__(self, files: BodyFiles, format_: Format, threads: trio.CapacityLimiter, *, is_digested: bool) -> None:
        self._files = files
        self._format = format_
        self._threads = threads
        self._digest = hashlib.sha256() if is_digested else None
        self._file: _File | None = None
        self._checksum = 0
        self.place = ""  # set once the body is finished

    @property
    def is_begun(self) -> bool:
        """Whether anything of the body is in a file."""
        return self._file is not None

    async def write(self, data: bytes) -> None:
        """Write what comes next; raise StorageError if the disk refuses."""
        await self._in_thread(self._write, data)

    async def finish(
        self, data: bytes, *, is_synced: bool, then: Callable[[], T] | None = None
    ) -> tuple[StoredBody, T | None]:
        """Write the last of it, and have it on the disk if it ``is_synced``; raise StorageError if the disk refuses.

        Returns what came of ``then`` as well, which is called in the same thread.
        """
        body, result = await self._in_thread(self._finish, data, is_synced, then)
        self.place = body.place
        return body, result

    def end(self, *, is_kept: bool) -> None:
        """Give the file back; the body is removed from it unless it ``is_kept``."""
        if self._file is not None:
            self._files.take_back(self._file, is_kept=is_kept)
            self._file = None

    async def _in_thread(self, run: Callable[..., T], *args: Any) -> T:
        if self._file is None:
            self._file = self._files.lend(self._format)
        file = self._file
        try:
            return await trio.to_thread.run_sync(run, file, *args, limiter=self._threads)
        except OSError as error:
            file.is_sound = False  # after an error, nobody knows what the disk holds of it
            raise refusal(error, file.path.parent) from error

    def _write(self, file: _File, data: bytes) -> None:
        file.write(data)
        self._checksum = body_checksum(data, self._checksum)
        if self._digest is not None:
            self._digest.update(data)

    def _finish(
        self,
        file: _File,
        data: bytes,
        is_synced: bool,  # noqa: FBT001  (run_sync takes no names)
        then: Callable[[], T] | None,
    ) -> tuple[StoredBody, T | None]:
        self._write(file, data)
        if is_synced:
            file.sync()
        digest = "" if self._digest is None else self._digest.hexdigest()
        body = StoredBody(file.path, file.end, file.position - file.end, self._checksum, digest)
        return body, None if then is None else then()


def _aligned(position: int) -> int:
    return -(-position // _ALIGNED) * _ALIGNED


def unknown_stretches(path: Path, known: Iterable[StoredBody]) -> list[StoredBody]:
    """Return the stretches of a file that aren't known bodies: they hold other bodies, one behind the other."""
    found, end = [], 0
    for body in [*sorted(known, key=lambda body: body.start), StoredBody(path, path.stat().st_size, 0)]:
        if body.start - end > 0:
            found.append(StoredBody(path, end, body.start - end))
        end = max(end, _aligned(body.start + body.size))
    return found


def write_file_again(path: Path) -> None:
    """Write a file whose fsync failed to another place of the disk, and have it there; one that is gone is in parts.

    A second fsync would prove nothing, as the kernel takes the pages for written; should they have been lost, the
    bodies' checksums tell when their parts are made.
    """
    with suppress(FileNotFoundError), path.open("rb") as old:
        write_whole(path, lambda new: shutil.copyfileobj(old, new))


def sync_body_file(path: Path) -> None:
    """Have a file on the disk; one that is gone is in parts, which are."""
    with suppress(FileNotFoundError):
        sync_file(path)
