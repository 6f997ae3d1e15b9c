"""JSON bodies: parsed, and read as a table in any of the usual shapes; ``json_tables`` makes Arrow of them."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import orjson

from collector.errors import BadBody, BodyTooLarge
from collector.formats import keys
from collector.formats.bounds import NO_BOUNDS
from collector.formats.hints import hinting, refuse_cloud_event, refuse_nested_event, refuse_other_shapes
from collector.wording import json_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from collector.formats.bounds import Bounds, Counted

Columns = dict[str, list[Any]]

_PLAIN = float | str | bool | None  # integers are read as floats: they are only counted
_KEYED = msgspec.json.Decoder(dict[str, dict[str, _PLAIN]])
_NUMBERED = msgspec.json.Decoder(dict[str, dict[int, _PLAIN]])
_LISTS = msgspec.json.Decoder(dict[str, list[_PLAIN]])
_EVENT = msgspec.json.Decoder(dict[str, _PLAIN])
# A list of plain values is kept as text: any such list can be, and it holds no names that could stand twice.
_RECORD = dict[str, _PLAIN | list[_PLAIN]]
_LINE = msgspec.json.Decoder(_RECORD)
_RECORDS = msgspec.json.Decoder(list[_RECORD])
# For labels, integers stay integers: the exact integer matters in a key.
_EXACT = int | _PLAIN
_KEYED_LABELS = msgspec.json.Decoder(dict[str, dict[str, _EXACT]])
_NUMBERED_LABELS = msgspec.json.Decoder(dict[str, dict[int, _EXACT]])
_LISTS_OF_LABELS = msgspec.json.Decoder(dict[str, list[_EXACT]])
_LABEL = msgspec.json.Decoder(dict[str, _EXACT])
_RECORDS_OF_LABELS = msgspec.json.Decoder(list[dict[str, _EXACT]])
# Records or columns that share no names or keys unfold to a table of the square of their size. Other bodies of 10 MB
# have fewer than 10 million values.
MAX_CELLS = 10_000_000
UNDECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
JSON_SPACES = b" \t\n\r"
# Columns by row names of which the first is a number, as pandas writes them.
_FIRST_IS_NUMBERED = re.compile(rb'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{\s*"\d', re.DOTALL)
_SPACED_NAME = re.compile(rb'"[ \t\n\r]+:')
# A pair of surrogates, one half of a pair (the only group), or any other escape.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)


def loads(body: bytes, where: str = "") -> Any:
    """Parse JSON, NaN and Infinity included; raise BadBody for what isn't JSON, saying at which byte.

    Half of a surrogate pair, as JSON.stringify writes of a text that is cut in the midst of an emoji, is U+FFFD. A name
    that stands twice in an object is refused: parsers keep the last, and what the others hold would be lost.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        mended = _without_lone_surrogates(body)
        if mended != body:
            return loads(mended, where)
        strict = error
    else:
        _check_names(body, data, where)
        return data
    # Python's json, and so the original's client, writes NaN and Infinity, which orjson refuses.
    if b"NaN" not in body and b"Infinity" not in body:
        raise BadBody(f"JSON is malformed{where}: {_why(strict, body)}") from strict
    try:
        return json.loads(body, parse_int=_integer, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise BadBody(f"JSON is malformed{where}: {error}") from error


def _why(error: orjson.JSONDecodeError, body: bytes) -> str:
    """Say what is wrong and at which byte. For a body that isn't UTF-8, orjson always names the first byte."""
    try:
        body.decode()
    except UnicodeDecodeError as undecodable:
        place = undecodable.start
        return f"0x{body[place]:02X} isn't UTF-8 (byte {place}); send UTF-8, or name the charset in the Content-Type"
    return f"{error.msg} (byte {error.pos})"


def _without_lone_surrogates(body: bytes) -> bytes:
    r"""Write U+FFFD for each half of a surrogate pair that stands alone.

    Every escape is looked at in its turn, so that a backslash that is itself escaped begins none::

        "\ud83d\ude00"   a pair: stays
        "cut \ud83d"      a half: "cut \ufffd"
        "\\ud83d"         a backslash, and then text: stays
    """
    if b"\\ud" not in body.lower():
        return body
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)


def read_columns(body: bytes, bounds: Bounds = NO_BOUNDS) -> Columns:
    """Read a body of columns or of records; raise BadBody if it isn't a table, BodyTooLarge if it is too large."""
    return _columns_of(_parsed(body), bounds)


def read_lines(body: bytes, bounds: Bounds = NO_BOUNDS) -> Columns:
    """Read a body of records, one a line, or of one list of all.

    Raises BadBody, naming the line that isn't one, or BodyTooLarge.
    """
    records = _read_list(body)
    if records is None:
        lines = enumerate(body.split(b"\n"), 1)
        with hinting(body):
            records = [loads(line, f" in line {number}") for number, line in lines if line.strip()]
    return _of_records(records, bounds)


# The function that reads a body, by its format.
READERS: dict[str, Callable[..., Columns]] = {"json": read_columns, "ndjson": read_lines}


def _read_list(body: bytes) -> list[Any] | None:
    """Read one list of records; None if the body isn't one."""
    if not is_list(body):
        return None
    try:
        data = loads(body)
    except BadBody:  # line by line finds the line that is wrong
        return None
    return data if isinstance(data, list) else None


def is_list(body: bytes) -> bool:
    """Tell whether a body is one list, whatever is in it."""
    return body.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


def _parsed(body: bytes) -> Any:
    with hinting(body):
        return loads(body)


def count_rows(body: bytes, bounds: Bounds = NO_BOUNDS) -> Counted:
    """Count the rows of a body of columns or of records, and name its columns.

    Raises BadBody if it is no table, or has a value that could not be kept later; BodyTooLarge if it is too large.
    """
    counted = _count_list(body, bounds) if body[:1] == b"[" else _count_quickly(body, bounds)
    return _count(_columns_of(_parsed(body), bounds), bounds) if counted is None else counted


def count_lines(body: bytes, bounds: Bounds = NO_BOUNDS) -> Counted:
    """Count the rows of a body of records, one a line, and name its columns; raise as count_rows does."""
    line_decoder: msgspec.json.Decoder[dict[str, Any]] = _LABEL if bounds.key else _LINE
    try:
        records = [line_decoder.decode(line) for line in body.split(b"\n") if line.strip()]
    except UNDECODED:
        records = None
    counted = _count_plain(records, body, bounds) if records else None
    return _count(read_lines(body, bounds), bounds) if counted is None else counted


def count_each(bodies: Sequence[bytes], together: bytes, bounds: Bounds) -> tuple[list[int], Collection[str]] | None:
    """Count the rows of bodies that are a record or a list of records, and name the columns of all.

    ``together`` is what list_of makes of them. None unless each is whole by itself, and all are sound as one list, or
    any part of it.
    """
    if _begin_as_objects(bodies) and together.count(b"{") == len(bodies):
        # An object can only begin where a body does. If there are as many objects as bodies, each body is one object,
        # and need not be read by itself.
        counted = _count_list(together, bounds)
        if counted is not None and counted[0] == len(bodies):
            return [1] * len(bodies), counted[1]
    for decoder, count in _WAYS:
        try:
            lists = [one if isinstance(one, list) else [one] for one in map(decoder.decode, bodies)]
            counted = count(list(chain.from_iterable(lists)), together, bounds)
        except (*UNDECODED, BadBody, BodyTooLarge):
            continue
        if counted is not None:
            return [len(one) for one in lists], counted[1]
    return None


def list_of(bodies: Sequence[bytes]) -> bytes:
    """Make one list of bodies that are a record or a list of records."""
    if not _begin_as_objects(bodies):
        bodies = [body[1:-1] if body.startswith(b"[") else body for body in map(bytes.strip, bodies)]
    return b"[%b]" % b",".join(bodies)


def _begin_as_objects(bodies: Sequence[bytes]) -> bool:
    return {body[:1] for body in bodies} == {b"{"}


def _count_records(records: list[dict[str, Any]], body: bytes, bounds: Bounds) -> Counted | None:
    """Count records with values of any kind; None if they are no sound table, or only in this order."""
    counted = _count(read_columns(body, bounds), bounds)
    return counted if all(records) and "specversion" not in counted[1] and counted[0] == len(records) else None


def _count_list(body: bytes, bounds: Bounds) -> Counted | None:
    """Count a list of records of plain values and of lists of those, with each name once; None for anything else."""
    decoder: msgspec.json.Decoder[list[dict[str, Any]]] = _RECORDS_OF_LABELS if bounds.key else _RECORDS
    try:
        return _count_plain(decoder.decode(body), body, bounds)
    except UNDECODED:
        return None


def _count_plain(records: list[dict[str, Any]], body: bytes, bounds: Bounds) -> Counted | None:
    """Count records that were read from a body; None if the body may not be sound."""
    shapes = dict.fromkeys(map(tuple, records))
    names = list(dict.fromkeys(chain.from_iterable(shapes)))
    rows = len(records)
    if rows > bounds.max_rows or len(names) > bounds.max_columns or rows * len(names) > MAX_CELLS:
        return None
    if () in shapes or "specversion" in names:
        return None
    if bounds.key and not keys.are_keys([record.get(bounds.key) for record in records]):
        return None
    return (rows, names) if _has_each_once(body, sum(map(len, records))) else None


_WAYS: tuple[tuple[msgspec.json.Decoder[Any], Callable[..., Counted | None]], ...] = (
    (msgspec.json.Decoder(_RECORD | list[_RECORD]), _count_plain),
    (msgspec.json.Decoder(dict[str, msgspec.Raw] | list[dict[str, msgspec.Raw]]), _count_records),
)


def _count_quickly(body: bytes, bounds: Bounds) -> Counted | None:
    """Count the rows of columns that have the same keys, each once, and plain values; None for anything else."""
    is_keyed = body.find(b"{", 1) > 0
    decoders: tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]] = _LISTS, _LISTS_OF_LABELS
    if is_keyed and _FIRST_IS_NUMBERED.match(body) and b'"-0"' not in body:  # "-0" and "0" are different rows
        decoders = _NUMBERED, _NUMBERED_LABELS  # takes a third of the time
    elif is_keyed:
        decoders = _KEYED, _KEYED_LABELS
    try:
        table: dict[str, Any] = decoders[bool(bounds.key)].decode(body)
    except UNDECODED:
        return _count_event(body, bounds)
    columns = list(table.values())
    if not columns or len(columns) > bounds.max_columns:
        return None
    rows = len(set().union(*columns)) if is_keyed else len(columns[0])
    cells = rows * len(columns)
    if sum(map(len, columns)) != cells or rows > bounds.max_rows or cells > MAX_CELLS:
        return None
    if bounds.key and not _has_keys(table.get(bounds.key)):
        return None
    names = len(columns) + cells if is_keyed else len(columns)
    return (rows, list(table)) if _has_each_once(body, names) else None


def _count_event(body: bytes, bounds: Bounds) -> Counted | None:
    """Count one event of plain values, with each name once; None for anything else."""
    try:
        event = (_LABEL if bounds.key else _EVENT).decode(body)
    except UNDECODED:
        return None
    if not event or len(event) > bounds.max_columns or "specversion" in event:
        return None
    if bounds.key and not keys.is_key(event.get(bounds.key)):
        return None
    return (1, list(event)) if _has_each_once(body, len(event)) else None


def _has_each_once(body: bytes, names: int) -> bool:
    """Tell whether a body has ``names`` names, each once: any more would be names that stand twice. False if unsure."""
    return body.count(b":") == names or (body.count(b'":') == names and not has_spaced_name(body))


def _has_keys(column: dict[str, Any] | list[Any] | None) -> bool:
    """Tell whether there is a column, with a key in each row."""
    if column is None:
        return False
    return keys.are_keys(column.values() if isinstance(column, dict) else column)


def _count(columns: Columns, bounds: Bounds) -> Counted:
    if bounds.key and length(columns):
        if bounds.key not in columns:
            raise keys.lacking(bounds.key)
        keys.check_values(bounds.key, columns[bounds.key])
    for name, values in columns.items():
        try:
            for value in values:
                if type(value) in {dict, list}:
                    text_of(value)
        # orjson raises for over 254 levels, and for integers of over 64 bits in there
        except (TypeError, ValueError) as error:
            raise BadBody(f"column '{name}' holds a value that can't be kept: {error}") from error
    return length(columns), list(columns)


def text_of(value: Any) -> str | None:
    """Write a value as text, as it would stand in JSON, with an object's keys sorted; a missing one is None."""
    if value is None or value != value:  # noqa: PLR0124  (NaN alone differs from itself)
        return None
    if isinstance(value, dict | list):
        return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS).decode()
    return str(value) if isinstance(value, str | UUID) else json.dumps(value, default=str)


def _integer(text: str) -> int | float:
    """Read an integer as orjson does: one of over 64 bits becomes a float if that holds it."""
    number = int(text)
    if -(2**63) <= number < 2**64:
        return number
    if math.isinf(float(text)):
        raise ValueError(f"number is infinity when parsed as double: {text[:20]}...")
    return float(text)


def _check_names(body: bytes, data: object, where: str) -> None:
    """Refuse a name that stands twice, which fast parsers don't notice: the body would have more names than was read.

    If the numbers differ, the body is read again by a slower parser. They also differ where values of columns are
    objects.
    """
    more = body.count(b'":') - _count_names(data)
    is_each_counted = more == 0 or more == body.count(b'\\":')  # those are in texts that hold JSON
    if is_each_counted and not has_spaced_name(body):
        return
    try:
        json.loads(body, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise BadBody(f"JSON is malformed{where}: {error}") from error


def has_spaced_name(body: bytes) -> bool:
    """Tell whether a space may stand between a name and its colon, where a count of names misses it."""
    return body.count(b":") > body.count(b'":') and _SPACED_NAME.search(body) is not None


def _count_names(data: object) -> int:
    """Count the names in an object or list, and in the objects that it holds."""
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    own = len(data) if isinstance(data, dict) else 0
    return own + sum(len(value) for value in inner if type(value) is dict)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise BadBody(f"the name '{twice}' stands twice in an object; only one of its values could be kept")
    return names


def _columns_of(data: object, bounds: Bounds) -> Columns:
    if isinstance(data, list):
        return _of_records(data, bounds)
    if not isinstance(data, dict):
        raise BadBody(
            f"the body is {json_kind(data)}, not a table; send columns as in "
            '{"age": {"0": 41, "1": 37}} or {"age": [41, 37]}, records as in [{"age": 41}, {"age": 37}], or one event '
            'as in {"age": 41}'
        )
    bounds.check_columns(len(data))
    refuse_other_shapes(data)
    refuse_nested_event(data)
    kinds = {type(column) for column in data.values()}
    if kinds.isdisjoint({dict, list}):
        return {name: [value] for name, value in data.items()}
    if kinds == {dict, list}:
        raise BadBody(
            "some columns are objects, some are lists; send all of them in one form, and an event that holds objects "
            "or lists as [{…}]"
        )
    aligned = _of_keyed_columns(data) if kinds == {dict} else _of_lists(data)
    rows = length(aligned)
    bounds.check_rows(rows)
    _check_cells(rows, len(data))
    return aligned


def _of_keyed_columns(data: dict[str, dict[str, Any]]) -> Columns:
    keys: dict[str, None] = {}
    for column in data.values():
        keys.update(dict.fromkeys(column))
    _check_cells(len(keys), len(data))
    return {
        name: list(column.values()) if list(column) == list(keys) else [column.get(key) for key in keys]
        for name, column in data.items()
    }


def _of_lists(data: Columns) -> Columns:
    lengths = {name: len(column) for name, column in data.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"'{name}' has {length}" for name, length in list(lengths.items())[:5])
        raise BadBody(f"columns have different numbers of values: {told}")
    return data


def _of_records(records: list[Any], bounds: Bounds) -> Columns:
    bounds.check_rows(len(records))
    bounds.check_columns(max((len(record) for record in records if isinstance(record, dict | list)), default=0))
    names: dict[str, None] = {}
    if records and all(isinstance(record, list) for record in records):
        records = [{str(number): value for number, value in enumerate(record)} for record in records]
    if records and isinstance(records[0], dict):
        refuse_cloud_event(records[0])
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise BadBody(f'record {number} is {json_kind(record)}, not an object; send records as in [{{"age": 41}}]')
        names.update(dict.fromkeys(record))
    bounds.check_columns(len(names))
    _check_cells(len(records), len(names))
    return {name: [record.get(name) for record in records] for name in names}


def _check_cells(rows: int, columns: int) -> None:
    if rows * columns > MAX_CELLS:
        raise BodyTooLarge(
            f"{rows} rows of {columns} different columns would be a table of more than {MAX_CELLS} cells"
        )


def length(columns: Columns) -> int:
    """Return how many rows columns have."""
    return len(next(iter(columns.values()), ()))


def are_finite(columns: Columns) -> bool:
    """Tell whether no value is an infinity, for which orjson writes null."""
    return not any(type(one) is float and math.isinf(one) for values in columns.values() for one in values)
