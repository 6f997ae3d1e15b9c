"""Files on a disk: there whole or not at all, whatever dies meanwhile, and their owner's alone."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PRIVATE = 0o600
SCRATCH_BYTES = 64 * 1024

Content = bytes | Callable[[IO[bytes]], object]


def write_whole(path: Path, content: Content) -> None:
    """Put bytes, or what a function writes, at ``path``, its owner's alone; a symbolic link's target is written.

    An older file stays until the new one is safe on the disk, and where anything fails.
    """
    target = Path(os.path.realpath(path))
    with written_beside(target.parent, content) as scratch:
        scratch.replace(target)
    sync_directory(target.parent)


@contextmanager
def written_beside(directory: Path, content: Content, mode: int = PRIVATE) -> Iterator[Path]:
    """Write a new hidden file in ``directory`` and have it on the disk; remove it at the end if it is still there."""
    scratch = directory / f".{uuid.uuid4()}.tmp"
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Have what a file holds on the disk."""
    _sync(path, os.O_RDONLY)


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk: a rename, or a new file, is lost by a power cut until then."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def write_scratch(directory: Path) -> None:
    """Write and fsync a file in a directory, and remove it; raise OSError if that can't be done."""
    scratch = directory / "scratch.tmp"
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
        try:
            written = os.write(descriptor, bytes(SCRATCH_BYTES))
            # a disk with little room left takes a part of it, then refuses
            os.write(descriptor, bytes(SCRATCH_BYTES - written))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        scratch.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Have a file under another name too; not every file system has links."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
