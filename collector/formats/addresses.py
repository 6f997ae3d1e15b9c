"""Addresses of files in a store, as ``s3://bucket/file`` and ``gs://bucket/file``: the one place that opens them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyarrow import fs

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


def is_address(name: str) -> bool:
    """Tell whether a name is an address, and no path of this machine."""
    return _ADDRESS.match(name) is not None


def has_keys(address: str) -> bool:
    """Tell whether an address has keys in it; ``gs://anonymous@bucket/file`` says that there are none."""
    user, at, _ = address.split("://", 1)[1].split("/", 1)[0].rpartition("@")
    return bool(at) and user != "anonymous"


def open_store(address: str) -> tuple[fs.FileSystem, str]:
    """Return the store that has a file, and the file's path there; raise OSError, ValueError or pa.ArrowException."""
    from pyarrow import fs  # the daemon asks for names only

    files, path = fs.FileSystem.from_uri(address)
    return files, str(path)
