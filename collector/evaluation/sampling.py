"""Drawing a sample of a batch that is too large for a report, a piece of it in memory at a time."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from collector.evaluation.casts import Casts
from collector.evaluation.part_files import read_pieces
from collector.formats.merging import Merging
from collector.formats.private import Private


@dataclass(frozen=True)
class Sample:
    """How many rows are drawn, and the seed by which the same are drawn again."""

    rows: int
    seed: int

    @classmethod
    def of(cls, rows: int, batch_id: str) -> Self:
        """Return the sample of a batch, always the same."""
        return cls(rows, zlib.crc32(batch_id.encode()))


def draw(
    paths: Sequence[str], sample: Sample, total: int, casts: Casts, private: Private | None = None
) -> tuple[pa.Table, Merging]:
    """Draw a uniform sample of the parts' ``total`` rows, in their order; return it with notes on columns.

    ``casts`` looks at all rows: a text that is no number keeps a column text whether or not it is in the sample.
    Raises Unreadable with all parts that can't be read.
    """
    pieces, merging = read_pieces(paths, private)
    looked_at = _looked_at(pieces, casts)
    return pa.concat_tables(_taken(looked_at, chosen_of(sample, total))).unify_dictionaries(), merging


def chosen_of(sample: Sample, total: int) -> Any:
    """Return which of ``total`` rows a sample has, in their order."""
    return np.sort(np.random.default_rng(sample.seed).choice(total, sample.rows, replace=False, shuffle=False))


def _looked_at(pieces: Iterator[pa.Table], casts: Casts) -> Iterator[pa.Table]:
    for piece in pieces:
        casts.look(piece)
        yield piece


def _taken(pieces: Iterator[pa.Table], chosen: Any) -> Iterator[pa.Table]:
    start = 0
    for piece in pieces:
        low, high = np.searchsorted(chosen, (start, start + len(piece)))
        yield piece.take(pa.array(chosen[low:high] - start))
        start += len(piece)


def take_rows(paths: Sequence[str], places: Any, private: Private | None = None) -> tuple[pa.Table, Merging]:
    """Take some of the parts' rows, given where they are, in their order."""
    pieces, merging = read_pieces(paths, private)
    return pa.concat_tables(_taken(pieces, places)).unify_dictionaries(), merging
