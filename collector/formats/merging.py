"""The one rule by which values that came in different types become one column.

A column's type is found once, of the set of all types in which its values came (``merged_type``), and each value is
converted from its own type (``convert``). So neither their order nor the place where a POST or a part ends matters:
until then what came in different types is kept apart (see ``apart``). ::

    int64, double                    -> double           as pandas does it: integers of over 53 bits are rounded
    int64, uint64                    -> double           the same
    decimal128(5, 2), int64          -> double
    timestamp[s], date32             -> timestamp[us]    a date is its midnight, a zoned time the same instant in UTC
    timestamp[ns, Berlin], [s, Rome] -> timestamp[us, UTC]
    categories of text, string       -> string           categories among categories stay categories
    list<int64>, list<null>          -> list<int64>
    int64, string                    -> string           so does everything else; 1, 1.0 and "1" are "1"

A type whose values are all missing says nothing, unless there is no other.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import starmap
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from collector.formats.apart import Form, forms_of, pieces_of
from collector.formats.as_text import EXACT_IN_FLOAT, to_text
from collector.formats.kinds import is_binary, is_list, is_nothing, is_number, is_text, is_time, without_view
from collector.formats.sources import metadata_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from collector.formats.apart import Pieces
    from collector.formats.sources import Marks


# What is raised for values that don't fit a type or a library. Errors that aren't the column's fault pass on.
UNFIT = (ValueError, TypeError, NotImplementedError, ArithmeticError, LookupError)


def left_out(name: str, reason: str) -> str:
    """Say that a column can't be taken."""
    return f"Column {name!r} failed and is left out: {reason}."


class Merging:
    """Makes tables of the same columns and types of those that parts keep, a piece at a time if need be.

    ``failed`` says of which columns values can't be converted, and why; they are null there. It grows with the tables,
    and so do the ``notes``.
    """

    def __init__(self, schemas: Iterable[pa.Schema]) -> None:
        forms: dict[str, dict[Form, bool]] = {}
        for schema in schemas:
            for field in schema:
                known = forms.setdefault(field.name, {})
                for form, has_value in forms_of(field).items():
                    known[form] = known.get(form, False) or has_value
        self._forms = {name: _telling(found) for name, found in forms.items()}
        self.schema = pa.schema([_merged_field(name, found) for name, found in self._forms.items()])
        self._rounded: dict[str, None] = {}
        self.failed: dict[str, str] = {}

    @property
    def notes(self) -> list[str]:
        """What was made of values that isn't quite what came."""
        kinds = {name: _kinds(found) for name, found in self._forms.items() if is_text(self.schema.field(name).type)}
        texts = {name: " and ".join(names) for name, names in kinds.items() if names != ["text"]}
        return [
            *(f"Column {name!r} came as {said}: taken as text." for name, said in texts.items()),
            *(
                f"Column {name!r} has integers of over 53 bits beside other numbers: they are rounded."
                for name in self._rounded
            ),
            *starmap(left_out, self.failed.items()),
        ]

    def merge(self, table: pa.Table) -> pa.Table:
        """Return a table, or a piece of one, with all columns in their final types."""
        kept = {field.name: (field, column) for field, column in zip(table.schema, table.columns, strict=True)}
        columns = []
        for field in self.schema:
            try:
                chunks = self._merge_column(field, *kept[field.name]) if field.name in kept else None
            except UNFIT:
                self.failed[field.name] = f"not all of its values can be made {field.type}"
                chunks = None
            columns.append(pa.chunked_array(chunks or [pa.nulls(table.num_rows, field.type)], field.type))
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _merge_column(self, wanted: pa.Field, kept: pa.Field, column: pa.ChunkedArray) -> list[pa.Array]:
        return [self._merge_chunk(wanted, len(chunk), pieces_of(kept, chunk)) for chunk in column.chunks]

    def _merge_chunk(self, wanted: pa.Field, rows: int, pieces: Pieces) -> pa.Array:
        forms = self._forms[wanted.name]
        arrays = [array for form, array in pieces if form in forms and array.null_count < rows]
        if any(_is_rounded(array, wanted.type) for array in arrays):
            self._rounded[wanted.name] = None
        converted = [convert(array, wanted.type) for array in arrays]
        for array in converted:
            _check_near(array)
        if len(converted) < 2:
            return converted[0] if converted else pa.nulls(rows, wanted.type)
        return pc.coalesce(*converted)


def merged_type(kinds: Iterable[pa.DataType]) -> pa.DataType:
    """Return the type that holds values of all these types, whatever their order."""
    different = list(dict.fromkeys(_usual(kind) for kind in kinds if not is_nothing(kind)))
    if not different:
        return pa.null()
    if all(types.is_dictionary(kind) for kind in different):
        values = merged_type(kind.value_type for kind in different)
        return pa.dictionary(pa.int32(), values, all(kind.ordered for kind in different))
    if len(different) == 1:
        return different[0]
    plain = sorted(set(map(_plain, different)), key=str)
    if len(plain) == 1:
        return plain[0]
    text = pa.large_string() if any(map(_is_large, plain)) else pa.string()
    return next((join(plain) for is_kind, join in _JOINS if all(map(is_kind, plain))), None) or text


def convert(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values in the type that ``merged_type`` has found for them and others.

    Raises ArrowInvalid for a time so far away that it can't be counted in microseconds.
    """
    if values.type == kind:
        return values
    if types.is_dictionary(kind):
        return _categories(values, kind)
    values = _spelled_out(values)
    if is_text(kind) and not is_text(values.type):
        values = to_text(values)
    # Times become instants, whatever their zones are called; numbers become doubles by numpy's rules.
    options = pc.CastOptions(kind, allow_int_overflow=True, allow_float_truncate=True, allow_time_truncate=True)
    return values.cast(options=options)


def _check_near(values: pa.Array) -> None:
    """Raise ArrowInvalid for times that don't fit microseconds, as pandas has them: some 300 000 years either way."""
    if is_time(values.type):
        values.cast(options=pc.CastOptions(pa.timestamp("us"), allow_time_truncate=True))
    elif types.is_duration(values.type):
        values.cast(options=pc.CastOptions(pa.duration("us"), allow_time_truncate=True))


def _telling(forms: dict[Form, bool]) -> Collection[Form]:
    """Return the forms that have values; all forms if none has."""
    return {form for form, has_value in forms.items() if has_value} or set(forms)


def _merged_field(name: str, forms: Collection[Form]) -> pa.Field:
    marks: Marks = frozenset().union(*(form.marks for form in forms))
    return pa.field(name, merged_type(form.type for form in forms), metadata=metadata_of(marks))


def _categories(values: pa.Array, kind: pa.DictionaryType) -> pa.DictionaryArray:
    """Return values as categories; unused categories stay."""
    if not types.is_dictionary(values.type):
        values = values.dictionary_encode()
    dictionary = convert(values.dictionary, kind.value_type)
    return pa.DictionaryArray.from_arrays(values.indices.cast(pa.int32()), dictionary, ordered=kind.ordered)


def _spelled_out(values: pa.Array) -> pa.Array:
    """Return values without a dictionary or an extension type."""
    if isinstance(values, pa.ExtensionArray):
        return _spelled_out(values.storage)
    return _spelled_out(values.cast(values.type.value_type)) if types.is_dictionary(values.type) else values


def _usual(kind: pa.DataType) -> pa.DataType:
    """Return a type that all functions know: without views, and with UTC in place of an unknown zone."""
    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _usual(kind.value_type), kind.ordered)
    if is_list(kind):
        inner = _usual(kind.value_type)
        return kind if inner == kind.value_type else pa.list_(inner)
    if types.is_struct(kind):
        return pa.struct([field.with_type(_usual(field.type)) for field in kind])
    if types.is_timestamp(kind) and kind.tz is not None and not _is_zone(kind.tz):
        return pa.timestamp(kind.unit, "UTC")
    return without_view(kind)


@lru_cache(64)
def _is_zone(name: str) -> bool:
    """Tell whether a zone is known, or is an offset such as ``+02:00``; a body may name any."""
    if re.fullmatch(r"[+-]\d\d:\d\d", name):
        return True
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _plain(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    return _plain(kind.value_type) if types.is_dictionary(kind) else kind


def _is_rounded(values: pa.Array, kind: pa.DataType) -> bool:
    if types.is_dictionary(values.type):
        return _is_rounded(values.dictionary, kind)
    if not types.is_floating(kind) or not (types.is_int64(values.type) or types.is_uint64(values.type)):
        return False
    least, most = pc.min_max(values).as_py().values()
    return bool(max(-least, most) > EXACT_IN_FLOAT)


def _kinds(forms: Collection[Form]) -> list[str]:
    kinds = [_plain(form.type) for form in forms]
    return sorted({next((name for name, is_kind in _NAMES.items() if is_kind(kind)), str(kind)) for kind in kinds})


def _is_large(kind: pa.DataType) -> bool:
    return bool(types.is_large_string(kind) or types.is_large_binary(kind))


def _join_numbers(kinds: list[pa.DataType]) -> pa.DataType:
    if not all(map(types.is_integer, kinds)):
        return pa.float64()
    if pa.uint64() not in kinds:
        return pa.int64()
    return pa.uint64() if all(map(types.is_unsigned_integer, kinds)) else pa.float64()


def _join_times(kinds: list[pa.DataType]) -> pa.DataType:
    zones = {kind.tz if types.is_timestamp(kind) else None for kind in kinds}
    return pa.timestamp("us", None if None in zones else zones.pop() if len(zones) == 1 else "UTC")


def _join_lists(kinds: list[pa.DataType]) -> pa.DataType | None:
    """Return the type of merged lists; None where their items are of different kinds, which JSON tells apart."""
    inner = merged_type(_plain(kind.value_type) for kind in kinds)
    is_each_text = all(is_text(kind.value_type) or types.is_null(kind.value_type) for kind in kinds)
    return None if is_text(inner) and not is_each_text else pa.list_(inner)


_JOINS: list[tuple[Callable[[pa.DataType], bool], Callable[[list[pa.DataType]], pa.DataType | None]]] = [
    (is_number, _join_numbers),
    (is_time, _join_times),
    (types.is_duration, lambda _: pa.duration("us")),
    (is_binary, lambda _: pa.large_binary()),
    (is_list, _join_lists),
]
_NAMES: dict[str, Callable[[pa.DataType], bool]] = {
    "numbers": is_number,
    "text": is_text,
    "booleans": types.is_boolean,
    "times": is_time,
    "times of day": types.is_time,
    "durations": types.is_duration,
    "bytes": is_binary,
    "lists": is_list,
    "objects": types.is_nested,
}
