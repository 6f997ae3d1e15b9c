"""Large JSON bodies of columns: their rows counted without making a Python value of each cell.

msgspec checks that it is JSON and gives each column as it is written; what else is to be known of columns of plain
values is in the places of their quotes and commas. Whatever leaves a doubt gives None, and is parsed whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from collector.store.json_body import MAX_CELLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.store.bounds import Bounds

    Array = Any  # numpy.ndarray, which the daemon's process never imports

_QUOTE, _COMMA, _COLON, _END, _PLUS, _MINUS, _SMALL_E, _LARGE_E, _ZERO = b'",:}+-eE0'
# More digits may be more than a float holds; a longer text is no number, and worth no care.
_MAX_TOKEN = 300
_TEN = 10
_FIRST_PRINTABLE = 0x20
# Keys are compared eight bytes at a time.
_WINDOW = 8
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def count_plain_rows(body: bytes, bounds: Bounds) -> int | None:
    """Count the rows of columns of plain values, keyed alike or lists of one length; None if that isn't sure."""
    body = body.strip()
    if b"\\" in body or not body.isascii() or _has_control_characters(body):
        return None
    try:
        columns = {name: bytes(raw) for name, raw in _DECODER.decode(body).items()}
        spans = list(_spans(body, columns))
    except (msgspec.DecodeError, ValueError):
        return None
    if not spans or len(spans) > bounds.max_columns:
        return None
    rows = (_count_keyed if body[spans[0].start] == ord("{") else _count_lists)(body, spans)
    return rows if rows is not None and rows <= bounds.max_rows and rows * len(spans) <= MAX_CELLS else None


def _has_control_characters(body: bytes) -> bool:
    import numpy as np

    return bool((np.frombuffer(body, np.uint8) < _FIRST_PRINTABLE).any())


def _spans(body: bytes, columns: dict[str, bytes]) -> Iterator[slice]:
    """Find where each column stands; raise ValueError if there is more in the body, as of a name that stands twice."""
    end, before = 0, b"{"
    for name, column in columns.items():
        start = body.index(column[:1], body.index(b'"', end + 1) + len(name) + 1)
        if b"".join(body[end:start].split(b" ")).strip() != before + b'"%b":' % name.replace(" ", "").encode():
            raise ValueError("something else stands before a column")
        end, before = start + len(column), b","
        yield slice(start, end)
    if body[end:].strip() != b"}":
        raise ValueError("something else stands behind the columns")


def _count_lists(body: bytes, spans: list[slice]) -> int | None:
    lengths = {_length_of(body[span]) for span in spans}
    return lengths.pop() if len(lengths) == 1 else None


def _length_of(column: bytes) -> int | None:
    """Count the values of a list that has neither lists nor objects in it; None if it may have."""
    import numpy as np

    if not column.startswith(b"[") or column.count(b"[") > 1 or b"{" in column:
        return None
    text = np.frombuffer(column, np.uint8)
    commas = np.flatnonzero(text == _COMMA)
    if b'"' in column:
        quotes = np.flatnonzero(text == _QUOTE)
        commas = commas[np.searchsorted(quotes, commas) % 2 == 0]  # behind as many that open as that close
    if not _are_short(commas, len(column)) or not _are_finite(text):
        return None
    return len(commas) + 1 if column[1:-1].strip() else 0


def _count_keyed(body: bytes, spans: list[slice]) -> int | None:
    first = _keys_of(body[spans[0]])
    if first is None:
        return None
    rows = len(orjson.loads(body[spans[0]]))
    return rows if rows == len(first[1]) and all(_are_same(first, _keys_of(body[span])) for span in spans[1:]) else None


def _keys_of(column: bytes) -> tuple[bytes, Array, Array] | None:
    """Find where the keys of an object begin, and their lengths; None if it may have lists or objects in it."""
    import numpy as np

    if not column.startswith(b"{") or column.count(b"{") > 1 or b"[" in column:
        return None
    text = np.frombuffer(column, np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    starts, ends = quotes[::2] + 1, quotes[1::2]
    after = text[ends + 1]
    is_key = after == _COLON
    if not is_key.all():
        if not (is_key | (after == _COMMA) | (after == _END)).all():
            return None
        starts, ends = starts[is_key], ends[is_key]
    return (column, starts, ends - starts) if _are_short(starts, len(column)) and _are_finite(text) else None


def _are_same(one: tuple[bytes, Array, Array], other: tuple[bytes, Array, Array] | None) -> bool:
    """Tell whether two columns have the same keys in the same order."""
    import numpy as np

    if other is None or not np.array_equal(one[2], other[2]):
        return False
    longest = int(one[2].max(initial=0))
    return all(np.array_equal(_pieces(*one, place), _pieces(*other, place)) for place in range(0, longest, _WINDOW))


def _pieces(column: bytes, starts: Array, lengths: Array, place: int) -> Array:
    """Give eight bytes of each key as a number, those behind its end as zeros."""
    import numpy as np

    padded = column + bytes(_WINDOW + place)
    windows = np.ndarray((len(column) + place,), "<u8", padded, strides=(1,))
    bits = 8 * np.clip(lengths - place, 0, _WINDOW)
    masks = np.array([(1 << bit) - 1 for bit in range(65)], np.uint64)
    return windows[starts + place] & masks[bits]


def _are_short(places: Array, end: int) -> bool:
    """Tell whether no token between these places is long."""
    import numpy as np

    return bool(np.diff(places, prepend=0, append=end).max() <= _MAX_TOKEN)


def _are_finite(text: Array) -> bool:
    """Tell whether no exponent has three digits."""
    import numpy as np

    for letter in (_SMALL_E, _LARGE_E):
        places = np.flatnonzero(text == letter) + 1
        places += (text[places] == _PLUS) | (text[places] == _MINUS)
        followers = [text[np.minimum(places + next_, len(text) - 1)] for next_ in range(3)]
        if np.logical_and.reduce(
            [follower - _ZERO < _TEN for follower in followers]
        ).any():  # what is less wraps around
            return False
    return True
