"""Values of any Arrow type as text, for a column in which they stand beside others."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyarrow import types

from collector.formats.json_body import text_of
from collector.formats.kinds import PER_SECOND, is_binary

# A float holds each integer up to this exactly.
EXACT_IN_FLOAT = 2**53


def to_text(values: pa.Array) -> pa.Array:
    """Return values as text, each as it would be written alone; a missing one, and NaN, is null."""
    write = next((write for is_kind, write in _WRITERS if is_kind(values.type)), None)
    return values.cast(pa.string()) if write is None else pa.array(write(values), pa.large_string())


def number_text(value: float | Decimal) -> str:
    """Write a number alike whichever type it came in: one is 1, and not 1.0 or 1.00."""
    if isinstance(value, float):
        return str(int(value)) if abs(value) <= EXACT_IN_FLOAT and value.is_integer() else json.dumps(value)
    digits = format(value, "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def as_json_text(values: Any) -> list[str | None]:
    """Write nested values as the JSON that they would have come as, so that they can be counted and compared."""
    return list(map(text_of, values.to_pylist()))


def _number_texts(values: pa.Array) -> list[str | None]:
    numbers = values.to_pylist()
    return [None if value is None or value != value else number_text(value) for value in numbers]  # noqa: PLR0124  (NaN)


def _seconds_texts(values: pa.Array) -> list[str | None]:
    counts = values.cast(pa.int64()).to_pylist()
    return [None if count is None else number_text(count / PER_SECOND[values.type.unit]) for count in counts]


def _hex_texts(values: pa.Array) -> list[str | None]:
    return [None if value is None else value.hex() for value in values.to_pylist()]


def _utc_texts(values: pa.Array) -> pa.Array:
    """Write zoned times as instants in UTC. No zone is looked up: its name may be unknown."""
    return values.cast(pa.timestamp(values.type.unit, "UTC")).cast(pa.large_string())


_WRITERS: list[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], Any]]] = [
    (lambda kind: types.is_floating(kind) or types.is_decimal(kind), _number_texts),
    (types.is_duration, _seconds_texts),
    (is_binary, _hex_texts),
    (lambda kind: types.is_timestamp(kind) and kind.tz is not None, _utc_texts),
    (types.is_nested, as_json_text),
]
