"""Arrays in files, each with a checksum; they can be made again from parts, and so aren't synced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.disk.checksums import body_checksum
from collector.errors import KeysSpoiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from collector.labels.numbers import Numbers

_MAGIC = b"keys0001"
_HEAD = 16  # bytes


def write_array(path: str, array: NDArray[Any], salt: bytes) -> None:
    """Write an array, whole or not at all; only the same ``salt``, which says what it is made of, can read it."""
    body = np.ascontiguousarray(array).tobytes()
    scratch = Path(f"{path}.tmp")
    scratch.touch(0o600)
    with scratch.open("wb") as file:
        file.write(_MAGIC + _checksum(body, salt))
        file.write(body)
    scratch.replace(path)


def read_numbers(path: str, salt: bytes) -> Numbers:
    """Read an array of numbers of keys; raise KeysSpoiled."""
    return _read(path, salt).view(np.uint64)


def read_rows(path: str, salt: bytes) -> NDArray[np.uint32]:
    """Read an array of numbers of rows; raise KeysSpoiled."""
    return _read(path, salt).view(np.uint32)


def read_marks(path: str, count: int, salt: bytes) -> NDArray[np.bool_]:
    """Read ``count`` marks; raise KeysSpoiled."""
    packed = _read(path, salt)
    if len(packed) != (count + 7) // 8:
        raise KeysSpoiled(path)
    return np.unpackbits(packed, count=count).view(np.bool_)


def write_marks(path: str, marks: NDArray[np.bool_], salt: bytes) -> None:
    """Write marks, a bit each."""
    write_array(path, np.packbits(marks), salt)


def _read(path: str, salt: bytes) -> NDArray[np.uint8]:
    try:
        found = np.fromfile(path, np.uint8)
    except FileNotFoundError as error:
        raise KeysSpoiled(path) from error
    head, body = found[:_HEAD].tobytes(), found[_HEAD:]
    if head != _MAGIC + _checksum(body.tobytes(), salt):
        raise KeysSpoiled(path)
    return body


def _checksum(body: bytes, salt: bytes) -> bytes:
    return body_checksum(body, body_checksum(salt)).to_bytes(_HEAD - len(_MAGIC), "little")
