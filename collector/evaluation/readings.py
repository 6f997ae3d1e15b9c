"""Readings of one kind of values as another: which of them come back as they were, and those of them, read.

A float that is whole comes back from an integer, as pandas makes integers floats where one is missing; 2**53 and more
don't come back from a float. Numbers are times only by the reference's: see ``Wanted.years_around``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from collector.formats.as_text import EXACT_IN_FLOAT
from collector.formats.kinds import PER_SECOND
from collector.formats.spellings import INTEGERS, NUMBERS, TIMES, TRUTHS, Column, Reading, where

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.evaluation.wanted import Wanted
    from collector.formats.spellings import Kind

_POINT_ZERO = r"\.0$"


def readings_of(have: Kind, wanted: Wanted) -> tuple[Reading, ...]:
    """Return the ways to take values of a kind for what the reference has, best first."""
    make = _TABLE.get((have, wanted.kind))
    return make(wanted) if make else ()


def respellings(wanted: Wanted) -> tuple[Reading, ...]:
    """Return the ways in which CSV may write the reference's text otherwise: ``2139.0`` for 2139, ``True`` for true."""
    cut = Reading(
        lambda column: pc.match_substring_regex(column, r"^-?(?:0|[1-9][0-9]*)\.0$"),
        lambda column: pc.replace_substring_regex(column, _POINT_ZERO, ""),
    )
    found = [cut] if wanted.has_integers_only else []
    found += [_after(TRUTHS, _spell_booleans(wanted))] if wanted.has_booleans_only else []
    return tuple(found)


def _are_exact(column: Column) -> Column:
    return pc.less(pc.abs(column.cast(pa.float64(), safe=False)), float(EXACT_IN_FLOAT))


def _are_whole(column: Column) -> Column:
    return pc.and_(pc.equal(column, pc.floor(column)), _are_exact(column))


def _are_all(column: Column) -> Column:
    return pc.if_else(pc.is_valid(column), True, pa.scalar(None, pa.bool_()))


def _write_numbers(column: Column) -> Column:
    """Write numbers as JSON does; Arrow writes some in another way."""
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    texts = pa.array([json.dumps(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return pa.chunked_array([texts.take(encoded.indices)])


def _spell_booleans(wanted: Wanted) -> Reading:
    spelt = wanted.booleans
    return Reading(_are_all, lambda column: pc.if_else(column, spelt[True], spelt[False]))


def _epochs(wanted: Wanted) -> tuple[Reading, ...]:
    """Return one reading of numbers as an epoch for each unit. Only the right unit gives years near the reference's."""
    return tuple(_epoch(unit, *wanted.years_around) for unit in PER_SECOND)


def _epoch(unit: str, first: int, last: int) -> Reading:
    factor = 10**6 / PER_SECOND[unit]

    def are_near(column: Column) -> Column:
        micros = pc.multiply(column.cast(pa.float64(), safe=False), factor)
        return pc.and_(pc.greater_equal(micros, float(first)), pc.less_equal(micros, float(last)))

    def read(column: Column) -> Column:
        if types.is_integer(column.type):
            return column.cast(pa.int64()).cast(pa.timestamp(unit))
        return pc.round(pc.multiply(column, factor)).cast(pa.int64()).cast(pa.timestamp("us"))

    return Reading(are_near, read, unit)


def _after(spelling: Reading, reading: Reading) -> Reading:
    """Read a column as text first, and then read what the text spells."""

    def fits(column: Column) -> Column:
        spelt = spelling.fits(column)
        return pc.and_(spelt, pc.fill_null(reading.fits(spelling.read(where(spelt, column))), pc.invert(spelt)))

    return Reading(fits, lambda column: reading.read(spelling.read(column)), reading.unit)


_WHOLE = Reading(_are_whole, lambda column: column.cast(pa.int64()))
_EXACT = Reading(_are_exact, lambda column: column.cast(pa.float64()))
_ZERO_OR_ONE = Reading(
    lambda column: pc.or_(pc.equal(column, 0), pc.equal(column, 1)), lambda column: column.cast(pa.bool_())
)
_ONES = Reading(_are_all, lambda column: column.cast(pa.int64()))
_FLOAT_ONES = Reading(_are_all, lambda column: column.cast(pa.int64()).cast(pa.float64()))
_DIGITS = Reading(_are_all, lambda column: column.cast(pa.string()))
_WHOLE_DIGITS = Reading(_are_whole, lambda column: column.cast(pa.int64()).cast(pa.string()))
_WRITTEN = Reading(pc.is_finite, _write_numbers)

_TABLE: dict[tuple[Kind, Kind], Callable[[Wanted], tuple[Reading, ...]]] = {
    # Text with fractions becomes numbers, as JSON's numbers do.
    ("text", "integer"): lambda wanted: (
        INTEGERS,
        _after(NUMBERS, _WHOLE),
        *([] if wanted.is_category else [NUMBERS]),
    ),
    ("text", "float"): lambda _: (NUMBERS,),
    ("text", "boolean"): lambda _: (TRUTHS, _after(NUMBERS, _ZERO_OR_ONE)),
    ("text", "time"): lambda wanted: (
        TIMES,
        *(_after(spelling, epoch) for spelling in (INTEGERS, NUMBERS) for epoch in _epochs(wanted)),
    ),
    ("integer", "float"): lambda _: (_EXACT,),
    ("integer", "boolean"): lambda _: (_ZERO_OR_ONE,),
    ("integer", "text"): lambda _: (_DIGITS,),
    ("integer", "time"): _epochs,
    ("float", "integer"): lambda _: (_WHOLE,),
    ("float", "boolean"): lambda _: (_ZERO_OR_ONE,),
    ("float", "text"): lambda _: (_WHOLE_DIGITS, _WRITTEN),
    ("float", "time"): _epochs,
    ("boolean", "integer"): lambda _: (_ONES,),
    ("boolean", "float"): lambda _: (_FLOAT_ONES,),
    ("boolean", "text"): lambda wanted: (_spell_booleans(wanted),),
}
