"""Parquet files: what they unfold to, told from their footer and the headers of their pages before any is decompressed.

The footer says it too, but may lie; and asking Arrow for its parts aborts the process where they are broken. Both are
structs of Thrift's, as in parquet-format's parquet.thrift.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.errors import BodyTooLarge
from collector.formats.untrusted.thrift import I32, I64, Reader, integer, struct, structs, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.formats.bounds import Bounds
    from collector.formats.untrusted.thrift import Struct

# A footer is parsed whole before anything of it can be refused; that of 10 000 columns has 2 MB a row group.
MAX_FOOTER = 2**23
# Each takes some microseconds to look at; writers make them of a megabyte.
MAX_PAGES = 100_000

# As Arrow has it.
_MAX_DEPTH = 100

_BYTE_ARRAY, _FIXED_LENGTH = 6, 7
_SOUND_WRITER = re.compile(rb"parquet-mr version 1\.(?:[3-9]|[1-9]\d)\.\d[\w.+-]*(?: \(build [^)]*\))?")
# In bytes, by physical type; of a text, its place in a dictionary.
_WIDTHS = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8, _BYTE_ARRAY: 4}


@dataclass(frozen=True)
class Leaf:
    """A column as parquet has it: where in the schema, and how wide its values are in memory."""

    path: str
    is_text: bool
    width: int


@dataclass(frozen=True)
class Measured:
    """What is known of a file: its leaves, and the bytes that it unfolds to with each text of a dictionary once."""

    leaves: list[Leaf]
    size: int


def measure(body: bytes, bounds: Bounds) -> Measured:
    """Look through a parquet file; BodyTooLarge if it unfolds to more than is allowed, ValueError if it is broken."""
    footer = Reader(_footer(body)).struct()
    _check_writer(text(footer, 6).lower())
    leaves = list(_leaves(structs(footer, 2)))
    bounds.check_columns(len(leaves))
    bounds.check_rows(integer(footer, 3, I64))
    size = pages = 0
    for group in structs(footer, 4):
        for leaf, chunk in zip(leaves, structs(group, 1), strict=True):
            values = page_bytes = 0
            for page_size, page_values in _pages(body, struct(chunk, 3)):
                pages += 1
                page_bytes += page_size
                values += page_values
                _check_pages(pages)
                bounds.check_bytes(size + page_bytes)
            size += max(page_bytes, values * leaf.width)
            bounds.check_bytes(size)
    return Measured(leaves, size)


def _check_writer(name: bytes) -> None:
    """Refuse files of writers that told the sizes of columns wrong (PARQUET-816): Arrow reads beyond their ends."""
    if name.startswith(b"parquet-mr") and not _SOUND_WRITER.fullmatch(name):
        raise ValueError("it says that it was written by parquet-mr before 1.3; write it with a newer one")


def _footer(body: bytes) -> bytes:
    size = int.from_bytes(body[-8:-4], "little")
    if body[-4:] != b"PAR1" or len(body) < size + 12:
        raise ValueError("it doesn't end as a parquet file does")
    if size > MAX_FOOTER:
        raise BodyTooLarge(f"the footer has {size} bytes, the limit is {MAX_FOOTER}; write fewer, larger row groups")
    return body[-8 - size : -8]


def _leaves(elements: list[Struct]) -> Iterator[Leaf]:
    """Give the leaves of a schema, which is a tree written depth first: each element before its children."""
    above: list[tuple[list[str], int]] = []  # the path of each element that still has children to come, and how many
    for position, element in enumerate(elements):
        path = [*above[-1][0], text(element, 4).decode(errors="replace")] if above else []
        if above:
            above[-1] = (above[-1][0], above[-1][1] - 1)
        children = integer(element, 5, I32)
        if children <= 0 and position > 0:
            kind = integer(element, 1, I32)
            width = max(0, integer(element, 2, I32)) if kind == _FIXED_LENGTH else _WIDTHS.get(kind, 8)
            yield Leaf(".".join(path), kind == _BYTE_ARRAY, width)
        elif len(above) < _MAX_DEPTH:
            above.append((path, children))
        else:
            raise ValueError(f"its columns are nested more than {_MAX_DEPTH} levels deep")
        while above and above[-1][1] <= 0:
            above.pop()


def _check_pages(pages: int) -> None:
    if pages > MAX_PAGES:
        raise BodyTooLarge(f"the body has more than {MAX_PAGES} pages; write fewer, larger ones")


def _pages(body: bytes, chunk: Struct) -> Iterator[tuple[int, int]]:
    """Give each page's size after decompression, and its number of values."""
    if integer(chunk, 5, I64) <= 0:  # it has no values, so no page of it is read, and its offsets may be none
        return
    position, dictionary = integer(chunk, 9, I64), integer(chunk, 11, I64)
    position = dictionary if 0 < dictionary < position else position
    end = position + integer(chunk, 7, I64)
    if not 0 <= position <= end <= len(body):
        raise ValueError("a column lies outside of the file")
    while position < end:
        reader = Reader(body, position)
        header = reader.struct()
        unfolded, compressed = integer(header, 2, I32), integer(header, 3, I32)
        if compressed < 0 or unfolded < 0:
            raise ValueError("a page has less than no bytes")
        yield unfolded, max(integer(struct(header, 5), 1, I32), integer(struct(header, 8), 1, I32))
        position = reader.position + compressed
