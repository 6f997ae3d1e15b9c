"""Private columns: some are dropped, of others each value becomes a keyed hash, before anything of them is kept.

A value is hashed by its canonical text, so that it doesn't matter in which format or type it came. What is hashed
already stays as it is: rows that were kept may become a reference, or come again. The text after the prefix is half of
an HMAC-SHA-256 (RFC 2104, 5), in hexadecimal::

    "hmac:" + hmac.new(salt, b"12345", hashlib.sha256).hexdigest()[:32]      of 12345, 12345.0, "12345"
"""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

import orjson

from collector.errors import BadBody
from collector.formats.bounds import NO_BOUNDS
from collector.formats.hints import refuse_other_shapes
from collector.formats.json_body import READERS, are_finite, length, text_of
from collector.formats.keys import check_table, check_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa

    from collector.formats.bounds import Bounds
    from collector.formats.frames import Format
    from collector.formats.json_body import Columns

_PREFIX = "hmac:"
_DIGITS = 32
_HASHED = re.compile(rb"hmac:[0-9a-f]{32}")
# Characters that have to stand between quotes in CSV.
_SPECIAL = re.compile(r'[",\r\n]')


class Private(TypedDict):
    """Which columns are kept (None: all), which are dropped, and the salts of those that are hashed."""

    keep: list[str] | None
    drop: list[str]
    hash: dict[str, str]


def without_private(format_: Format, body: bytes, private: Private, bounds: Bounds = NO_BOUNDS) -> tuple[Format, bytes]:
    """Return a body in which private columns are dropped or hashed, and its format, which may be another.

    Keys are looked at before they are hashed: what is none, as an empty text, would have a hash.
    Raises BadBody as check_frame does, but without a word of the body's, or if no column is left; BodyTooLarge.
    """
    reader, key = READERS.get(format_), bounds.key if bounds.key in private["hash"] else ""
    bounds = replace(bounds, key="")
    try:
        if reader is None:
            return _of_table(format_, body, private, bounds, key)
        return "json", _as_json(private_columns(reader(body, bounds), private, key))
    except BadBody as error:
        # these errors name a place in the body, and no values
        if error.__cause__ is None or isinstance(error.__cause__, json.JSONDecodeError):
            raise
        raise _unreadable(format_) from None  # errors of others may quote the body
    except (ValueError, TypeError, KeyError, NotImplementedError, ArithmeticError):
        raise _unreadable(format_) from None


def _unreadable(format_: Format) -> BadBody:
    return BadBody(
        f"the body can't be read as {format_}; the reason isn't shown, as it may quote values of private columns "
        "(`columns` in the collector's config)"
    )


def private_columns(columns: Columns, private: Private, key: str = "") -> Columns:
    """Return columns of JSON in which private ones are dropped or hashed; raise BadBody if none is left.

    ``key`` names the one whose values have to be keys, if any has to.
    """
    if key in columns:
        check_values(key, columns[key], is_private=True)
    kept = {name: values for name, values in columns.items() if _is_kept(name, private)}
    _check_left(length(columns), kept)
    for name in private["hash"].keys() & kept.keys():
        kept[name] = _hashed_values(kept[name], private["hash"][name])
    return kept


def _as_json(columns: Columns) -> bytes:
    written: object = columns
    try:
        refuse_other_shapes(columns)
    except BadBody:  # column names look like another shape; records are never taken for anything else
        written = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return orjson.dumps(written) if are_finite(columns) else json.dumps(written).encode()


def _of_table(format_: Format, body: bytes, private: Private, bounds: Bounds, key: str) -> tuple[Format, bytes]:
    from collector.formats.typed_body import read_table  # the daemon doesn't need this import to start

    table = read_table(format_, body, bounds)
    if key in table.column_names:
        check_table(key, table, is_private=True)
    left = apply(table, private)
    _check_left(table.num_rows, left.column_names)
    return _as_csv(left) if format_ == "csv" else ("arrow", _as_arrow(left))


def apply(table: pa.Table, private: Private | None) -> pa.Table:
    """Return a table in which private columns are dropped or hashed."""
    if private is None:
        return table
    import pyarrow as pa

    from collector.formats.kinds import is_text
    from collector.formats.sources import CSV, LIST, TEXT, marks_of_field, metadata_of

    kept = table.select([name for name in table.column_names if _is_kept(name, private)])
    for number, field in enumerate(kept.schema):
        salt = private["hash"].get(field.name)
        if salt is None or _is_hashed(kept.column(number)):
            continue
        marks = marks_of_field(field)
        metadata = metadata_of((marks - LIST) | (TEXT if marks >= CSV else frozenset()))
        kind = field.type if is_text(field.type) else pa.string()  # a piece that is hashed already keeps its type
        column = pa.array(_hashed_column(field, kept.column(number), salt), kind)
        kept = kept.set_column(number, pa.field(field.name, kind, metadata=metadata), column)
    return kept


def hashed(text: bytes, salt: bytes) -> str:
    """Return what stands for a value, by its canonical text."""
    if _HASHED.fullmatch(text):
        return text.decode()
    return _PREFIX + hmac.digest(salt, text, "sha256").hex()[:_DIGITS]


def hashed_texts(texts: pa.Array, salt: str) -> pa.Array:
    """Return what stands for canonical texts, each; null for null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.all(pc.match_substring_regex(texts, f"^{_HASHED.pattern.decode()}$")).as_py() is not False:
        return texts
    key = salt.encode()
    return pa.array([None if text is None else hashed(text, key) for text in texts.to_pylist()], texts.type)


def is_hash(text: str) -> bool:
    """Tell whether a text stands for a value."""
    return _HASHED.fullmatch(text.encode()) is not None


def _is_kept(name: str, private: Private) -> bool:
    return name not in private["drop"] and (private["keep"] is None or name in private["keep"])


def _check_left(rows: int, names: Iterable[str]) -> None:
    if rows and not list(names):
        raise BadBody("no column of the body is left: `columns` in the collector's config drops them all")


def _hashed_values(values: list[Any], salt: str) -> list[str | None]:
    """Hash JSON values."""
    from collector.formats.json_tables import table_of  # the daemon doesn't need this import to start

    table = table_of([{"": values}])
    if not table.num_columns:
        return [None] * len(values)
    return _hashed_all(_texts(table.schema.field(0), table.column(0)), values.__getitem__, salt)


def _hashed_column(field: pa.Field, column: pa.ChunkedArray, salt: str) -> list[str | None]:
    return _hashed_all(_texts(field, column), lambda row: column[row].as_py(), salt)


def _texts(field: pa.Field, column: pa.ChunkedArray) -> list[bytes | None]:
    from collector.formats.canonical import canonical_texts

    return [text for chunk in column.chunks for text in canonical_texts(field, chunk).to_pylist()]


def _hashed_all(texts: list[bytes | None], value_of: Callable[[int], Any], salt: str) -> list[str | None]:
    """Hash canonical texts. A value without one, as an empty text or a list, is hashed by its JSON; null stays null."""
    key, known = salt.encode(), dict[bytes, str]()
    found: list[str | None] = []
    for row, text in enumerate(texts):
        if text is None:
            other = text_of(value_of(row))
            text = None if other is None else other.encode()  # noqa: PLW2901
        if text is not None and text not in known:
            known[text] = hashed(text, key)
        found.append(None if text is None else known[text])
    return found


def _is_hashed(column: pa.ChunkedArray) -> bool:
    """Tell whether a whole column is hashed already: takes a thousandth of the time that each value alone does."""
    import pyarrow.compute as pc

    from collector.formats.kinds import is_text

    if not is_text(column.type):
        return False
    texts = column.cast("large_string")
    return pc.all(pc.match_substring_regex(texts, f"^{_HASHED.pattern.decode()}$")).as_py() is not False


def _as_arrow(table: pa.Table) -> bytes:
    """Write a table that knows its types. Its sender may have marked them as JSON's: then the mark stays."""
    import pyarrow as pa

    from collector.formats.sources import JSON, KEY, marks_of_field

    is_json = all(marks_of_field(field) >= JSON for field in table.schema)
    table = table.replace_schema_metadata({KEY: b"json"} if is_json else None)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _as_csv(table: pa.Table) -> tuple[Format, bytes]:
    """Write CSV that is read back as the same table; csv_body says what quotes mean."""
    from collector.formats.sources import TEXT, marks_of_field

    columns = [column.to_pylist() for column in table.columns]
    texts = [marks_of_field(field) >= TEXT for field in table.schema]
    if any(texts) and all(texts):  # it would be taken for a body in which everything is quoted
        return "json", _as_json(dict(zip(table.column_names, columns, strict=True)))
    plain = (column for column, is_text in zip(columns, texts, strict=True) if not is_text)
    if any(_SPECIAL.search(text) for column in plain for text in column if text):
        texts = [True] * len(columns)  # as it came
    missing = "" if len(columns) > 1 else '""'  # an empty line would be no row
    cells = (
        [missing if text is None else _quoted(text) if is_text else text for text in column]
        for column, is_text in zip(columns, texts, strict=True)
    )
    header = [_quoted(name) if _SPECIAL.search(name) else name for name in table.column_names]
    return "csv", "\n".join(map(",".join, [header, *zip(*cells, strict=True), [""]])).encode()


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
