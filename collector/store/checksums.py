"""Checksums: CRC-32, by which what a disk has changed is found."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK = 1024 * 1024


def frame_checksum(collector: str, format_: str, rows: int, body: bytes) -> int:
    """Give the checksum of a frame: of its rows, and of what says whose they are and how they are read."""
    return zlib.crc32(body, _head_checksum(collector, format_, rows))


def stored_checksum(collector: str, format_: str, rows: int, body_checksum: int) -> int:
    """Give the checksum of a frame whose body is in a file, by that of the body."""
    return zlib.crc32(body_checksum.to_bytes(4, "big"), _head_checksum(collector, format_, rows))


@lru_cache(1024)
def _head_checksum(collector: str, format_: str, rows: int) -> int:
    return zlib.crc32(f"{collector}\0{format_}\0{rows}".encode())


def file_checksum(path: Path) -> int:
    """Give the checksum of a file."""
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return checksum
