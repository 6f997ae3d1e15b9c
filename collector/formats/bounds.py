"""Bounds: what the rows of one POST may hold at most, and what they must have."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from collector.errors import BodyTooLarge

# Bytes. Parsing holds the GIL; for a smaller body, the hop to a thread costs more than the parsing.
SMALL_BODY = 64 * 2**10
# A table's number of rows, and the names of its columns.
Counted = tuple[int, Collection[str]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of a frame; ``max_bytes`` is of what an Arrow or parquet body unfolds to. Each check: BodyTooLarge.

    ``key`` names the column that has a key in each row; empty: none needs one. See ``keys``.
    """

    max_bytes: float = math.inf
    max_rows: float = math.inf
    max_columns: float = math.inf
    key: str = ""

    def check_bytes(self, size: float) -> None:
        """Refuse what unfolds to too many bytes."""
        if size > self.max_bytes:
            raise BodyTooLarge(f"the body holds more than the limit of {self.max_bytes:.0f} bytes; {_SPLIT}")

    def check_rows(self, rows: int) -> None:
        """Refuse too many rows."""
        if rows > self.max_rows:
            raise BodyTooLarge(f"the body has {rows} rows, the limit is {self.max_rows}; {_SPLIT}")

    def check_columns(self, columns: int) -> None:
        """Refuse too many columns."""
        if columns > self.max_columns:
            raise BodyTooLarge(f"the body has {columns} columns, the limit is {self.max_columns}")


_SPLIT = "send the rows in several requests"
NO_BOUNDS = Bounds()
