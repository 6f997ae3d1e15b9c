"""Large JSON bodies of columns: their rows counted without making a Python value of each cell.

msgspec checks that it is JSON and says where each column is; what else is to be known of columns of plain values is in
the places of their colons, commas and quotes. That is looked at some columns at a time, as they stay in the processor's
cache and a large body doesn't. Whatever leaves a doubt gives None, and is parsed whole.

How keys are compared, for example those of ``{"age": {"0": 41, "10": 37}, "plan": {"0": "a:b", "10": "c"}}``. In the
column "age" each colon stands behind a key, so its colons say where the keys end. The eight bytes before a colon are
read as one number, little-endian, in which only the bytes of the key and its quotes count; the others are set to 0::

    "0":   ....."0"     the last three bytes count   0x22_30_22_00_00_00_00_00
    "10":  ...."10"     the last four bytes count    0x22_30_31_22_00_00_00_00

A key that is longer than eight bytes with its quotes has more such numbers, of the bytes before those. Every key gets
as many numbers as the longest key needs.

The column "plan" has one colon more, in the text "a:b". No quote stands before that colon, so it doesn't count; then
"plan" has as many colons as "age". The numbers before them are compared with those of "age", all at once. If "plan" had
another key, one more, one less, or another order, then the count or one of the numbers would differ.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import orjson

from collector.formats.json_body import JSON_SPACES, MAX_CELLS
from collector.formats.keys import are_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from collector.formats.bounds import Bounds, Counted

    Text = NDArray[np.uint8]
    Places = NDArray[np.intp]
    Words = NDArray[np.uint64]

_SPACE, _QUOTE, _COMMA, _COLON, _SMALL_E, _ZERO, _OBJECT, _LIST = b' ",:e0{['
_TO_SMALL = 0x20  # this bit turns a capital letter into a small one
_TEN = 10
_FIRST_PRINTABLE = 0x20
# A number with this many digits and an exponent of two digits still fits a float. A body with a longer token goes to
# the full parser.
_MAX_TOKEN = 200
# Bytes of the longest key. All keys are compared in as many words of eight bytes as the longest one has.
_MAX_KEY = 64
_MINUS = ord("-")
_MAX_INTEGER = 18  # digits and a comma: less than 2^63
_LONG_EXPONENT = re.compile(rb"[eE][+-]?[0-9]{3}")
_FEW = 16  # so few are faster to find one by one than all together
_BLOCK = 2**19  # bytes of the columns that are looked at together
# Keys are compared eight bytes at a time, from their end; by how many of them count, the mask of those.
_WORD = 8
_MASKS = np.array([2**64 - 2 ** (8 * (_WORD - count)) for count in range(_WORD + 1)], np.uint64)
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def count_plain_rows(body: bytes, bounds: Bounds) -> Counted | None:
    """Count the rows of columns of plain values, keyed alike or lists of one length; None if that isn't sure."""
    body = body.strip(JSON_SPACES)
    text = np.frombuffer(body, np.uint8)
    # As signed numbers, bytes that aren't ASCII are negative.
    if b"\\" in body or text.view(np.int8).min(initial=127) < _FIRST_PRINTABLE:
        return None
    try:
        columns = _DECODER.decode(body)
        spans = list(_spans(body, columns))
    except (msgspec.DecodeError, ValueError):
        return None
    if not spans or len(spans) > bounds.max_columns or not _are_plain(body, spans):
        return None
    is_keyed = body[spans[0][0]] == _OBJECT
    rows = _count_keyed(body, text, spans) if is_keyed else _count_lists(body, text, spans)
    if rows is None or rows > bounds.max_rows or rows * len(spans) > MAX_CELLS:
        return None
    quotes = rows * (4 if is_keyed else 2)  # of texts alone
    if not all(_is_finite(body, text, start, end, quotes) for start, end in spans):
        return None
    return None if bounds.key and not _has_keys(columns.get(bounds.key), rows) else (rows, list(columns))


def _has_keys(column: msgspec.Raw | None, rows: int) -> bool:
    """Tell whether there is a column, with a key in each row."""
    if column is None:
        return False
    text = np.frombuffer(column, np.uint8)
    if _are_texts(text, rows) or _are_short_integers(text):
        return True
    values = orjson.loads(bytes(column))
    return are_keys(values.values() if isinstance(values, dict) else values)


def _are_texts(column: Text, rows: int) -> bool:
    """Tell whether each value is a text and none is empty; the keys of an object are such texts, too."""
    are_quotes = column == _QUOTE
    texts = rows * 2 if column[0] == _OBJECT else rows
    return np.count_nonzero(are_quotes) == 2 * texts and not (are_quotes[1:] & are_quotes[:-1]).any()


def _are_short_integers(column: Text) -> bool:
    """Tell whether a column is a list of integers that surely fit 64 bits."""
    inside, commas = column[1:-1], np.flatnonzero(column == _COMMA)
    are_plain = ((inside - _ZERO) < _TEN) | (inside == _COMMA) | (inside == _SPACE) | (inside == _MINUS)
    longest = np.diff(commas, prepend=0, append=len(column) - 1).max()
    return bool(are_plain.all() and len(inside) and longest <= _MAX_INTEGER)


def _spans(body: bytes, columns: dict[str, msgspec.Raw]) -> Iterator[tuple[int, int]]:
    """Find where each column stands; raise ValueError if the body has more, as when a name stands twice."""
    end, before = 0, b"{"
    for name, raw in columns.items():
        column = memoryview(raw)
        start = body.index(column[:1], body.index(b'"', end + 1) + len(name) + 1)
        if body[end:start].replace(b" ", b"") != before + b'"%b":' % name.replace(" ", "").encode():
            raise ValueError("something else stands before a column")
        end, before = start + len(column), b","
        yield start, end
    if body[end:].strip() != b"}":
        raise ValueError("something else stands behind the columns")


def _are_plain(body: bytes, spans: list[tuple[int, int]]) -> bool:
    """Tell whether the columns are all objects or all lists, and no value in them is an object or a list."""
    kinds = {body[start] for start, _ in spans}
    return kinds in ({_OBJECT}, {_LIST}) and all(
        body.find(opening, start + 1, end) < 0 for start, end in spans for opening in (b"{", b"[")
    )


def _is_finite(body: bytes, text: Text, start: int, end: int, quotes: int) -> bool:
    """Tell whether no exponent has three digits. ``quotes`` is how many quotes a column has if all values are texts."""
    letters = [letter for letter in (b"e", b"E") if body.find(letter, start, end) >= 0]
    if letters and np.count_nonzero(text[start:end] == _QUOTE) == quotes:
        return True
    for letter in letters:
        place = start
        for _ in range(_FEW):
            place = body.find(letter, place + 1, end)
            if place < 0:
                break
            if _LONG_EXPONENT.match(body, place):
                return False
        else:
            return _is_each_finite(body, text, start, end)
    return True


def _is_each_finite(body: bytes, text: Text, start: int, end: int) -> bool:
    # With a sign or without, an exponent of three digits has a digit in the third byte after the letter.
    are_letters = (text[start : end - 3] | _TO_SMALL) == _SMALL_E
    are_digits = (text[start + 3 : end] - _ZERO) < _TEN  # lower bytes wrap around to large ones
    places = np.flatnonzero(are_letters & are_digits) + start
    return not any(_LONG_EXPONENT.match(body, place) for place in places.tolist())


def _count_lists(body: bytes, text: Text, spans: list[tuple[int, int]]) -> int | None:
    """Count the values of lists; None if the lists differ in length."""
    rows = {_count_values(body, text[start:end], start, end) for start, end in spans}
    return rows.pop() if len(rows) == 1 else None


def _count_values(body: bytes, column: Text, start: int, end: int) -> int | None:
    if body.find(b'"', start, end) < 0:
        commas = np.flatnonzero(column == _COMMA)
    else:  # a comma stands between values if the number of quotes before it is even
        marks = np.flatnonzero((column == _QUOTE) | (column == _COMMA))
        is_quote = column[marks] == _QUOTE
        commas = marks[~is_quote & (np.cumsum(is_quote) % 2 == 0)]
    if not _are_short(commas, 0, len(column)):
        return None
    is_empty = not len(commas) and not body[start + 1 : end - 1].strip()
    return 0 if is_empty else len(commas) + 1


def _count_keyed(body: bytes, text: Text, spans: list[tuple[int, int]]) -> int | None:
    """Count the values of objects; None if their keys aren't all the same. The module says how keys are compared."""
    words = np.ndarray((len(body) - _WORD + 1,), "<u8", body, strides=(1,))
    keys = _first_keys(text, words, *spans[0])
    if keys is None or not all(keys.are_of(text, words, block) for block in _blocks(spans)):
        return None
    return keys.rows if keys.are_growing or _is_each_once(body[slice(*spans[0])], keys.rows) else None


def _is_each_once(column: bytes, rows: int) -> bool:
    try:
        return len(orjson.loads(column)) == rows
    except orjson.JSONDecodeError:  # such a number may not fit a float
        return False


def _blocks(spans: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Yield neighbouring columns, in groups of about ``_BLOCK`` bytes."""
    block: list[tuple[int, int]] = []
    for span in spans:
        if block and span[1] - block[0][0] > _BLOCK:
            yield block
            block = []
        block.append(span)
    yield block


def _first_keys(text: Text, words: Words, start: int, end: int) -> _Keys | None:
    """Return the keys of the first column; None if one of them might be the text between two values."""
    column = text[start:end]
    quotes = np.flatnonzero(column == _QUOTE)
    closing = np.flatnonzero(column[quotes + 1] == _COLON)
    opens, ends = quotes[closing - 1], quotes[closing] + 1
    lengths, firsts = ends - opens, column[opens + 1]
    if closing.min(initial=1) == 0 or lengths.max(initial=0) > _MAX_KEY:
        return None
    if ((firsts == _SPACE) | (firsts == _COMMA) | (firsts == _COLON)).any():
        return None
    return _Keys(words, ends + start, lengths)


class _Keys:
    """Keys with their quotes, as places where they end and lengths."""

    def __init__(self, words: Words, ends: Places, lengths: Places) -> None:
        self.rows = len(ends)
        self._pieces: list[tuple[int, Words, Words]] = []
        for back in range(_WORD, int(lengths.max(initial=0)) + _WORD, _WORD):
            masks = _MASKS[np.clip(lengths + (_WORD - back), 0, _WORD)]
            self._pieces.append((back, masks, words[np.maximum(ends - back, 0)] & masks))

    @property
    def are_growing(self) -> bool:
        """Whether each is longer than the one before, or sorts after it: then none stands twice."""
        if len(self._pieces) > 1:
            return False
        words = [piece.byteswap() for _, _, piece in self._pieces]
        return all((word[1:] > word[:-1]).all() for word in words)

    def are_of(self, text: Text, words: Words, spans: list[tuple[int, int]]) -> bool:
        """Tell whether the columns at these places have these keys and no others."""
        colons = np.flatnonzero(text[spans[0][0] : spans[-1][1]] == _COLON) + spans[0][0]
        starts, ends = np.array(spans).T
        of_columns = zip(np.searchsorted(colons, starts).tolist(), np.searchsorted(colons, ends).tolist(), strict=True)
        found = [self._behind_keys(text, colons[first:last]) for first, last in of_columns]
        if any(len(places) != self.rows for places in found):
            return False
        places = np.stack(found)
        return _are_short(places, starts, ends) and self._are_before(words, places)

    def _behind_keys(self, text: Text, colons: Places) -> Places:
        """Return those colons of a column that stand behind keys; none if that isn't sure.

        A colon stands behind a key and its quote, or within a text, where no quote is before it unless the text begins
        with the colon. A colon behind a space may be either.
        """
        if len(colons) == self.rows:
            return colons
        before = text[colons - 1]
        return colons[before == _QUOTE] if (before != _SPACE).all() else colons

    def _are_before(self, words: Words, places: Places) -> bool:
        return not self.rows or all(
            places[0, 0] >= back and np.array_equal(words[places - back] & masks, np.broadcast_to(piece, places.shape))
            for back, masks, piece in self._pieces
        )


def _are_short(places: Places, starts: Places | int, ends: Places | int) -> bool:
    """Tell whether no token before, between and behind these places of columns is long."""
    if not places.shape[-1]:
        return bool(np.max(ends - starts) <= _MAX_TOKEN)
    outside = np.maximum(places[..., 0] - starts, ends - places[..., -1]).max()
    return bool(max(outside, np.diff(places).max(initial=0)) <= _MAX_TOKEN)
