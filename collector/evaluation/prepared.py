"""A batch made fit for Evidently: its parts and the reference as two frames, alike in the types of their columns."""

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from collector.evaluation.cache import REFERENCES
from collector.evaluation.casts import Casts
from collector.evaluation.notes import of_sides
from collector.evaluation.pandas_columns import FAILED, to_frame
from collector.evaluation.part_files import count_rows, read_parts, read_table
from collector.evaluation.sampling import Sample, draw
from collector.formats.merging import Merging
from collector.formats.part_tables import Unreadable
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
    """

    current: Frame
    reference: Frame | None
    notes: list[str]
    rows: int
    sample: Sample | None = None
    reference_key: Hashable = None
    additional: Mapping[str, Frame] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """What the current frame is, in a sentence."""
        return "the batch" if self.sample is None else "the sample"


def prepare(  # noqa: PLR0913  (each is a choice of the collector's)
    parts: Sequence[str],
    reference: str | None,
    *,
    cache: bool,
    config: Sequence[Any],
    sample: Sample | None = None,
    cast: Cast = "untyped",
    private: Private | None = None,
) -> Frames:
    """Read a batch, or a sample of it if it has more rows than that, and give its columns the reference's types.

    A column of lists that ``config`` names, as a string anywhere in it, is kept as lists; one that came as JSON, if a
    descriptor does. Raises ValueError if there are no rows.
    """
    named = frozenset(name for part in config for name in _strings(part))
    keep_lists = frozenset(_strings(_descriptors(config)))
    rows = 0 if sample is None else count_rows(parts)
    if sample is not None and rows > sample.rows:
        known = None if reference is None else _read_reference(reference, private, cache=cache, named=named)
        casts = Casts(known, cast, keep_lists=keep_lists)
        table, merging = draw(parts, sample, rows, casts)
    else:
        table, merging = read_parts(parts)
        table = apply(table, private)  # rows that came before the config said so
        if table.num_rows == 0:
            raise ValueError("the batch has no rows")
        known = None if reference is None else _read_reference(reference, private, cache=cache, named=named)
        casts = Casts(known, cast, keep_lists=keep_lists)
        casts.look(table, is_whole=True)
        rows, sample = table.num_rows, None
    table, cast_notes = casts.cast(table.drop_columns([name for name in merging.failed if name in table.column_names]))
    current, said = to_frame(table, keep_lists=named)
    told = tuple(f"Column {name!r} came as " for name in casts.read)  # it isn't text any more, or never was said to be
    notes = [*(note for note in merging.notes if not note.startswith(told)), *said, *cast_notes]
    frames = Frames(_with_failed(current, merging), known, notes, rows, sample)
    frames.notes.extend(of_sides(current, known, frames.where, failed=list(merging.failed)))
    return _keyed(frames, reference, private, cache=cache, named=named)


def _descriptors(config: Sequence[Any]) -> Any:
    return config[0].get("descriptors") if config and isinstance(config[0], dict) else None


def _keyed(
    frames: Frames, reference: str | None, private: Private | None, *, cache: bool, named: frozenset[str]
) -> Frames:
    if reference is None or frames.reference is None or not cache:
        return frames
    return replace(frames, reference_key=_reference_key(reference, private, named))


def _with_failed(frame: Frame, merging: Merging) -> Frame:
    if merging.failed:
        frame.attrs[FAILED] = frame.attrs.get(FAILED, {}) | merging.failed
    return frame


def _read_reference(path: str, private: Private | None, *, cache: bool, named: frozenset[str]) -> Frame:
    """Read the reference, or take it from this process's memory while the file is the same."""
    if not cache:
        return _converted_reference(path, private, named)
    key = _reference_key(path, private, named)
    return REFERENCES.get(key, lambda: _converted_reference(path, private, named), lambda frame: frame)


def _reference_key(path: str, private: Private | None, named: frozenset[str]) -> Hashable:
    try:
        status = os.stat(path)  # noqa: PTH116  # the path is a string of the job's
    except FileNotFoundError as error:
        raise Unreadable([path]) from error
    # By the time of the inode's change too: a copy may bring the time and the size of another file.
    return (path, status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size, named, repr(private))


def _converted_reference(path: str, private: Private | None, named: frozenset[str]) -> Frame:
    table = apply(read_table(path), private)
    if table.num_rows == 0:
        raise ValueError(f"the reference {path} has no rows")
    casts = Casts(None)  # one that was sent as CSV has the types that all of its values spell
    casts.look(table, is_whole=True)
    return to_frame(casts.cast(table)[0], keep_lists=named)[0]


def _strings(config: Any) -> Iterator[str]:
    if isinstance(config, str):
        yield config
    elif isinstance(config, list):
        for item in config:
            yield from _strings(item)
    elif isinstance(config, dict):
        for key, item in config.items():
            if str(key).startswith("per_column") and isinstance(item, dict):
                yield from item  # {"per_column_method": {"age": "psi"}}
            if key not in _NOT_COLUMNS:
                yield from _strings(item)
