"""Writing a file so that it's there whole or not at all, whatever dies meanwhile."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


def replace(path: Path, body: bytes) -> None:
    """Write ``body`` to ``path`` with mode 0600; an older file stays until the new one is safe on disk."""
    with written_beside(path.parent, body, 0o600) as scratch:
        scratch.replace(path)
        sync_directory(path.parent)


@contextlib.contextmanager
def written_beside(directory: Path, body: bytes, mode: int) -> Iterator[Path]:
    """Give a new hidden file in ``directory`` that holds ``body`` and is fsynced; remove it if it's still there."""
    scratch = directory / f".{uuid.uuid4()}.tmp"
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make renames in ``directory`` survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
