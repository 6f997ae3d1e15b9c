"""Freed memory: the C library keeps some of it for what comes next, where it would give it all back to the system."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # the numbers of these options in malloc.h
_KEPT = 4 * 2**20


def keep_freed_memory() -> None:
    """Have each thread keep a few MB of the memory that it frees.

    A body of 500 kB is read and put together in 240 pages; to get those anew from the system, cleared, takes as long
    as to write it: without this, such bodies take 20 to 30 % more of the processor. Where the C library isn't glibc,
    nothing is done.
    """
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_M_MMAP_THRESHOLD, _KEPT)
