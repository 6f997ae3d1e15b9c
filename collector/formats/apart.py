"""Tables whose columns keep each value in the type in which it came, as parts do.

A column that came in one type is that. One that came in several is a struct with a field for each, of which at most one
has a value in a row; its metadata says so. Of two frames, ``{"a": [1, 2]}`` and ``{"a": ["x"]}``::

    a: struct<int64: int64, string: string>    {collector.apart: 1}
       {1,    null}
       {2,    null}
       {null, "x"}

What becomes of them is decided when all of a batch is known; see ``merging``. A type without any value is kept too,
marked as empty: that a column came as numbers says nothing if all that is there is text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from collector.formats.kinds import is_nothing
from collector.formats.sources import TEXT, TYPED, marks_of_field, marks_of_type, metadata_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collector.formats.sources import Marks

_APART = b"collector.apart"
_EMPTY = b"collector.empty"
# Within a struct, categories are stored as their values: there, parquet has dictionaries of text only.
_CATEGORY = b"collector.category"
_ORDERED = b"ordered"
_YES = b"1"


class Form(NamedTuple):
    """A type in which a column came, and how it came; see ``sources``."""

    type: pa.DataType
    marks: Marks = TYPED


# Arrays of one length; in each row, at most one of them has a value.
Pieces = list[tuple[Form, pa.Array]]


class Gathered:
    """A table that is gathered piece by piece, in a time and memory of its values, however many names they have."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._nulls: dict[pa.DataType, pa.Array] = {}

    def add(self, name: str, row: int, values: Pieces) -> None:
        """Add values of a column that begin at a row."""
        self._columns.setdefault(name, _Column()).add(row, values)

    def table(self, rows: int) -> pa.Table:
        """Return the table; values that were not added are missing."""
        fields = [column.field(name) for name, column in self._columns.items()]
        columns = [
            pa.chunked_array(list(self._chunks(column, field.type, rows)), field.type)
            for field, column in zip(fields, self._columns.values(), strict=True)
        ]
        return pa.Table.from_arrays(columns, schema=pa.schema(fields)).unify_dictionaries()

    def _chunks(self, column: _Column, kind: pa.DataType, rows: int) -> Iterator[pa.Array]:
        row = 0
        for start, count, values in column.pieces:
            if start > row:
                yield self._missing(kind, start - row)
            if len(column.has_value) == 1:
                yield from (_of_type(array, kind) for array in values.values())
            else:
                yield self._struct(column, kind, count, values)
            row = start + count
        if rows > row:
            yield self._missing(kind, rows - row)

    def _struct(self, column: _Column, kind: pa.StructType, count: int, values: dict[Form, pa.Array]) -> pa.Array:
        inner = [
            _of_type(values[form], field.type) if form in values else self._missing(field.type, count)
            for form, field in zip(column.forms, kind, strict=True)
        ]
        return pa.StructArray.from_arrays(inner, fields=list(kind))

    def _missing(self, kind: pa.DataType, count: int) -> pa.Array:
        """Return nulls of this type, which all columns of the type share."""
        nulls = self._nulls.get(kind)
        if nulls is None or len(nulls) < count:
            nulls = self._nulls[kind] = pa.nulls(count, kind)
        return nulls.slice(0, count)


def append(tables: Iterable[pa.Table]) -> pa.Table:
    """Append tables to each other, each value in the type in which it came."""
    gathered = Gathered()
    rows = 0
    for table in _runs(tables):
        for field, column in zip(table.schema, table.columns, strict=True):
            row = rows
            for chunk in column.chunks or [pa.nulls(0, field.type)]:
                gathered.add(field.name, row, pieces_of(field, chunk))
                row += len(chunk)
        rows += table.num_rows
    return gathered.table(rows)


def forms_of(field: pa.Field) -> dict[Form, bool]:
    """Return the forms in which a column came, and whether it has values in them."""
    fields = list(field.type) if _is(field, _APART) else [field]
    return {_form(one): not _is(one, _EMPTY) for one in fields if not is_nothing(one.type)}


def pieces_of(field: pa.Field, values: pa.Array) -> Pieces:
    """Return the values of a column, or of a piece of it, in each of its forms; two may be one after parquet."""
    if not _is(field, _APART):
        return [(_form(field), values)]
    return [(_form(inner), values.field(number)) for number, inner in enumerate(field.type)]


class _Column:
    """The pieces of a column, each with the row at which it begins and its number of rows."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, int, dict[Form, pa.Array]]] = []
        self.has_value: dict[Form, bool] = {}

    @property
    def forms(self) -> list[Form]:
        return sorted(self.has_value, key=_name)

    def add(self, row: int, values: Pieces) -> None:
        kept: dict[Form, pa.Array] = {}
        for came, array in values:
            if not is_nothing(came.type):
                form = _normal(came)
                kept[form] = pc.coalesce(kept[form], array) if form in kept else array
                self.has_value[form] = self.has_value.get(form, False) or _has_value(array)
        count = len(next(iter(kept.values()), ()))
        if count:
            self.pieces.append((row, count, kept))

    def field(self, name: str) -> pa.Field:
        if not self.has_value:
            return pa.field(name, pa.null())
        if len(self.has_value) == 1:
            [form] = self.has_value
            return pa.field(name, form.type, metadata=self._metadata(form))
        marks: Marks = frozenset().union(*(form.marks for form in self.forms))
        metadata = {_APART: _YES, **metadata_of(marks)}
        return pa.field(name, pa.struct([self._inner(form) for form in self.forms]), metadata=metadata)

    def _inner(self, form: Form) -> pa.Field:
        metadata = self._metadata(form)
        if not types.is_dictionary(form.type):
            return pa.field(_name(form), form.type, metadata=metadata)
        metadata[_CATEGORY] = _ORDERED if form.type.ordered else _YES
        return pa.field(_name(form), form.type.value_type, metadata=metadata)

    def _metadata(self, form: Form) -> dict[bytes, bytes]:
        metadata = metadata_of(form.marks)
        return metadata if self.has_value[form] else {**metadata, _EMPTY: _YES}


def _runs(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join neighbouring tables that have the same columns: to append a joined one costs less than each by itself."""
    run: list[pa.Table] = []
    for table in tables:
        if run and not table.schema.equals(run[0].schema, check_metadata=True):
            yield _together(run)
            run = []
        run.append(table)
    if run:
        yield _together(run)


def _together(run: list[pa.Table]) -> pa.Table:
    if len(run) == 1:
        return run[0]
    table = pa.concat_tables(run)
    # Each table may have few categories, and all together too many for one dictionary of their type.
    return table if any(types.is_dictionary(field.type) for field in table.schema) else table.combine_chunks()


def _form(field: pa.Field) -> Form:
    category = (field.metadata or {}).get(_CATEGORY)
    kind = pa.dictionary(pa.int32(), field.type, category == _ORDERED) if category else field.type
    return Form(kind, marks_of_field(field))


def _normal(form: Form) -> Form:
    """Return a form whose categories have indices of 32 bits: 8 bits, as in pandas, are too few for several frames."""
    kind = form.type
    kind = pa.dictionary(pa.int32(), kind.value_type, kind.ordered) if types.is_dictionary(kind) else kind
    return Form(kind, marks_of_type(kind, form.marks))


def _of_type(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values as this type: as categories, or without them. Otherwise only the kind of indices differs."""
    if values.type == kind:
        return values
    if not types.is_dictionary(kind):
        return values.cast(kind)
    if not types.is_dictionary(values.type):
        values = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(values.indices.cast(pa.int32()), values.dictionary, ordered=kind.ordered)


def _name(form: Form) -> str:
    kind = f"categories of {form.type.value_type}" if types.is_dictionary(form.type) else str(form.type)
    return " of ".join([kind, *sorted(form.marks - TYPED - TEXT)])


def _has_value(values: pa.Array) -> bool:
    if values.null_count == len(values):
        return False
    return not types.is_floating(values.type) or not pc.all(pc.is_nan(values)).as_py()


def _is(field: pa.Field, mark: bytes) -> bool:
    return field.metadata is not None and mark in field.metadata
