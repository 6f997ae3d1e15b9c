"""Many small JSON bodies read at once: a service that posts single rows leaves ten thousands of them to a part."""

from __future__ import annotations

from itertools import chain, groupby, islice, repeat
from typing import TYPE_CHECKING, Any

import orjson

from collector.formats.json_body import has_spaced_name, read_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collector.formats.json_body import Columns

_SMALL = 4096  # bytes
_TOGETHER = 32  # with 20 columns about 700 dicts, at which the garbage collector begins to look through them
_OPENINGS = {b"{", b"["}
_PLAIN = {str, int, float, bool, type(None)}


def read_together(bodies: Iterable[bytes]) -> Iterator[Columns]:
    """Read bodies of columns or of records, in their order; those of one row and the same columns become one.

    Raises BadBody where read_columns does.
    """
    for is_small, run in groupby(bodies, lambda body: len(body) <= _SMALL):
        if not is_small:
            yield from map(read_columns, run)
            continue
        while some := list(islice(run, _TOGETHER)):
            rows = _rows_of(some)
            if rows is None:
                yield from map(read_columns, some)
            else:
                yield rows


def _rows_of(bodies: list[bytes]) -> Columns | None:
    """Read bodies that are one row each, of plain values and the same columns; None if any isn't.

    Nothing here loops in Python over the bodies: that takes longer than parsing them.
    """
    if not {body[:1] for body in bodies} <= _OPENINGS:
        return None
    body = b"[%b]" % b",".join(bodies)
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:  # or it has NaN
        return None
    if len(data) != len(bodies):
        return None
    rows, values, names_each = _taken_apart(data)
    names = set(map(tuple, rows))
    if len(names) != 1 or not set(map(type, values)) <= _PLAIN:
        return None
    columns = names.pop()
    # A name that stands twice shows by this in each body; see json_body.
    if set(map(bytes.count, bodies, repeat(b'":'))) != {names_each * len(columns)} or has_spaced_name(body):
        return None
    return {name: values[number :: len(columns)] for number, name in enumerate(columns)}


def _taken_apart(data: list[Any]) -> tuple[list[dict[str, Any]], list[Any], int]:
    """Return the rows, all their values, and how often each name's column is named in a body; nothing if not so."""
    kinds = set(map(type, data))
    if kinds == {list} and set(map(len, data)) == {1}:
        rows = list(chain.from_iterable(data))
        if set(map(type, rows)) == {dict}:
            return rows, list(chain.from_iterable(map(dict.values, rows))), 1
    if kinds == {dict}:
        cells = list(chain.from_iterable(map(dict.values, data)))
        kinds = set(map(type, cells))
        if kinds <= _PLAIN:
            return data, cells, 1
        if kinds == {list} and set(map(len, cells)) == {1}:
            return data, list(chain.from_iterable(cells)), 1
        if kinds == {dict} and set(map(len, cells)) == {1} and len(set(chain.from_iterable(cells))) == 1:
            return data, list(chain.from_iterable(map(dict.values, cells))), 2
    return [], [], 0
