"""Kinds: which of Arrow's many types are text, bytes, numbers, times or lists."""

from __future__ import annotations

import pyarrow as pa
from pyarrow import types

# Of the units of times.
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a type is one of text."""
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_binary(kind: pa.DataType) -> bool:
    """Tell whether a type is one of bytes."""
    binary = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    return any(is_kind(kind) for is_kind in binary)


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a type is one of numbers."""
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def is_time(kind: pa.DataType) -> bool:
    """Tell whether a type is one of moments or days."""
    return bool(types.is_timestamp(kind) or types.is_date(kind))


def is_list(kind: pa.DataType) -> bool:
    """Tell whether a type is one of lists."""
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def is_nothing(kind: pa.DataType) -> bool:
    """Tell whether a type has no values: that of nulls, or of categories of them."""
    return bool(types.is_null(kind) or (types.is_dictionary(kind) and types.is_null(kind.value_type)))


def without_view(kind: pa.DataType) -> pa.DataType:
    """Return the plain type in place of a view, which many functions don't know."""
    return {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}.get(kind, kind)
