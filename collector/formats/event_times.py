"""When events happened: the moments that a column tells, whichever way it spells them.

Moments come as timestamps (naive ones are UTC), as dates, as ISO 8601 in text, or as numbers since 1970 in seconds,
milliseconds, microseconds or nanoseconds: a number is a moment in one of these at most. What lies before 1980 stands
for a missing time, as 0 and 1900-01-01 do, and what lies beyond a given moment is a mistake. Neither is a moment.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from collector.formats.apart import pieces_of
from collector.formats.kinds import PER_SECOND, is_number, is_text, is_time, without_view
from collector.formats.spellings import NUMBERS, TIMES, trimmed, where

EARLIEST = 315_532_800  # 1980, in Unix seconds as all moments here
MICROSECONDS = 1_000_000
_DAY = 86_400


def moments_of(field: pa.Field, column: pa.ChunkedArray, latest: float) -> pa.ChunkedArray:
    """Return when each event of a column happened, in whole Unix microseconds; null where it isn't told.

    The column may be one that keeps several types apart, as parts do.
    """
    return pa.chunked_array([_of_chunk(field, chunk, latest) for chunk in column.chunks], pa.int64())


def _of_chunk(field: pa.Field, chunk: pa.Array, latest: float) -> pa.Array:
    found = [_of_values(values, latest) for _, values in pieces_of(field, chunk) if values.null_count < len(values)]
    if len(found) < 2:
        return found[0] if found else pa.nulls(len(chunk), pa.int64())
    return pc.coalesce(*found)


def _of_values(values: pa.Array, latest: float) -> pa.Array:
    kind = values.type
    if isinstance(values, pa.ExtensionArray):
        return _of_values(values.storage, latest)
    if types.is_dictionary(kind):
        return _of_values(values.cast(kind.value_type), latest)
    if is_time(kind):
        return _of_times(values, latest)
    if is_number(kind):
        return _of_numbers(values, latest)
    if is_text(kind):
        return _of_texts(values.cast(without_view(kind)), latest)
    return pa.nulls(len(values), pa.int64())


def _of_times(values: pa.Array, latest: float) -> pa.Array:
    kind = values.type
    if types.is_date32(kind):
        return pc.multiply(_between(values.cast(pa.int32()), 1 / _DAY, latest).cast(pa.int64()), _DAY * MICROSECONDS)
    unit = "ms" if types.is_date64(kind) else kind.unit
    return _in_microseconds(values.cast(pa.int64()), PER_SECOND[unit], latest)


def _of_numbers(values: pa.Array, latest: float) -> pa.Array:
    """Read each number in the one unit (s, ms, us, ns) in which it lies between the bounds."""
    values = values.cast(pa.int64() if types.is_integer(values.type) else pa.float64(), safe=False)
    return pc.coalesce(*(_in_microseconds(values, unit, latest) for unit in PER_SECOND.values()))


def _of_texts(values: pa.Array, latest: float) -> pa.Array:
    texts = trimmed(values)
    are_times = pc.fill_null(TIMES.fits(texts), False)
    read = TIMES.read(where(are_times, texts))
    moments = _of_times(read, latest)
    if pc.all(pc.or_(are_times, pc.is_null(texts))).as_py():
        return moments
    numbers = NUMBERS.read(where(pc.fill_null(NUMBERS.fits(texts), False), texts))
    return pc.coalesce(moments, _of_numbers(numbers, latest))


def _in_microseconds(values: pa.Array, per_second: int, latest: float) -> pa.Array:
    near = _between(values, per_second, latest)
    if per_second > MICROSECONDS:
        shift: Any = pa.scalar(per_second // MICROSECONDS, near.type)
        scaled = pc.divide(near, shift)
    else:
        scaled = pc.multiply(near, pa.scalar(MICROSECONDS // per_second, near.type))
    return scaled if types.is_integer(scaled.type) else pc.round(scaled).cast(pa.int64())


def _between(values: pa.Array, per_second: float, latest: float) -> pa.Array:
    """Return the values between the bounds, and null for the others."""
    least, most = EARLIEST * per_second, latest * per_second
    is_whole = types.is_integer(values.type)
    least, most = (int(least), int(most)) if is_whole else (float(least), float(most))
    are_near = pc.and_(
        pc.greater_equal(values, pa.scalar(least, values.type)), pc.less_equal(values, pa.scalar(most, values.type))
    )
    return where(are_near, values)
