"""The canonical text of a key: two values are the same key if these are the same, whatever types they came in.

====================================  ===============================================
1, 1.0, "1", "1.0"                    ``1``; but "007" is a text, and not 7
Decimal("1.50")                       ``1.5``
"3F2504E0-4F89-11D3-9A0C-0305E82C3301"  ``3f2504e0-4f89-11d3-9a0c-0305e82c3301``
b"abc"                                ``abc``
a time                                ``2024-05-01T12:30:00``, with ``Z`` if it is zoned
null, NaN, "", 1e300                  no key: null
====================================  ===============================================
"""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from collector.formats.apart import pieces_of
from collector.formats.keys import MAX_FLOAT
from collector.formats.kinds import is_binary, is_text

_TEXT = pa.large_binary()
# How pandas writes an integer beside missing values.
_INTEGRAL = r"^(0|-?[1-9][0-9]{0,14})\.0$"
_UUID = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
_UUID_LENGTH = 36


def canonical_texts(field: pa.Field, values: pa.Array) -> pa.Array:
    """Return the canonical text of each value of a column, or of a piece of it, as bytes; null for no key."""
    pieces = [_texts(array) for form, array in pieces_of(field, values) if is_key_type(form.type)]
    return pc.coalesce(*pieces) if pieces else pa.nulls(len(values), _TEXT)


def is_key_type(kind: pa.DataType) -> bool:
    """Tell whether values of a type can be keys: lists and objects can't."""
    if isinstance(kind, pa.BaseExtensionType):
        return is_key_type(kind.storage_type)
    return not (types.is_nested(kind) or types.is_interval(kind))


def are_all_keys(values: pa.Array) -> bool:
    """Tell without their texts that all values are keys, as they mostly are; False says nothing."""
    if values.null_count:
        return False
    if types.is_integer(values.type):
        return True
    is_plain = types.is_string(values.type) or types.is_large_string(values.type)
    return is_plain and not pc.any(pc.equal(pc.binary_length(values), 0)).as_py()


def _texts(values: pa.Array) -> pa.Array:
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return _uuid_texts(values.storage) if kind.extension_name == "arrow.uuid" else _texts(values.storage)
    if types.is_dictionary(kind):
        return _texts(values.cast(kind.value_type))
    if is_binary(kind):
        return _without_empty(values.cast(_TEXT))
    if is_text(kind):
        texts = _text_texts(values.cast(pa.large_string()))
    elif types.is_floating(kind):
        texts = _float_texts(values.cast(pa.float64()))
    elif types.is_decimal(kind):
        digits = pc.replace_substring_regex(values.cast(pa.string()), r"(\.[0-9]*?)0+$", r"\1")
        texts = pc.utf8_rtrim(digits, ".")
    elif types.is_timestamp(kind):
        texts = _time_texts(values)
    else:
        texts = values.cast(pa.string())
    return _without_empty(texts.cast(pa.large_string()).cast(_TEXT))


def _float_texts(values: pa.Array) -> pa.Array:
    numbers = values.to_numpy(zero_copy_only=False)
    is_key = np.isfinite(numbers) & (np.abs(numbers) < MAX_FLOAT)
    is_whole = is_key & (np.trunc(numbers) == numbers)
    whole = pa.array(np.where(is_whole, numbers, 0).astype(np.int64), mask=~is_whole).cast(pa.string())
    if (is_whole == is_key).all():
        return whole
    others = [
        repr(number) if is_other else None
        for number, is_other in zip(numbers.tolist(), is_key & ~is_whole, strict=True)
    ]
    return pc.coalesce(whole, pa.array(others, pa.string()))


def _time_texts(values: pa.Array) -> pa.Array:
    zone = None if values.type.tz is None else "UTC"  # an instant, whatever the name of its zone
    texts = values.cast(pa.timestamp(values.type.unit, zone)).cast(pa.large_string())
    texts = pc.replace_substring(texts, " ", "T")
    # The same text for each unit: 12:30:00.500000Z becomes 12:30:00.5Z, and 12:30:00.000 becomes 12:30:00.
    return pc.replace_substring_regex(texts, r"(?:(\.\d*?[1-9])|\.)0*(Z?)$", r"\1\2")


def _text_texts(texts: pa.Array) -> pa.Array:
    if pc.any(pc.ends_with(texts, ".0")).as_py():
        texts = pc.replace_substring_regex(texts, _INTEGRAL, r"\1")
    lower = pc.ascii_lower(texts)
    may_be = pc.and_(pc.not_equal(lower, texts), pc.equal(pc.binary_length(texts), _UUID_LENGTH))
    if pc.any(may_be).as_py():
        texts = pc.if_else(pc.and_(may_be, pc.match_substring_regex(texts, _UUID)), lower, texts)
    return texts


def _uuid_texts(storage: pa.Array) -> pa.Array:
    texts = [None if raw is None else str(uuid.UUID(bytes=raw)) for raw in storage.to_pylist()]
    return pa.array(texts, pa.large_string()).cast(_TEXT)


def _without_empty(texts: pa.Array) -> pa.Array:
    is_empty = pc.equal(pc.binary_length(texts), 0)
    return pc.if_else(is_empty, pa.scalar(None, _TEXT), texts) if pc.any(is_empty).as_py() else texts
