"""Keys of labels, as they come in: each row of labels needs one, or nobody can say whose label it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from collector.errors import BadBody

if TYPE_CHECKING:
    from collections.abc import Collection

    import pyarrow as pa

# From here on, one float stands for several integers.
MAX_FLOAT = 2.0**53
_PRIVATE = "a value"
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64


def is_key(value: Any) -> bool:
    """Tell whether a value of JSON is a key."""
    kind = type(value)
    if kind is str:
        return bool(value)
    if kind is int:
        return bool(_MIN_INTEGER <= value < _MAX_INTEGER)
    return kind is bool or bool(kind is float and math.isfinite(value) and abs(value) < MAX_FLOAT)


def are_keys(values: Collection[Any]) -> bool:
    """Tell whether values of JSON are keys, all of them."""
    if type(next(iter(values), None)) is str:
        try:
            "".join(values)  # takes half the time of asking each value for its type
        except TypeError:
            return all(map(is_key, values))
        return all(values)
    if set(map(type, values)) == {int}:
        return bool(min(values) >= _MIN_INTEGER and max(values) < _MAX_INTEGER)
    return all(map(is_key, values))


def check_values(name: str, values: Collection[Any], *, is_private: bool = False) -> None:
    """Raise BadBody, naming the first row whose value of JSON can't be a key; one that is private isn't quoted."""
    if are_keys(values):
        return
    for row, value in enumerate(values):
        if not is_key(value):
            raise _no_key(name, row, _PRIVATE if is_private else "null" if value is None else repr(value)[:40])


def check_table(name: str, table: pa.Table, *, is_private: bool = False) -> None:
    """Raise BadBody, naming the first row of a table that has no key; one that is private isn't quoted."""
    from collector.formats.canonical import are_all_keys, canonical_texts, is_key_type

    number = table.schema.get_field_index(name)
    if number < 0:
        raise lacking(name)
    field = table.schema.field(number)
    if not is_key_type(field.type):
        raise BadBody(f"the key '{name}' is {field.type}; a key must be a number, a text, bytes, a date or a time")
    row = 0
    for chunk in table.column(number).chunks:
        texts = None if are_all_keys(chunk) else canonical_texts(field, chunk)
        if texts is not None and texts.null_count:
            place = texts.is_null().index(True).as_py()
            raise _no_key(name, row + place, _PRIVATE if is_private else _shown(chunk[place]))
        row += len(chunk)


def lacking(name: str) -> BadBody:
    """Say that a body of labels has no column of their keys."""
    return BadBody(f"the body has no column '{name}', which is the key of the labels; send it beside them")


def _shown(value: pa.Scalar) -> str:
    return "null" if not value.is_valid else repr(value.as_py())[:40]


def _no_key(name: str, row: int, told: str) -> BadBody:
    return BadBody(
        f"the key '{name}' of row {row} is {told}, which can't be a key; a key is never missing, empty, NaN, "
        "a list or an object, and a number of 2^53 or more must be an integer of 64 bits, or text; nothing was kept"
    )
