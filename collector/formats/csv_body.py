"""CSV bodies: text, until the whole batch or the reference says what it spells.

A quote says that a value is text, unless everything in the body is quoted, as some programs do. So columns are marked
with whether any of their values is::

    zip,name,age          zip   csv, text   "02139" is quoted: text, though "10001" would spell a number
    "02139","Ann",41      name  csv, text
    "10001",Bob,37        age   csv         spells integers
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from collector.errors import BadBody
from collector.formats.hints import refuse_json_as_csv, refuse_other_separator
from collector.formats.sources import CSV, TEXT, metadata_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collector.formats.bounds import Bounds

_MAX_BLOCK = 2**31 - 1
# A field with the comma after it. ``+`` behind a quantifier keeps it from trying again, which would take memory.
_FIELD = re.compile(rb'(?:"(?:[^"]++|"")*+"?+)?+[^,\r\n]*+(,?)')
# A quote opens a value only at the value's beginning. Within a value, a quote is doubled. A value that is never closed
# goes on to the end of the body.
QUOTED = re.compile(rb'(?:\A|(?<=[,\r\n]))"[^"]*(?:""[^"]*)*("|\Z)')
_SIGN = b"\x01"  # goes into each quoted value, so that it is one byte longer


def read_csv(body: bytes, bounds: Bounds) -> pa.Table:
    """Read CSV as text, each column marked with whether it is quoted; what is empty and not quoted is missing.

    Raises BadBody or ArrowInvalid, which names the first row that isn't like the header, and BodyTooLarge.
    """
    if not body.strip():
        return pa.table({})
    refuse_json_as_csv(body)
    _check_encoding(body)
    end = _end_of_header(body, bounds)
    refuse_other_separator(body[:end], body[end:])
    names = _parsed(body[:end] + b"\n", ()).column_names
    body += b"\n" * (end == len(body))  # Arrow refuses a header without a line end
    table = _parsed(body, names)
    if b'"' not in body or not table.num_columns:
        return _marked(table, {})
    # If a quote is never closed, Arrow takes the rest of the body for one value. This added row would then be part of
    # that value, and the table would have no more rows than before.
    last = b"\n" + b",".join([b"0"] * table.num_columns)
    signed = _parsed(body[:end] + QUOTED.sub(_with_sign, body[end:]) + last, names)
    if signed.num_rows == table.num_rows:
        raise ValueError("a quote is opened and never closed")
    return _of_quoted(table, signed.slice(0, table.num_rows))


def _check_encoding(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise BadBody(
            f"0x{body[error.start]:02X} isn't UTF-8 (byte {error.start}); send UTF-8, or name the charset, as in "
            "Content-Type: text/csv; charset=latin-1"
        ) from error


def _end_of_header(body: bytes, bounds: Bounds) -> int:
    """Refuse too many columns before Arrow reads them: it takes a kilobyte for each, even if it is empty."""
    end = len(body) - len(body.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n"))
    for columns, field in enumerate(_FIELD.finditer(body, end), 1):
        bounds.check_columns(columns)
        end = field.end()
        if not field[1]:
            break
    return end


def _with_sign(found: re.Match[bytes]) -> bytes:
    return b'"' + _SIGN + found[0][1:]


def _parsed(body: bytes, names: Iterable[str]) -> pa.Table:
    return pa.csv.read_csv(
        pa.BufferReader(body),
        # The first block is the whole body: Arrow would raise for a block that differs from the first.
        read_options=pa.csv.ReadOptions(block_size=min(len(body) + 1, _MAX_BLOCK), use_threads=False),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _of_quoted(table: pa.Table, signed: pa.Table) -> pa.Table:
    """Mark the columns that have a quoted value; none if all values of the body are quoted: then quotes say nothing."""
    lengths = {
        name: (pc.binary_length(column), pc.binary_length(longer))
        for name, column, longer in zip(table.column_names, table.columns, signed.columns, strict=True)
    }
    quoted = {
        name for name, (plain, longer) in lengths.items() if _any(pc.and_(pc.less(plain, longer), pc.greater(plain, 0)))
    }
    has_plain = any(_any(pc.equal(plain, longer)) for plain, longer in lengths.values())
    for number, name in enumerate(table.column_names):
        if name not in quoted or not has_plain:  # "" among numbers is a missing value
            column = table.column(number)
            empty = pc.equal(lengths[name][0], 0)
            table = table.set_column(number, name, pc.if_else(empty, pa.scalar(None, column.type), column))
    return _marked(table, dict.fromkeys(quoted, CSV | TEXT) if has_plain else {})


def _marked(table: pa.Table, marks: dict[str, frozenset[str]]) -> pa.Table:
    fields = [field.with_metadata(metadata_of(marks.get(field.name, CSV))) for field in table.schema]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


def _any(values: pa.ChunkedArray) -> bool:
    return bool(pc.any(values).as_py())
