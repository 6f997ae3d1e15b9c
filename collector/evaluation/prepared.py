"""A batch made fit for Evidently: its parts and the reference as two frames, alike in the types of their columns."""

import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from collector.evaluation.cache import REFERENCES
from collector.evaluation.casts import cast_to, name_of
from collector.evaluation.pandas_columns import to_frame
from collector.evaluation.part_files import Unreadable, count_rows, read_parts, read_table
from collector.evaluation.sampling import Sample, Types, draw
from collector.evaluation.uncomputed import FAILED
from collector.formats.merging import Merging

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


def prepare(
    parts: Sequence[str],
    reference: str | None,
    *,
    cache: bool,
    config: Sequence[Any],
    sample: Sample | None = None,
) -> Frames:
    """Read a batch, or a sample of it if it has more rows than that, and give its columns the reference's types.

    A column of lists that ``config`` names, as a string anywhere in it, is kept as lists. Raises ValueError if there
    are no rows.
    """
    named = frozenset(name for part in config for name in _strings(part))
    rows = 0 if sample is None else count_rows(parts)
    if sample is not None and rows > sample.rows:
        known = None if reference is None else _read_reference(reference, cache=cache, named=named)
        types = Types(known, named)
        table, merging = draw(parts, sample, rows, types)
        current, said = to_frame(_without_failed(table, merging), keep_lists=named)
        batch = _Batch(types.plain(current), "the sample", types.cast, merging, merging.notes + said, rows, sample)
        return _keyed(_typed(batch, known), reference, cache=cache, named=named)
    table, merging = read_parts(parts)
    if table.num_rows == 0:
        raise ValueError("the batch has no rows")
    current, said = to_frame(_without_failed(table, merging), keep_lists=named)
    known = None if reference is None else _read_reference(reference, cache=cache, named=named)
    batch = _Batch(current, "the batch", _cast_whole, merging, merging.notes + said, len(current))
    return _keyed(_typed(batch, known), reference, cache=cache, named=named)


def _without_failed(table: pa.Table, merging: Merging) -> pa.Table:
    return table.drop_columns(list(merging.failed))


def _keyed(frames: Frames, reference: str | None, *, cache: bool, named: frozenset[str]) -> Frames:
    if reference is None or frames.reference is None or not cache:
        return frames
    return replace(frames, reference_key=_reference_key(reference, named))


@dataclass(frozen=True)
class _Batch:
    """A batch or a sample of one, what it is called, and how its columns are cast."""

    frame: Frame
    name: str
    cast: Callable[[str, "pd.Series[Any]", "pd.Series[Any]"], "pd.Series[Any] | None"]
    merging: Merging
    notes: list[str]
    rows: int
    sample: Sample | None = None


def _cast_whole(_: str, current: "pd.Series[Any]", reference: "pd.Series[Any]") -> "pd.Series[Any] | None":
    return cast_to(current, reference)


def _typed(batch: _Batch, reference: Frame | None) -> Frames:
    current, notes = batch.frame, batch.notes
    empty = [str(name) for name, column in current.items() if column.isna().all()]
    notes += [f"Column {name!r} has no value in {batch.name}." for name in empty]
    if reference is None:
        return Frames(_with_failed(current, batch.merging), None, notes, batch.rows, batch.sample)
    columns = {str(name): column for name, column in current.items()}
    for name in [name for name in columns if name in reference]:
        if name in empty:
            columns[name] = _empty_as(reference[name], len(current))
        else:
            done = batch.cast(name, current[name], reference[name])
            columns[name] = _cast(name, done, current[name], reference[name], notes)
    notes += [
        f"Column {name!r} is only in the batch: it can't be compared." for name in current if name not in reference
    ]
    gone = [name for name in reference if name not in columns and name not in batch.merging.failed]
    notes += [f"Column {name!r} of the reference is missing in the batch." for name in gone]
    frame = _with_failed(pd.DataFrame(columns), batch.merging)
    return Frames(frame, reference, notes, batch.rows, batch.sample)


def _with_failed(frame: Frame, merging: Merging) -> Frame:
    if merging.failed:
        frame.attrs[FAILED] = dict(merging.failed)
    return frame


def _empty_as(reference: "pd.Series[Any]", rows: int) -> "pd.Series[Any]":
    """Return a column without values that has the reference's type, or the nearest that can lack values."""
    kind = reference.dtype.kind
    nearest = {"i": "float64", "f": "float64", "b": "category"}
    if isinstance(reference.dtype, pd.CategoricalDtype):
        return pd.Series([None] * rows, dtype="category")
    return pd.Series([None] * rows, dtype=nearest[kind]) if kind in nearest else reference.iloc[:0].reindex(range(rows))


def _cast(
    name: str,
    done: "pd.Series[Any] | None",
    current: "pd.Series[Any]",
    reference: "pd.Series[Any]",
    notes: list[str],
) -> "pd.Series[Any]":
    if done is None:
        have, want = name_of(current), name_of(reference)
        notes.append(
            f"Column {name!r} is {have} here and {want} in the reference, and not all of it can be cast: left as it is."
        )
        return current
    if done.dtype != current.dtype:
        notes.append(f"Column {name!r} was cast from {name_of(current)} to {name_of(done)}, as in the reference.")
    return done


def _read_reference(path: str, *, cache: bool, named: frozenset[str]) -> Frame:
    """Read the reference, or take it from this process's memory while the file is the same."""
    if not cache:
        return _converted_reference(path, named)
    return REFERENCES.get(_reference_key(path, named), lambda: _converted_reference(path, named), lambda frame: frame)


def _reference_key(path: str, named: frozenset[str]) -> Hashable:
    try:
        status = os.stat(path)  # noqa: PTH116  # the path is a string of the job's
    except FileNotFoundError as error:
        raise Unreadable([path]) from error
    # By the time of the inode's change too: a copy may bring the time and the size of another file.
    return (path, status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size, named)


def _converted_reference(path: str, named: frozenset[str]) -> Frame:
    table = read_table(path)
    if table.num_rows == 0:
        raise ValueError(f"the reference {path} has no rows")
    return to_frame(table, keep_lists=named)[0]


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
