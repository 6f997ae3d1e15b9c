"""Stored bodies: those too large for the journal, which has the place of each: "NAME:START:SIZE", a stretch of a file.

An older format made a file for each: "NAME".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StoredBody:
    """A body in a file; ``checksum`` is its CRC-32, ``digest`` its SHA-256 if it was asked for."""

    path: Path
    start: int
    size: int
    checksum: int = 0
    digest: str = ""

    @property
    def place(self) -> str:
        """What the journal calls it."""
        return f"{self.path.name}:{self.start}:{self.size}"

    def read(self) -> bytes:
        """Return the body."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.size)

    def __len__(self) -> int:
        return self.size


def file_of(place: str) -> str:
    """Name the file that has a body, by its place."""
    return place.partition(":")[0]


def body_at(place: str, directory: Path) -> StoredBody:
    """Return the body at a place, or as much as is there of it.

    Raises OSError if its file is gone, ValueError if damage has made it no place.
    """
    name, *stretch = place.split(":")
    path = directory / name
    length = path.stat().st_size
    start, size = map(int, stretch) if stretch else (0, length)
    if path.parent != directory or min(start, size) < 0:
        raise ValueError(place)
    return StoredBody(path, start, max(0, min(size, length - start)))
