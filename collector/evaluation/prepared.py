"""A batch made fit for Evidently: its parts and the reference as two frames with the same columns and types."""

import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from collector.evaluation.cache import REFERENCES
from collector.evaluation.casts import cast_to, name_of
from collector.evaluation.pandas_columns import to_frame
from collector.evaluation.part_files import Unreadable, count_rows, read_parts, read_table
from collector.evaluation.sampling import Sample, Types, draw
from collector.formats.merging import Merging

Frame = pd.DataFrame
_NOT_COLUMNS = ("metadata", "tags", "type")


@dataclass(frozen=True)
class Frames:
    """What a report runs on; ``notes`` has a sentence for whatever was cast, dropped, or could not be cast.

    ``reference_key`` names what the reference's frame was made of, if it may be kept.
    """

    current: Frame
    reference: Frame | None
    notes: list[str]
    rows: int
    sample: Sample | None = None
    reference_key: Hashable = None


def prepare(
    parts: Sequence[str],
    reference: str | None,
    *,
    cache: bool,
    config: Sequence[Any],
    sample: Sample | None = None,
) -> Frames:
    """Read a batch, or a sample of it if it has more rows than that, and its reference, and make them agree.

    A column that ``config`` names, as a string anywhere in it, is kept whatever is wrong with it: leaving it out would
    change what was asked for. Raises ValueError if there is nothing to evaluate.
    """
    named = frozenset(name for part in config for name in _strings(part))
    rows = 0 if sample is None else count_rows(parts)
    if sample is not None and rows > sample.rows:
        known = None if reference is None else _read_reference(reference, cache=cache, named=named)
        types = Types(known, named)
        table, merging = draw(parts, sample, rows, types)
        current, said = to_frame(_without_failed(table, merging), keep_lists=named)
        batch = _Batch(types.plain(current), "the sample", types.cast, merging.notes + said, rows, sample)
        return _keyed(_agree(batch, known, named), reference, cache=cache, named=named)
    table, merging = read_parts(parts)
    if table.num_rows == 0:
        raise ValueError("the batch has no rows")
    current, said = to_frame(_without_failed(table, merging), keep_lists=named)
    known = None if reference is None else _read_reference(reference, cache=cache, named=named)
    agreed = _agree(_Batch(current, "the batch", _cast_whole, merging.notes + said, len(current)), known, named)
    return _keyed(agreed, reference, cache=cache, named=named)


def _without_failed(table: pa.Table, merging: Merging) -> pa.Table:
    return table.drop_columns(list(merging.failed))


def _keyed(frames: Frames, reference: str | None, *, cache: bool, named: frozenset[str]) -> Frames:
    if reference is None or frames.reference is None or not cache:
        return frames
    return replace(frames, reference_key=(_reference_key(reference, named), tuple(frames.reference)))


@dataclass(frozen=True)
class _Batch:
    """A batch or a sample of one, what it is called, and how its columns are cast."""

    frame: Frame
    name: str
    cast: Callable[[str, "pd.Series[Any]", "pd.Series[Any]"], "pd.Series[Any] | None"]
    notes: list[str]
    rows: int
    sample: Sample | None = None


def _cast_whole(_: str, current: "pd.Series[Any]", reference: "pd.Series[Any]") -> "pd.Series[Any] | None":
    return cast_to(current, reference)


def _agree(batch: _Batch, reference: Frame | None, named: frozenset[str]) -> Frames:
    current, notes = batch.frame, batch.notes
    if reference is None:
        current = _without(current, _empty(current, batch.name), named, notes)
        return Frames(current, None, notes, batch.rows, batch.sample)
    doomed = dict.fromkeys(current.columns.difference(reference.columns, sort=False), "is only in the batch")
    doomed |= dict.fromkeys(reference.columns.difference(current.columns, sort=False), "is only in the reference")
    doomed |= _empty(current, batch.name) | _empty(reference, "the reference")
    current, reference = _without(current, doomed, named, notes), _without(reference, doomed, named, [])
    shared = [name for name in current.columns if name in reference.columns]
    cast = {
        name: _cast(name, batch.cast(name, current[name], reference[name]), current[name], reference[name], notes)
        for name in shared
    }
    return Frames(pd.DataFrame(dict(current.items()) | cast), reference, notes, batch.rows, batch.sample)


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


def _empty(frame: Frame, where: str) -> dict[str, str]:
    return {str(name): f"has no value in {where}" for name in frame.columns[frame.isna().all()]}


def _without(frame: Frame, doomed: dict[str, str], named: frozenset[str], notes: list[str]) -> Frame:
    dropped = [name for name in doomed if name not in named]
    notes += [f"Column {name!r} {doomed[name]}: left out." for name in dropped]
    kept = frame.drop(columns=dropped, errors="ignore")
    if kept.columns.empty:
        raise ValueError("no column is left to evaluate: " + "; ".join(f"{name!r} {doomed[name]}" for name in dropped))
    return kept


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
