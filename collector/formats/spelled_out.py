"""Spelled out: how many bytes values take when each is written out, where Arrow or parquet write equal ones once."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types


def spelled_out(array: pa.Array) -> int:
    """Return the bytes that an array takes beyond its own; ValueError for types whose values may overlap otherwise."""
    type_ = array.type
    if types.is_dictionary(type_):
        return _of_dictionary(array)
    if types.is_string_view(type_) or types.is_binary_view(type_):
        return sum(_view_lengths(array))
    return sum(spelled_out(child) for child in _children(array))


def _children(array: pa.Array) -> list[pa.Array]:
    """Return the arrays that this array is made of."""
    type_ = array.type
    if isinstance(array, pa.ExtensionArray):
        return [array.storage]
    if types.is_struct(type_):
        return [array.field(number) for number in range(type_.num_fields)]
    if types.is_map(type_):
        return [array.keys, array.items]
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        return [array.values]
    if type_.num_fields or types.is_run_end_encoded(type_):
        raise ValueError("send it as a list, or as a plain column")
    return []


def _of_dictionary(array: pa.DictionaryArray) -> int:
    values = array.dictionary
    if values.type.num_fields or types.is_dictionary(values.type) or types.is_run_end_encoded(values.type):
        raise ValueError("a dictionary of nested values can't be kept; send a plain column")
    if types.is_string_view(values.type) or types.is_binary_view(values.type):
        lengths = pa.array(_view_lengths(values), pa.int64())
    elif types.is_null(values.type):
        return len(array)
    elif _is_text(values.type):
        lengths = pc.binary_length(values).cast(pa.int64())
    else:
        return len(array) * (int(values.type.bit_width) // 8 + 1)
    total: int | None = pc.sum(lengths.take(array.indices)).as_py()
    return total or 0


def _is_text(type_: pa.DataType) -> bool:
    return any(
        is_type(type_) for is_type in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    )


def _view_lengths(array: pa.Array) -> list[int]:
    """Return the length of each view, which is its first number (16 bytes each, Arrow's columnar format)."""
    views = memoryview(array.buffers()[1] or pa.py_buffer(b"")).cast("B").cast("i")
    start, end = 4 * array.offset, 4 * (array.offset + len(array))
    return [max(0, length) for length in views[start:end:4]]
