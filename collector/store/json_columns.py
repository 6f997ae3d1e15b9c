"""Large JSON bodies of columns: their rows counted without making a Python value of each cell.

msgspec checks that it is JSON and says how long each column is; what else is to be known of columns of plain values is
in the places of their quotes and commas. Whatever leaves a doubt gives None, and is parsed whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import orjson

from collector.store.json_body import MAX_CELLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from collector.store.bounds import Bounds

    Places = NDArray[np.int64]

_QUOTE, _COMMA, _COLON, _END, _PLUS, _MINUS, _SMALL_E, _LARGE_E, _ZERO = b'",:}+-eE0'
_TEN = 10
_FIRST_PRINTABLE = 0x20
# More digits may be more than a float holds; a longer text is no number, and worth no care.
_MAX_TOKEN = 300
# Keys are compared eight bytes at a time; by how many of them are a key's, those that are.
_WINDOW = 8
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(_WINDOW + 1)], np.uint64)
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def count_plain_rows(body: bytes, bounds: Bounds) -> int | None:
    """Count the rows of columns of plain values, keyed alike or lists of one length; None if that isn't sure."""
    body = body.strip()
    text = np.frombuffer(body, np.uint8)
    if b"\\" in body or not body.isascii() or (text < _FIRST_PRINTABLE).any():
        return None
    try:
        spans = list(_spans(body))
    except (msgspec.DecodeError, ValueError):
        return None
    if not spans or len(spans) > bounds.max_columns or not _are_finite(text):
        return None
    starts, ends = np.array(spans).T
    is_keyed = body[starts[0]] == ord("{")
    rows = _count_keyed(body, text, starts, ends) if is_keyed else _count_lists(body, text, starts, ends)
    return rows if rows is not None and rows <= bounds.max_rows and rows * len(spans) <= MAX_CELLS else None


def _spans(body: bytes) -> Iterator[tuple[int, int]]:
    """Find where each column stands; raise ValueError if there is more in the body, as of a name that stands twice."""
    end, before = 0, b"{"
    for name, raw in _DECODER.decode(body).items():
        column = memoryview(raw)
        start = body.index(column[:1], body.index(b'"', end + 1) + len(name) + 1)
        if body[end:start].replace(b" ", b"") != before + b'"%b":' % name.replace(" ", "").encode():
            raise ValueError("something else stands before a column")
        end, before = start + len(column), b","
        yield start, end
    if body[end:].strip() != b"}":
        raise ValueError("something else stands behind the columns")


def _count_lists(body: bytes, text: NDArray[np.uint8], starts: Places, ends: Places) -> int | None:
    if (text[starts] != ord("[")).any() or _count(text, "[") != len(starts) or _count(text, "{") != 1:
        return None
    commas = np.flatnonzero(text == _COMMA)
    quotes = np.flatnonzero(text == _QUOTE)
    if len(quotes) > 2 * len(starts):  # of texts too, not only of names: behind as many that open as that close
        commas = commas[np.searchsorted(quotes, commas) % 2 == 0]
    if not _are_short(commas, len(body)):
        return None
    counts = np.searchsorted(commas, ends) - np.searchsorted(commas, starts)
    is_empty = [not body[start + 1 : end - 1].strip() for start, end in zip(starts, ends, strict=True)]
    lengths = set(np.where(is_empty, 0, counts + 1).tolist())
    return lengths.pop() if len(lengths) == 1 else None


def _count_keyed(body: bytes, text: NDArray[np.uint8], starts: Places, ends: Places) -> int | None:
    if (text[starts] != ord("{")).any() or _count(text, "{") != len(starts) + 1 or b"[" in body:
        return None
    quotes = np.flatnonzero(text == _QUOTE)
    opens, closes = quotes[::2] + 1, quotes[1::2]
    after = text[closes + 1]
    is_key = after == _COLON
    if not (is_key | (after == _COMMA) | (after == _END)).all():
        return None
    places, lengths = opens[is_key], (closes - opens)[is_key]
    if not _are_short(places, len(body)):
        return None
    rows = len(orjson.loads(body[starts[0] : ends[0]]))  # each key once
    if len(places) != len(starts) * (rows + 1):
        return None
    # Each column's name, then its keys.
    places, lengths = places.reshape(len(starts), -1), lengths.reshape(len(starts), -1)
    if (places[:, 0] > starts).any() or (places[:, 1:] < starts[:, None]).any() or (places > ends[:, None]).any():
        return None
    return rows if _are_same(body, places[:, 1:], lengths[:, 1:]) else None


def _count(text: NDArray[np.uint8], character: str) -> int:
    return int(np.count_nonzero(text == ord(character)))  # several times as fast as bytes.count


def _are_same(body: bytes, places: Places, lengths: Places) -> bool:
    """Tell whether the keys of all columns are those of the first."""
    if (lengths != lengths[0]).any():
        return False
    for shift in range(0, int(lengths[0].max(initial=0)), _WINDOW):
        windows = np.ndarray((len(body) + shift,), "<u8", body + bytes(_WINDOW + shift), strides=(1,))
        keys = windows[places + shift] & _MASKS[np.clip(lengths[0] - shift, 0, _WINDOW)]
        if (keys != keys[0]).any():
            return False
    return True


def _are_short(places: Places, end: int) -> bool:
    """Tell whether no token between these places is long."""
    return bool(np.diff(places, prepend=0, append=end).max() <= _MAX_TOKEN)


def _are_finite(text: NDArray[np.uint8]) -> bool:
    """Tell whether no exponent has three digits."""
    for letter in (_SMALL_E, _LARGE_E):
        places = np.flatnonzero(text == letter) + 1
        places += (text[places] == _PLUS) | (text[places] == _MINUS)
        followers = [text[np.minimum(places + next_, len(text) - 1)] for next_ in range(3)]
        if np.logical_and.reduce(
            [follower - _ZERO < _TEN for follower in followers]
        ).any():  # what is less wraps around
            return False
    return True
