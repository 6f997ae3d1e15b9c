"""Indexing: the keys of a batch's rows, or of a part of labels, sorted for binary search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from collector.errors import FilesDamaged, KeysSpoiled
from collector.formats.part_tables import Unreadable, batches_of, kept
from collector.labels.arrays import read_numbers, write_array
from collector.labels.exchange import Indexed
from collector.labels.numbers import NO_KEY, key_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from collector.labels.exchange import Keying, LabelFile
    from collector.labels.numbers import Numbers

_AT_ONCE = 262_144  # rows whose texts are in memory at the same time


def index_batch(parts: Sequence[str], keying: Keying, path: str) -> Indexed:
    """Write the sorted numbers of a batch's keys to ``path.sorted``, and the rows that have them to ``path.rows``.

    Raises FilesDamaged.
    """
    pieces = [key_numbers(piece, keying) for part in parts for piece in rows_of(part, _AT_ONCE, [keying.column])]
    numbers = np.concatenate(pieces) if pieces else np.empty(0, np.uint64)
    del pieces
    rows = np.argsort(numbers, kind="stable").astype(np.uint32)
    numbers = numbers[rows]
    without = int(numbers.searchsorted(NO_KEY, "right"))
    numbers, rows = numbers[without:], rows[without:]
    write_array(f"{path}.rows", rows, keying.salt)
    write_array(f"{path}.sorted", numbers, keying.salt)
    return Indexed(len(numbers), int((numbers[1:] == numbers[:-1]).sum()))


def label_numbers(label: LabelFile, keying: Keying) -> Numbers:
    """Return the numbers of the keys of a part of labels, row by row; they are written to a file the first time.

    Raises FilesDamaged.
    """
    try:
        return read_numbers(label.numbers, keying.salt)
    except KeysSpoiled:
        pieces = [key_numbers(piece, keying) for piece in rows_of(label.part, _AT_ONCE, [keying.column])]
        numbers = np.concatenate(pieces) if pieces else np.empty(0, np.uint64)
        write_array(label.numbers, numbers, keying.salt)
        return numbers


def rows_of(part: str, rows: int, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield the rows of a part, ``rows`` at a time, with some columns or all; raise FilesDamaged."""
    try:
        for batch in batches_of(part, rows, columns):
            yield kept(pa.Table.from_batches([batch]))
    except Unreadable as error:
        raise FilesDamaged(error.paths) from error


def are_among(numbers: Numbers, known: Numbers) -> NDArray[np.bool_]:
    """Tell which numbers are keys that are among others, which are sorted."""
    if not len(known):
        return np.zeros(len(numbers), np.bool_)
    found = np.empty(len(numbers), np.bool_)
    for start in range(0, len(numbers), _AT_ONCE):  # in slices, to keep little in memory
        some = numbers[start : start + _AT_ONCE]
        places = np.minimum(known.searchsorted(some), len(known) - 1)
        found[start : start + _AT_ONCE] = known[places] == some
    found &= numbers != NO_KEY
    return found
