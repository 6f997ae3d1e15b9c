"""How many values there are of a sort, and a few of them, as a sentence for the operator's log has them.

They are an operator's and nobody else's: they go into the log and ``/logs``, never into metrics or alerts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

_MOST = 3
_LONGEST = 40
_LOOKED_AT = 100


@dataclass
class Examples:
    """Values of a sort: how many, and a few different ones."""

    count: int = 0
    shown: dict[str, None] = field(default_factory=dict)

    def add(self, column: pa.Array | pa.ChunkedArray) -> None:
        """Count the values that aren't missing."""
        self.count += len(column) - column.null_count
        if len(self.shown) < _MOST:
            self.add_shown(column.drop_null().slice(0, _LOOKED_AT).to_pylist())

    def add_shown(self, values: Iterable[object]) -> None:
        """Show values that are counted."""
        self.shown |= dict.fromkeys(map(_shown, values))

    @property
    def few(self) -> str:
        """A few different values."""
        return ", ".join(list(self.shown)[:_MOST])

    def __str__(self) -> str:
        return f"{self.count} {'value' if self.count == 1 else 'values'}: {self.few}"


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
