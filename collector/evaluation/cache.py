"""What is computed of references alone, kept in the worker's memory for the next batch."""

import resource
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import pandas as pd

T = TypeVar("T")

_MAX_BYTES = 1_000_000_000
_SHARE = 4  # the cache may take a quarter of the memory that the process may take


def size_of_frame(frame: pd.DataFrame) -> int:
    """Return the bytes of a frame, with those of its texts."""
    return int(frame.memory_usage(deep=True).sum())


class Warm:
    """Results by what they were made of, the most recently used, up to a size."""

    def __init__(self, max_bytes: int | None = None) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T], size_of: Callable[[T], int]) -> T:
        """Return what was made for the key, or make it. A result larger than the whole cache isn't kept."""
        made, size = self._kept.pop(key) if key in self._kept else ((new := make()), size_of(new))
        if size > self._limit():
            return made
        self._kept[key] = (made, size)
        while sum(size for _, size in self._kept.values()) > self._limit():
            self._kept.popitem(last=False)
        return made

    def _limit(self) -> int:
        if self._max_bytes is not None:
            return self._max_bytes
        limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
        return _MAX_BYTES if limit == resource.RLIM_INFINITY else min(_MAX_BYTES, limit // _SHARE)


REFERENCES = Warm()
