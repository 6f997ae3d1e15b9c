"""What a column of text spells: integers, numbers, booleans or times, told of all values at once.

Each spelling says which values are plainly of its kind, and no more is read into a text: ``007``, ``+49``, ``08:30``,
``1_000``, ``NA`` and ``yes`` are text. What is read comes back as it was: no integer becomes a float that rounds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from collector.formats.as_text import EXACT_IN_FLOAT
from collector.formats.sources import CSV, marks_of_field

Column: TypeAlias = pa.ChunkedArray
Kind = Literal["text", "integer", "float", "boolean", "time", "list"]

BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# How databases and spreadsheets spell a missing value among numbers.
MISSING = ("", "N/A", "n/a", "NA", "NULL", "Null", "null", "None", "none", "nil", "#N/A", "#VALUE!", "-", "--", "?")
NO_NUMBER = ("NaN", "nan", "NAN", "NaT", "<NA>")

_INTEGER = r"^-?(?:0|[1-9][0-9]{0,18})$"
_INFINITE = r"^-?(?:inf|Inf|Infinity)$"
_NUMBER = r"^-?(?:(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|inf|Inf|Infinity)$|^(?:NaN|nan|NAN)$"
_LONG_INTEGER = r"^-?[0-9]{16,}$"
_TIME = (
    r"^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?(?:Z|[-+][0-9]{2}(?::?[0-9]{2})?)?)?$"
)
_ZONE = r"(?:Z|[-+][0-9]{2}(?::?[0-9]{2})?)$"
_FINER_THAN_MICROSECONDS = r"\.[0-9]{7,9}"


@dataclass(frozen=True)
class Reading:
    """A way to read values: which of them come back as they were, and those of them (no others) as another type."""

    fits: Callable[[Column], Column]
    read: Callable[[Column], Column]
    unit: str = ""  # the unit, if numbers are read as times


def typed_by_spelling(table: pa.Table) -> pa.Table:
    """Return a table whose columns of CSV are what all of their values spell; those that were quoted are text."""
    columns = [
        _by_spelling(column) if marks_of_field(field) == CSV else column
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _by_spelling(column: Column) -> Column:
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column))])
    plain = trimmed(column)
    reading = next((one for one in SPELLINGS if pc.all(one.fits(plain)).as_py() is not False), None)
    return column if reading is None else reading.read(plain)


def trimmed(column: Column) -> Column:
    """Return text without the spaces around it, which CSV is often written with."""
    return pc.utf8_trim(column, " \t")


def where(fits: Column, column: Column) -> Column:
    """Return the values that fit, null in place of the others."""
    return pc.if_else(fits, column, pa.scalar(None, column.type))


def read_times(column: Column) -> Column:
    """Read ISO 8601: naive and zoned texts may stand side by side, and naive ones are UTC, as everything here."""
    finer = pc.any(pc.match_substring_regex(column, _FINER_THAN_MICROSECONDS)).as_py()
    unit = "ns" if finer else "us"
    zoned = pc.match_substring_regex(pc.replace_substring_regex(column, r"^[0-9-]{10}", ""), _ZONE)
    if not pc.any(zoned).as_py():
        return column.cast(pa.timestamp(unit))
    nothing = pa.scalar(None, column.type)
    instants = pc.if_else(zoned, column, nothing).cast(pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit))
    return pc.coalesce(instants, pc.if_else(zoned, nothing, column).cast(pa.timestamp(unit)))


def read_numbers(column: Column) -> Column:
    """Read numbers; NaN is a missing one."""
    numbers = column.cast(pa.float64())
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)


def read_integers(column: Column) -> Column:
    """Read integers."""
    return column.cast(pa.int64())


def fit_integers(column: Column) -> Column:
    """Tell which values are integers of 64 bits, written as they are."""
    return _readable(pc.match_substring_regex(column, _INTEGER), column, read_integers)


def fit_numbers(column: Column) -> Column:
    """Tell which values are numbers that a float holds."""
    fits = pc.match_substring_regex(column, _NUMBER)
    numbers = pc.abs(where(fits, column).cast(pa.float64()))
    if pc.any(pc.greater_equal(numbers, float(EXACT_IN_FLOAT))).as_py():
        is_large = pc.fill_null(pc.greater_equal(numbers, float(EXACT_IN_FLOAT)), False)
        fits = pc.and_not(fits, pc.and_(is_large, pc.match_substring_regex(column, _LONG_INTEGER)))
    if pc.any(pc.is_inf(numbers)).as_py():
        is_infinite = pc.fill_null(pc.is_inf(numbers), False)
        is_meant = pc.match_substring_regex(column, _INFINITE)  # 1e999 is no infinity
        fits = pc.and_not(fits, pc.and_not(is_infinite, is_meant))
    return fits


def fit_times(column: Column) -> Column:
    """Tell which values are times in ISO 8601, down to minutes, or dates."""
    return _readable(pc.match_substring_regex(column, _TIME), column, read_times)


def fit_booleans(column: Column) -> Column:
    """Tell which values are true or false."""
    return _or_null(column, pc.is_in(column, value_set=pa.array(BOOLEANS, column.type)))


def read_booleans(column: Column) -> Column:
    """Read true and false."""
    return _or_null(
        column, pc.is_in(column, value_set=pa.array([name for name, value in BOOLEANS.items() if value], column.type))
    )


INTEGERS = Reading(fit_integers, read_integers)
NUMBERS = Reading(fit_numbers, read_numbers)
TRUTHS = Reading(fit_booleans, read_booleans)
TIMES = Reading(fit_times, read_times)
SPELLINGS = (INTEGERS, NUMBERS, TRUTHS, TIMES)


def _or_null(column: Column, answers: Column) -> Column:
    return pc.if_else(pc.is_valid(column), answers, pa.scalar(None, pa.bool_()))


def _readable(fits: Column, column: Column, read: Callable[[Column], Column]) -> Column:
    """Leave out the few values that look right but can't be read: February 30th, or 19 digits that exceed 64 bits."""
    try:
        read(where(fits, column))
    except pa.ArrowInvalid:
        fitting = pc.unique(where(fits, column)).drop_null()
        readable = pc.filter(fitting, pa.array([_can_be_read(fitting[n : n + 1], read) for n in range(len(fitting))]))
        return pc.and_(fits, pc.is_in(column, value_set=readable))
    return fits


def _can_be_read(value: pa.Array, read: Callable[[Column], Column]) -> bool:
    try:
        read(pa.chunked_array([value]))
    except pa.ArrowInvalid:
        return False
    return True
