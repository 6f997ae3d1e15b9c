"""Which rows of a batch each report is of: those that meet ``where``, and of these the ones of each segment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from collector.evaluation.casts import Casts
from collector.evaluation.matching import columns_of_frame, columns_of_table, rows_matching
from collector.evaluation.part_files import read_pieces
from collector.evaluation.sampling import Sample, chosen_of
from collector.evaluation.segments import Codes, Division, Undivided, codes_in, division_of, snapshot_id
from collector.formats.private import Private
from collector.wording import OTHER_SEGMENT, listed
from collector.workers.exchange import Json

Places = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Wish:
    """What a collector's config says of the rows of a batch, and how many a reference has at least (0: no matter)."""

    batch_id: str
    where: Json
    segments: Json | None
    least_reference_rows: int = 0

    @property
    def columns(self) -> list[str]:
        """Name the columns that it asks for."""
        return [*self.where, *([] if self.segments is None else [self.segments["column"]])]


@dataclass(frozen=True)
class Picked:
    """The rows of one report: their places, the number of rows that they stand for, and their sample, if any."""

    places: Places
    rows: int
    sample: Sample | None


@dataclass(frozen=True)
class Picks:
    """The rows of all reports: of the whole, and of segments by their names; ``places`` has each row once.

    ``skipped`` are the segments that are too small for a report, with their rows.
    """

    places: Places
    whole: Picked
    segments: dict[str, Picked]
    skipped: dict[str, int]


class ReferenceRows:
    """How the rows of a reference are divided; without one, as of nothing."""

    def __init__(self, wish: Wish, reference: pd.DataFrame | None) -> None:
        self.division: Division | None = None
        self.undivided = ""
        self._codes: Codes | None = None
        if wish.segments is not None:
            columns = None if reference is None else columns_of_frame(reference)
            try:
                self.division = division_of(wish.segments, columns)
                if columns is not None:
                    self._codes = codes_in(self.division, columns, wish.segments["column"], "the reference")
            except Undivided as error:
                self.division, self.undivided = None, str(error)

    @property
    def names(self) -> list[str]:
        """Name all segments, in the order of their codes."""
        return [] if self.division is None else [*self.division.names, OTHER_SEGMENT]

    def places(self, name: str) -> Places | None:
        """Return where the rows of a segment are; None if there is no reference."""
        return None if self._codes is None else np.flatnonzero(self._codes == self.names.index(name))

    def count(self, name: str) -> int | None:
        """Return how many rows a segment has; None if there is no reference."""
        places = self.places(name)
        return None if places is None else len(places)


def matching_reference(wish: Wish, reference: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a reference that meet ``where``; raise ValueError if none does."""
    if not wish.where:
        return reference
    places = matching_places(wish, reference)
    if not len(places):
        raise ValueError("no row of the reference meets `where`")
    return taken(reference, places)


def matching_places(wish: Wish, reference: pd.DataFrame) -> Places:
    """Return where the rows of a reference are that meet ``where``."""
    return np.flatnonzero(rows_matching(wish.where, columns_of_frame(reference), len(reference)))


def taken(frame: pd.DataFrame, places: Places) -> pd.DataFrame:
    """Return some rows of a frame as a frame of their own: without categories that no row has."""
    if len(places) == len(frame):
        return frame
    made = frame.take(places).reset_index(drop=True)
    for name, kind in made.dtypes.items():
        if isinstance(kind, pd.CategoricalDtype):
            made[name] = made[name].cat.remove_unused_categories()
    return made


class Selecting:
    """Finds the rows of a batch that are wished for: looks at all of it, in pieces if need be, once they are cast."""

    def __init__(self, wish: Wish, reference: ReferenceRows) -> None:
        self.wish = wish
        self.reference = reference
        self._division = reference.division
        self._undivided = reference.undivided
        self._places: list[Places] = []
        self._codes: list[Codes] = []
        self._rows = 0
        self._missing: list[str] = []

    def look(self, table: pa.Table) -> None:
        """Take rows into account; raise Incomparable for what can't be held against ``where``."""
        columns = columns_of_table(table)
        self._missing = [name for name in self.wish.where if name not in table.column_names]
        places = np.flatnonzero(rows_matching(self.wish.where, columns, len(table)))
        self._places.append(places + self._rows)
        self._rows += len(table)
        if self._division is not None and self.wish.segments is not None:
            try:
                codes = codes_in(self._division, columns, self.wish.segments["column"], "the batch")
            except Undivided as error:
                self._division, self._undivided = None, str(error)
            else:
                self._codes.append(codes[places])

    def look_at_parts(self, paths: Sequence[str], casts: Casts, private: Private | None = None) -> None:
        """Take the rows of parts into account, a piece at a time; ``casts`` looks at all of them first."""
        pieces, _ = read_pieces(paths, private)
        for piece in pieces:
            casts.look(piece)
        pieces, _ = read_pieces(paths, private)
        for piece in pieces:
            columns = [name for name in self.wish.columns if name in piece.column_names]
            self.look(casts.cast(piece.select(columns))[0])

    def picks(self, most: int | None) -> Picks:
        """Return the rows of each report, at most ``most`` of them; a segment that is too small has none."""
        matching = np.concatenate(self._places)
        whole = _picked(matching, most, self.wish.batch_id)
        segments, skipped = {}, {}
        for name, places in self._by_segment(matching):
            known = self.reference.count(name)
            if min(len(places), len(places) if known is None else known) < self._least:
                skipped[name] = len(places)
            else:
                segments[name] = _picked(places, most, snapshot_id(self.wish.batch_id, name))
        places = np.unique(np.concatenate([whole.places, *(one.places for one in segments.values())]))
        return Picks(
            places, _among(places, whole), {name: _among(places, one) for name, one in segments.items()}, skipped
        )

    def notes(self, picks: Picks) -> list[str]:
        """Say which parts of the wish could not be met."""
        said = [f"Column {name!r} of `where` is not in the batch: no row meets it." for name in self._missing]
        if self._undivided and self.wish.segments is not None:
            said.append(f"No report of segments by {self.wish.segments['column']!r}: {self._undivided}.")
        for side, is_there in (("batch", self._is_less_there), ("reference", self._is_less_in_reference)):
            names = [name for name, rows in picks.skipped.items() if is_there(name, rows)]
            if names:
                said.append(f"No report of segments with fewer than {self._least} rows in the {side}: {listed(names)}.")
        return said

    @property
    def _least(self) -> int:
        return 0 if self.wish.segments is None else int(self.wish.segments["min_rows"])

    def _is_less_there(self, name: str, rows: int) -> bool:
        return rows < self._least and bool(rows or self.reference.count(name))

    def _is_less_in_reference(self, _: str, rows: int) -> bool:
        return rows >= self._least

    def _by_segment(self, matching: Places) -> Iterator[tuple[str, Places]]:
        if self._division is not None:
            codes = np.concatenate(self._codes)
            yield from ((name, matching[codes == code]) for code, name in enumerate(self.reference.names))


def _picked(places: Places, most: int | None, seed: str) -> Picked:
    if most is None or len(places) <= most:
        return Picked(places, len(places), None)
    sample = Sample.of(most, seed)
    return Picked(places[chosen_of(sample, len(places))], len(places), sample)


def _among(places: Places, picked: Picked) -> Picked:
    return Picked(np.searchsorted(places, picked.places), picked.rows, picked.sample)
