"""The types of a batch's columns: what each is cast to, so that every value comes back as it was, and the note on it.

The rules, which configs/types.md has as a table, are those of ``readings``: by what came and what the reference has.
A column is looked at whole before any of it is cast, in pieces if it has to be::

    came as          the reference has   looked at              becomes
    "7", "12", null  integers            all are integers       7, 12, null
    "7", "N/A", "9"  integers            one of three isn't     7, null, 9, and that is noted
    "007", "12"      integers            "007" is a code        "007", "12", and that is noted
    1767225600.5     times of 2026       seconds, if any unit   2026-01-01 00:00:00.5
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from collector.evaluation.pandas_columns import UNIT
from collector.evaluation.readings import readings_of, respellings
from collector.evaluation.wanted import NAMES, Wanted
from collector.formats.categories import encoded, own_values
from collector.formats.examples import Examples
from collector.formats.merging import UNFIT
from collector.formats.sources import LIST, marks_of_field, source_of
from collector.formats.spellings import MISSING, NO_NUMBER, NUMBERS, SPELLINGS, Column, Kind, Reading, trimmed, where
from collector.wording import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import pandas as pd

    from collector.formats.sources import Marks, Source
    from collector.workers.exchange import Cast

_MOSTLY = 0.5  # one N/A among numbers is a missing value; one number among texts isn't a number
_FEW = 100


class Casts:
    """How the columns of a batch are cast: looks at all of it, then casts it, or a sample of its rows."""

    def __init__(
        self,
        reference: pd.DataFrame | None,
        cast: Cast = "untyped",
        *,
        keep_lists: Collection[str] = (),
    ) -> None:
        self._reference = {} if reference is None else dict(reference.items())
        self._cast = cast
        self._keep_lists = keep_lists
        self._columns: dict[str, _AsItCame] = {}

    def look(self, table: pa.Table, *, is_whole: bool = False) -> None:
        """Take rows into account, all of them or a piece; all pieces have the same columns and types."""
        if not self._columns:
            self._columns = {one.name: self._column(one, marks_of_field(one)) for one in table.schema}
        for name, column in list(self._columns.items()):
            try:
                column.look(table.column(name), is_whole=is_whole)
            except UNFIT as error:
                self._columns[name] = _Left(error, column)

    def cast(self, table: pa.Table) -> tuple[pa.Table, list[str]]:
        """Return rows with their columns cast, and a note on each column that needs one."""
        columns = [self._cast_column(name, table.column(name)) for name in table.column_names]
        said = [(name, self._columns[name].note()) for name in table.column_names]
        notes = [f"Column {name!r} {note}." for name, note in said if note]
        return pa.Table.from_arrays(columns, names=table.column_names), notes

    @property
    def read(self) -> list[str]:
        """Name the columns that came in several kinds, it may be, and are all of one now."""
        return [name for name, column in self._columns.items() if column.is_read]

    def _cast_column(self, name: str, column: Column) -> Column:
        try:
            return self._columns[name].cast(column)
        except UNFIT as error:
            self._columns[name] = _Left(error, self._columns[name])
            return column

    def _column(self, one: pa.Field, marks: Marks) -> _AsItCame:
        if marks >= LIST and one.name in self._keep_lists:
            return _Lists()
        source = source_of(marks)
        wanted = Wanted.of(self._reference[one.name]) if one.name in self._reference else None
        is_cast = self._cast == "all" or (self._cast == "untyped" and source != "typed")
        return _Column(one.type, source, wanted, is_cast=is_cast)


def kind_of(kind: pa.DataType) -> Kind | None:
    """Name the kind of an Arrow type; None for what is never cast."""
    if types.is_dictionary(kind):
        return kind_of(kind.value_type)
    return next((name for fits, name in _KINDS if fits(kind)), None)


class _AsItCame:
    """A column that stays as it came, without a note."""

    @property
    def is_read(self) -> bool:
        """Whether its values were read as another kind, or it came as CSV, which is text to begin with."""
        return False

    @property
    def came(self) -> str:
        """Say what it came as, and what the reference has."""
        return ""

    def look(self, column: Column, *, is_whole: bool) -> None:
        """Look at values of the column; ``is_whole`` if these are all of them."""

    def cast(self, column: Column) -> Column:
        """Return values of the column, cast; to be called once all were looked at."""
        return column

    def note(self) -> str:
        """Say what was cast, taken for missing or left as it was; "" if nobody needs to know."""
        return ""


@dataclass
class _Left(_AsItCame):
    """A column that stays as it came because looking at it raised; the other columns are cast all the same."""

    error: Exception
    was: _AsItCame

    def note(self) -> str:
        return f"{self.was.came}: left as it came, as it can't be cast ({first_line(self.error)})"

    @property
    def came(self) -> str:
        return self.was.came


@dataclass
class _Trial:
    """A reading, and whether it has fitted all values so far."""

    reading: Reading
    fits: bool = True

    def look(self, column: Column) -> Column:
        """Return which values fit."""
        fitting = self.reading.fits(column)
        self.fits = self.fits and _all(fitting)
        return fitting

    def look_quickly(self, column: Column) -> None:
        """Find out whether all values fit, mostly by looking at the first."""
        self.fits = self.fits and _all(self.reading.fits(column.slice(0, _FEW))) and _all(self.reading.fits(column))


class _Lists(_AsItCame):
    """A column of JSON lists for a descriptor that takes lists; parts keep those lists as text."""

    def __init__(self) -> None:
        self._are_lists = True

    def look(self, column: Column, *, is_whole: bool) -> None:  # noqa: ARG002  (as of any column)
        self._are_lists = self._are_lists and _all(pc.starts_with(column, "["))

    def cast(self, column: Column) -> Column:
        """Return lists, if every value is one and their items have a common type."""
        if not self._are_lists:
            return column
        lists = [None if text is None else json.loads(text) for text in column.to_pylist()]
        try:
            return pa.chunked_array([pa.array(lists)])
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return column

    @property
    def came(self) -> str:
        return "came as lists"


class _Column(_AsItCame):
    """How one column is cast, and what the note says of it."""

    def __init__(self, type_: pa.DataType, source: Source, wanted: Wanted | None, *, is_cast: bool) -> None:
        self._have = kind_of(type_)
        self._source = source
        self._wanted = wanted
        self._is_cast = is_cast
        # Whether the reference's type doesn't matter. CSV then gets the type that all of its values spell.
        self._is_alone = wanted is None or not is_cast
        self._trials = [_Trial(reading) for reading in self._readings()]
        self._is_number = _Trial(NUMBERS)
        self._values, self._marks, self._unfit = Examples(), Examples(), Examples()
        self._has_missing = False
        self._is_wide = False  # beyond int64

    def look(self, column: Column, *, is_whole: bool) -> None:
        column = self._plain(column)
        self._has_missing = self._has_missing or column.null_count > 0
        self._values.add(column)
        if types.is_uint64(column.type):
            self._is_wide = self._is_wide or (pc.max(column).as_py() or 0) >= 2**63
        if self._have == "text" and (self._trials or self._source != "typed"):
            self._look_at_text(column, is_whole=is_whole)
        else:
            self._try(column, is_whole=is_whole)

    def cast(self, column: Column) -> Column:
        if self._values.count == 0 and (self._wanted is not None or self._source != "typed"):
            nothing = pa.null() if self._wanted is None else self._wanted.type
            return pa.chunked_array([pa.nulls(len(column), nothing)])
        reading = self._reading()
        if reading is not None:
            plain = self._plain(column)
            column = reading.read(where(pc.invert(self._is_mark(plain)), plain) if self._marks.count else plain)
        if self._is_cast and self._wanted is not None and self._is_of(self._wanted.kind, reading):
            column = _in_unit(column, self._wanted.unit) if self._wanted.kind == "time" else column
            return _as_category(column) if self._wanted.is_category else self._for_numpy(column)
        return self._for_numpy(_in_unit(column, UNIT) if reading is not None else column)

    def note(self) -> str:
        if self._wanted is None:
            return self._note_alone()
        kinds = {self._have, self._wanted.kind}
        if self._values.count == 0 or self._have is None or len(kinds) == 1 or "list" in kinds:
            return ""
        came = f"came as {NAMES[self._have]} and"
        reading = self._reading()
        if reading is None or not self._is_cast:
            is_said = self._is_cast or kinds != {"integer", "float"}
            return f"{came} is {self._wanted.name} in the reference: {self._why_left()}" if is_said else ""
        was = f"{came} was cast to {self._wanted.name}, as in the reference"
        has_fractions = reading is NUMBERS and self._wanted.kind == "integer"
        if has_fractions:
            was = f"{came} is {self._wanted.name} in the reference: read as numbers, as not all are whole"
        if self._marks.count:
            return f"{was}, and {self._of_values(self._marks)} was taken as missing"
        # not worth a note: CSV has no types, and JSON only one kind of number
        is_plain = self._source == "csv" or kinds == {"integer", "float"}
        return "" if is_plain and not has_fractions else f"{was} ({self._values})"

    @property
    def came(self) -> str:
        came = f"came as {'values of no kind' if self._have is None else NAMES[self._have]} ({self._values})"
        return came if self._wanted is None else f"{came} and is {self._wanted.name} in the reference"

    @property
    def is_read(self) -> bool:
        return self._source == "csv" or self._reading() is not None

    # Looking

    def _readings(self) -> Sequence[Reading]:
        if self._source == "csv" and self._is_alone and self._have == "text":
            return SPELLINGS
        if self._wanted is None or not self._is_cast or self._have is None:
            return ()
        if self._have == self._wanted.kind:
            return respellings(self._wanted) if self._have == "text" and self._source == "csv" else ()
        return readings_of(self._have, self._wanted)

    @property
    def _is_respelled(self) -> bool:
        return self._wanted is not None and not self._is_alone and self._wanted.kind == "text"

    def _look_at_text(self, column: Column, *, is_whole: bool) -> None:
        if self._is_respelled:
            for trial in self._trials:
                trial.look_quickly(column)
            return
        marks = self._is_mark(column)
        self._marks.add(where(marks, column))
        rest = where(pc.invert(marks), column)
        if not self._is_alone:
            self._try(rest, is_whole=is_whole)
            return
        for trial in self._trials:
            trial.look_quickly(column)
        self._is_number.look_quickly(rest)

    def _try(self, column: Column, *, is_whole: bool) -> None:
        fitting = None
        for trial in self._trials:
            fits = trial.look(column)
            if is_whole and trial.fits and not trial.reading.unit:
                self._trials = [trial]  # readings are in order: this is the best that fits
                return
            fitting = fits if fitting is None else pc.or_(fitting, fits)
        if fitting is not None:
            self._unfit.add(where(pc.invert(fitting), column))

    def _plain(self, column: Column) -> Column:
        """Return values to compute with: NaN becomes null, and spaces around CSV's values are cut off."""
        if self._is_cast and types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if types.is_floating(column.type):
            return where(pc.invert(pc.is_nan(column)), column)
        if self._trials and types.is_decimal(column.type):
            return column.cast(pa.float64(), safe=False)
        if self._trials and types.is_string_view(column.type):
            return column.cast(pa.large_string())
        return trimmed(column) if self._trials and self._source == "csv" and not self._is_respelled else column

    def _is_mark(self, column: Column) -> Column:
        """Tell which values are spellings of a missing value. NaN isn't: it is a number."""
        is_of_numbers = self._wanted is None or self._wanted.kind in {"integer", "float"}
        marks = MISSING if is_of_numbers else MISSING + NO_NUMBER
        return pc.is_in(column, value_set=pa.array(marks, column.type))

    # Deciding

    def _reading(self) -> Reading | None:
        """Return the reading for all values; None if the column is left as it came."""
        if self._marks.count and (self._is_alone or self._marks.count >= _MOSTLY * self._values.count):
            return None
        fitting = [trial.reading for trial in self._trials if trial.fits]
        # two units fit: it isn't clear which epoch it is
        if len({reading.unit for reading in fitting if reading.unit}) > 1:
            return None
        return fitting[0] if fitting else None

    def _is_of(self, kind: Kind, reading: Reading | None) -> bool:
        return reading is not None or self._have == kind

    def _for_numpy(self, column: Column) -> Column:
        """Return integers as floats, and booleans as categories, if a value is missing anywhere in the batch."""
        has_missing = self._has_missing or self._marks.count > 0
        if types.is_integer(column.type) and (has_missing or (types.is_uint64(column.type) and self._is_wide)):
            return column.cast(pa.float64(), safe=False)
        return _as_category(column) if types.is_boolean(column.type) and has_missing else column

    # Saying

    def _note_alone(self) -> str:
        """Note that a text column would be numbers without its spellings of missing values."""
        if self._marks.count == 0 or self._marks.count >= _MOSTLY * self._values.count or not self._is_number.fits:
            return ""
        others = self._of_values(self._marks)
        return f"is text, as it holds numbers and {others}; with a reference of numbers those would be taken as missing"

    def _why_left(self) -> str:
        if self._is_cast:
            unfit = next((told for told in (self._unfit, self._marks) if told.count), self._values)
            return f"left as it came, as {self._of_values(unfit)} can't be cast"
        way = 'send that type, or set "cast": "all"' if self._source == "typed" else 'the collector has "cast": "none"'
        return f"left as it came; {way} ({self._values})"

    def _of_values(self, told: Examples) -> str:
        return f"{told.count} of {self._values.count} values ({told.few})"


def _in_unit(column: Column, unit: str) -> Column:
    """Return times in this unit, or unchanged if the unit can't hold them."""
    if not types.is_timestamp(column.type):
        return column
    try:
        return column.cast(pa.timestamp(unit))
    except pa.ArrowInvalid:
        return column


def _as_category(column: Column) -> Column:
    """Return the column's own values as sorted categories: unused ones of the reference would be counted."""
    return encoded(column, own_values(column))


def _all(fitting: Column) -> bool:
    return pc.all(fitting).as_py() is not False


_KINDS: list[tuple[Callable[[pa.DataType], bool], Kind]] = [
    (types.is_boolean, "boolean"),
    (types.is_integer, "integer"),
    (types.is_floating, "float"),
    (types.is_decimal, "float"),
    (types.is_timestamp, "time"),
    (types.is_date, "time"),
    (types.is_string, "text"),
    (types.is_large_string, "text"),
    (types.is_string_view, "text"),
    (types.is_list, "list"),
]
