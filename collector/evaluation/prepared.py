"""A batch made fit for Evidently: its parts and the reference as two frames, alike in the types of their columns."""

import json
import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pandas as pd

from collector.evaluation.cache import REFERENCES, size_of_frame
from collector.evaluation.casts import Casts
from collector.evaluation.fitting import named_by_keys
from collector.evaluation.notes import of_sides
from collector.evaluation.pandas_columns import FAILED, to_frame
from collector.evaluation.part_files import count_rows, read_table
from collector.evaluation.sampling import Sample, draw, take_rows
from collector.evaluation.selecting import (
    Picked,
    Picks,
    ReferenceRows,
    Selecting,
    Wish,
    matching_places,
    matching_reference,
    taken,
)
from collector.formats.merging import Merging
from collector.formats.part_tables import Unreadable, read_parts
from collector.formats.private import Private, apply
from collector.workers.exchange import Cast

Frame = pd.DataFrame
_NOT_COLUMNS = ("metadata", "tags", "type")


@dataclass(frozen=True)
class Frames:
    """What a report runs on: every column, also one that is empty or on one side only.

    ``notes`` has a sentence for whatever was cast or could not be cast, and for columns that don't fit the other side.

    ``additional`` are further frames, by the names that metrics ask for them.
    ``reference_key`` names what the reference's frame was made of, if it may be kept.
    ``rows`` are the batch's, of which the report is of ``matched_rows``; None: of all. ``segments`` get a report each.
    """

    current: Frame
    reference: Frame | None
    notes: list[str]
    rows: int
    sample: Sample | None = None
    reference_key: Hashable = None
    additional: Mapping[str, Frame] = field(default_factory=dict)
    matched_rows: int | None = None
    segment: str = ""
    segments: Sequence["Segment"] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """What the current frame is, in a sentence."""
        of_all = "the batch" if not self.segment else f"the segment {self.segment!r}"
        return of_all if self.sample is None else "the sample"


class NoRows(Exception):
    """No row of a batch meets ``where``; ``rows`` are how many it has."""

    def __init__(self, rows: int, notes: list[str]) -> None:
        super().__init__("no row of the batch meets `where`")
        self.rows = rows
        self.notes = notes


@dataclass(frozen=True)
class Segment:
    """A segment of a batch, whose frames are made when they are wanted: one at a time is in memory."""

    name: str
    rows: int
    make: Callable[[], Frames]


def prepare(  # noqa: PLR0913  (each is a choice of the collector's)
    parts: Sequence[str],
    reference: str | None,
    *,
    cache: bool,
    config: Sequence[Any],
    sample: Sample | None = None,
    cast: Cast = "untyped",
    private: Private | None = None,
    wish: Wish | None = None,
) -> Frames:
    """Read a batch, or a sample of it if it has more rows than that, and give its columns the reference's types.

    A column of lists that ``config`` names, as a string anywhere in it, is kept as lists; one that came as JSON, if a
    descriptor does. Raises ValueError if there are no rows, NoRows if none meets ``where``.
    """
    named = frozenset(name for part in config for name in _strings(part))
    keep_lists = frozenset(_strings(_descriptors(config)))
    rows = 0 if sample is None else count_rows(parts)
    drawn = sample if sample is not None and rows > sample.rows else None
    if drawn is None:
        table, merging = read_parts(parts)
        table = apply(table, private)  # rows may have come before the config named private columns
        if table.num_rows == 0:
            raise ValueError("the batch has no rows")
        rows = table.num_rows
    known = None if reference is None else _known_reference(reference, private, cache=cache, named=named)
    casts = Casts(known, cast, keep_lists=keep_lists)
    key = None if reference is None or not cache else _reference_key(reference, private, named)
    compared = _Compared(known, key) if wish is None else _matching(known, key, wish)
    selecting = None if wish is None else Selecting(wish, ReferenceRows(wish, compared.frame))
    if drawn is None:
        casts.look(table, is_whole=True)
    elif selecting is None:
        table, merging = draw(parts, drawn, rows, casts, private)
    else:
        selecting.look_at_parts(parts, casts, private)
        picks = selecting.picks(drawn.rows)
        table, merging = take_rows(parts, picks.places, private)
    table, cast_notes = casts.cast(table.drop_columns([name for name in merging.failed if name in table.column_names]))
    if drawn is None and selecting is not None:
        selecting.look(table)
        picks = selecting.picks(None)
        table = table.take(picks.places)
    if selecting is not None and not picks.whole.rows:
        raise NoRows(rows, selecting.notes(picks))
    only = [table]
    del table
    current, said = to_frame(only.pop(), keep_lists=named)
    # such a note is out of date: the column was read as another kind, or was CSV to begin with
    told = tuple(f"Column {name!r} came as " for name in casts.read)
    notes = [*(note for note in merging.notes if not note.startswith(told)), *said, *cast_notes]
    made = _Made(_with_failed(current, merging), compared, rows, list(merging.failed))
    return made.frames(notes, drawn) if selecting is None else _divided(made, selecting, picks, notes)


@dataclass(frozen=True)
class _Compared:
    """The part of a reference that a batch is compared with; ``key`` says what it was made of, None: don't keep it."""

    frame: Frame | None
    key: Hashable


@dataclass(frozen=True)
class _Made:
    """The rows that reports are about, and what they are compared with; ``failed`` names the columns that they lack."""

    current: Frame
    compared: _Compared
    rows: int
    failed: Sequence[str]

    def frames(self, notes: list[str], sample: Sample | None, **others: Any) -> Frames:
        """Return what a report runs on, with notes on its columns."""
        made = Frames(self.current, self.compared.frame, notes, self.rows, sample, self.compared.key, **others)
        made.notes.extend(of_sides(self.current, self.compared.frame, made.where, failed=self.failed))
        return made

    def part(self, picked: Picked, compared: _Compared) -> "_Made":
        """Return the same with some of the rows only."""
        return replace(self, current=taken(self.current, picked.places), compared=compared)


def _matching(known: Frame | None, key: Hashable, wish: Wish) -> _Compared:
    if known is None or not wish.where:
        return _Compared(known, key)
    if wish.least_reference_rows and len(matching_places(wish, known)) < wish.least_reference_rows:
        return _Compared(None, None)
    return _kept(None if key is None else (key, json.dumps(wish.where)), lambda: matching_reference(wish, known))


def _kept(key: Hashable, make: Callable[[], Frame]) -> _Compared:
    """Make a frame of a reference's rows, or take it from this process's memory."""
    return _Compared(make() if key is None else REFERENCES.get(key, make, size_of_frame), key)


def _divided(made: _Made, selecting: Selecting, picks: Picks, notes: list[str]) -> Frames:
    """Return what the report of the whole runs on, and its segments."""
    notes += selecting.notes(picks)
    segments = [
        Segment(name, picked.rows, partial(_of_segment, made, selecting, name, picked))
        for name, picked in picks.segments.items()
    ]
    whole = made.part(picks.whole, made.compared)
    told = {"matched_rows": picks.whole.rows, "segments": segments, "skipped": picks.skipped}
    return whole.frames(notes, picks.whole.sample, **told)


def _of_segment(made: _Made, selecting: Selecting, name: str, picked: Picked) -> Frames:
    compared, places = made.compared, selecting.reference.places(name)
    if compared.frame is not None and places is not None:
        frame = compared.frame
        key = None if compared.key is None else (compared.key, json.dumps(selecting.wish.segments), name)
        compared = _kept(key, lambda: taken(frame, places))
    return made.part(picked, compared).frames([], picked.sample, matched_rows=picked.rows, segment=name)


def _descriptors(config: Sequence[Any]) -> Any:
    return config[0].get("descriptors") if config and isinstance(config[0], dict) else None


def _with_failed(frame: Frame, merging: Merging) -> Frame:
    if merging.failed:
        frame.attrs[FAILED] = frame.attrs.get(FAILED, {}) | merging.failed
    return frame


def _known_reference(path: str, private: Private | None, *, cache: bool, named: frozenset[str]) -> Frame:
    """Read the reference; take it from this process's memory if the file is still the same."""
    if not cache:
        return read_reference(path, private, named)
    key = _reference_key(path, private, named)
    return REFERENCES.get(key, lambda: read_reference(path, private, named), size_of_frame)


def _reference_key(path: str, private: Private | None, named: frozenset[str]) -> Hashable:
    try:
        status = os.stat(path)  # noqa: PTH116  # the path is a string of the job's
    except FileNotFoundError as error:
        raise Unreadable([path]) from error
    # With the time of the inode's change: a copied file may have the time and the size of another.
    return (path, status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size, named, repr(private))


def read_reference(path: str, private: Private | None, named: frozenset[str] = frozenset()) -> Frame:
    """Read a reference as a report has it that names these columns."""
    table = apply(read_table(path), private)
    if table.num_rows == 0:
        raise ValueError(f"the reference {path} has no rows")
    casts = Casts(None)  # the columns of a reference sent as CSV get the types that all their values spell
    casts.look(table, is_whole=True)
    only = [casts.cast(table)[0]]
    del table
    return to_frame(only.pop(), keep_lists=named)[0]


def _strings(config: Any) -> Iterator[str]:
    if isinstance(config, str):
        yield config
    elif isinstance(config, list):
        for item in config:
            yield from _strings(item)
    elif isinstance(config, dict):
        for key, item in config.items():
            yield from named_by_keys(key, item)
            if key not in _NOT_COLUMNS:
                yield from _strings(item)
