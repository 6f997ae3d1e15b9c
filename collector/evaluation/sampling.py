"""Drawing a sample of a batch that is too large for a report, a piece of it in memory at a time."""

import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from collector.evaluation.casts import cast_to, kind_of
from collector.evaluation.pandas_columns import is_text, to_series
from collector.evaluation.part_files import read_pieces
from collector.formats.merging import Merging

_FLOAT = np.dtype("float64")
_CATEGORY = pd.CategoricalDtype()


@dataclass(frozen=True)
class Sample:
    """How many rows are drawn, and the seed by which the same are drawn again."""

    rows: int
    seed: int

    @classmethod
    def of(cls, rows: int, batch_id: str) -> Self:
        """Give the sample of a batch, always the same."""
        return cls(rows, zlib.crc32(batch_id.encode()))


class Types:
    """The types that the columns of a whole batch get, found a piece at a time.

    A missing value anywhere makes integers floats, and a text that is no number keeps a column text, whether or not
    they are in the sample.
    """

    def __init__(self, reference: pd.DataFrame | None, keep_lists: Collection[str]) -> None:
        self._reference = {} if reference is None else dict(reference.items())
        self._keep_lists = keep_lists
        self._plain: defaultdict[Any, set[Any]] = defaultdict(set)
        self._cast: defaultdict[Any, set[Any]] = defaultdict(set)
        self._uncastable: set[Any] = set()

    def look(self, piece: pa.Table) -> None:
        """Take the next piece of the batch into account."""
        for field in piece.schema:
            known = self._reference.get(field.name)
            if field.name in self._keep_lists or (is_text(field.type) and (known is None or kind_of(known) == "text")):
                continue  # its type depends on no value
            column = to_series(piece.column(field.name).combine_chunks())
            self._plain[field.name].add(column.dtype)
            if known is not None:
                done = cast_to(column, known)
                self._uncastable |= {field.name} if done is None else set()
                self._cast[field.name] |= set() if done is None else {done.dtype}

    def plain(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give a sample's frame the types of the whole batch before it is compared with the reference."""
        return pd.DataFrame({name: _widen(column, self._plain[name]) for name, column in frame.items()})

    def cast(self, name: str, current: "pd.Series[Any]", reference: "pd.Series[Any]") -> "pd.Series[Any] | None":
        """Cast a sample's column as ``cast_to`` would cast the whole batch's."""
        if name in self._uncastable and kind_of(current) != kind_of(reference):
            return None
        done = cast_to(current, reference)
        return None if done is None else _widen(done, self._cast[name])


def draw(paths: Sequence[str], sample: Sample, total: int, types: Types) -> tuple[pa.Table, Merging]:
    """Draw a sample of the parts' ``total`` rows uniformly, in their order; returns what is to be said of columns too.

    Raises Unreadable with all parts that can't be read.
    """
    chosen = np.sort(np.random.default_rng(sample.seed).choice(total, sample.rows, replace=False, shuffle=False))
    pieces, merging = read_pieces(paths)
    return pa.concat_tables(_taken(pieces, chosen, types)).unify_dictionaries(), merging


def _taken(pieces: Iterator[pa.Table], chosen: Any, types: Types) -> Iterator[pa.Table]:
    start = 0
    for piece in pieces:
        types.look(piece)
        low, high = np.searchsorted(chosen, (start, start + len(piece)))
        yield piece.take(pa.array(chosen[low:high] - start))
        start += len(piece)


def _widen(column: "pd.Series[Any]", types: set[Any]) -> "pd.Series[Any]":
    if column.dtype.kind == "i" and _FLOAT in types:
        return column.astype(_FLOAT)
    if column.dtype.kind == "b" and any(isinstance(kind, pd.CategoricalDtype) for kind in types):
        return column.astype(_CATEGORY)
    return column
