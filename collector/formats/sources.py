"""Sources: how a column came, which says how much its type means; a mark in the metadata of the column's field.

The marks of what is appended are put together, so that they don't depend on where a POST or a part ends:

- ``csv``: its text is a spelling, of a number perhaps.
- ``json``: text is text, and a number is a number, but JSON has no times, no categories, and one kind of number.
- ``typed``: Arrow or parquet, whose types were chosen by whoever wrote them. So it is where there is no mark.
- ``text``: some of its values came as text and not as a spelling.
- ``list``: some of its values are lists of JSON, kept as text.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Source = Literal["csv", "json", "typed"]
Marks = frozenset[str]

# A key in the metadata of a field; of a whole schema, if all columns of a table that is sent have the same source.
KEY = b"collector.source"
# Keys in a part's metadata: the frames of which it was made, and a sign that its columns have marks. Older parts lack
# that sign; most of them came as JSON.
ORIGIN, MARKED = b"collector.origin", b"collector.marked"
CSV, JSON, TYPED, TEXT, LIST = (frozenset({name}) for name in ("csv", "json", "typed", "text", "list"))


def marks_of_field(field: pa.Field) -> Marks:
    """Return the marks of one column."""
    return marks_of_type(field.type, _read((field.metadata or {}).get(KEY, b"typed")))


def marks_of_type(kind: pa.DataType, marks: Marks) -> Marks:
    """Return the marks of values of a type that came so."""
    from pyarrow import types

    is_text = not marks >= CSV and (types.is_string(kind) or types.is_large_string(kind))
    return marks | TEXT if is_text else marks


def metadata_of(marks: Marks) -> dict[bytes, bytes]:
    """Return the metadata by which a field has these marks; those of typed columns aren't written."""
    return {} if marks <= TYPED | TEXT else {KEY: ",".join(sorted(marks)).encode()}


def marked(table: pa.Table, marks: Marks) -> pa.Table:
    """Return a table with these marks on all of its columns, and nothing else in their metadata."""
    import pyarrow as pa

    metadata = metadata_of(marks)
    fields = [pa.field(field.name, field.type, metadata=metadata) for field in table.schema]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


def source_of(marks: Marks) -> Source:
    """Tell how a column is to be read: as CSV only where nothing in it came as text."""
    if marks >= CSV and not marks & TEXT:
        return "csv"
    return "typed" if marks <= TYPED | TEXT else "json"


def sent_as(schema: pa.Schema) -> Marks:
    """Return the marks that a table's sender has put on all of its columns."""
    return {b"json": JSON, b"csv": CSV}.get((schema.metadata or {}).get(KEY, b""), TYPED)


@lru_cache(64)
def _read(written: bytes) -> Marks:
    return frozenset(written.decode().split(","))
