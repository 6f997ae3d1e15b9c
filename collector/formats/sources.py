"""Sources: how a column came, which says how much its type means; a mark in the metadata of the column's field.

The marks of what is appended are put together, so that they don't depend on where a POST or a part ends:

- ``csv``: its text is a spelling, of a number perhaps.
- ``json``: text is text, and a number is a number, but JSON has no times, no categories, and one kind of number.
- ``typed``: Arrow or parquet, whose types were chosen by whoever wrote them. So it is where there is no mark.
- ``text``: some of its values came as text and not as a spelling.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

Source = Literal["csv", "json", "typed"]
Marks = frozenset[str]

# In the metadata of a field; and of the schema of a table that is sent, where it is so with all columns.
KEY = b"collector.source"
CSV, JSON, TYPED, TEXT = (frozenset({name}) for name in ("csv", "json", "typed", "text"))


def marks_of(tables: Iterable[pa.Table]) -> dict[str, Marks]:
    """Return the marks of the columns of tables that are appended to each other, by name."""
    marks: dict[str, Marks] = {}
    for table in tables:
        for field in table.schema:
            marks[field.name] = marks.get(field.name, frozenset()) | _marks_of_field(field)
    return marks


def marked(table: pa.Table, marks: Mapping[str, Marks] | Marks) -> pa.Table:
    """Return a table with these marks, by column or on all columns; those of typed columns aren't written."""
    import pyarrow as pa

    by_name = marks if not isinstance(marks, frozenset) else dict.fromkeys(table.column_names, marks)
    fields = [
        field if by_name[field.name] <= TYPED | TEXT else field.with_metadata({KEY: _written(by_name[field.name])})
        for field in table.schema
    ]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields, table.schema.metadata))


def source_of(marks: Marks) -> Source:
    """Tell how a column is to be taken: as CSV only where nothing in it came as text."""
    if marks >= CSV and not marks & TEXT:
        return "csv"
    return "typed" if marks <= TYPED | TEXT else "json"


def sent_as(schema: pa.Schema) -> Marks:
    """Return the marks that whoever sent a table has put on all of its columns."""
    return JSON if (schema.metadata or {}).get(KEY) == b"json" else TYPED


def _marks_of_field(field: pa.Field) -> Marks:
    from pyarrow import types

    marks = _read((field.metadata or {}).get(KEY, b"typed"))
    is_text = not marks >= CSV and (types.is_string(field.type) or types.is_large_string(field.type))
    return marks | TEXT if is_text else marks


@lru_cache(64)
def _read(written: bytes) -> Marks:
    return frozenset(written.decode().split(","))


def _written(marks: Marks) -> bytes:
    return ",".join(sorted(marks)).encode()
