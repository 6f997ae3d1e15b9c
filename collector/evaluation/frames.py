"""A batch made fit for Evidently: its parts and the reference as two frames with the same columns and types."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from collector.evaluation.casts import cast_to, name_of
from collector.evaluation.plain import to_frame
from collector.evaluation.tables import Unreadable, read_parts, read_table

Frame = pd.DataFrame
_NOT_COLUMNS = ("metadata", "tags", "type")
_CACHED_REFERENCES = 8
_references: OrderedDict[tuple[str, int, int, frozenset[str]], Frame] = OrderedDict()


@dataclass(frozen=True)
class Frames:
    """What a report runs on; ``notes`` has a sentence for whatever was cast, dropped, or could not be cast."""

    current: Frame
    reference: Frame | None
    notes: list[str]


def prepare(parts: Sequence[str], reference: str | None, *, cache: bool, config: Sequence[Any]) -> Frames:
    """Read a batch and its reference, and make them agree.

    A column that ``config`` names, as a string anywhere in it, is kept whatever is wrong with it: leaving it out would
    change what was asked for. Raises ValueError if there is nothing to evaluate.
    """
    named = frozenset(name for part in config for name in _strings(part))
    table, notes = read_parts(parts)
    if table.num_rows == 0:
        raise ValueError("the batch has no rows")
    current, said = to_frame(table, keep_lists=named)
    notes += said
    if reference is None:
        return Frames(_without(current, _empty(current, "the batch"), named, notes), None, notes)
    known = _read_reference(reference, cache=cache, named=named)
    return _agree(current, known, named, notes)


def _agree(current: Frame, reference: Frame, named: frozenset[str], notes: list[str]) -> Frames:
    doomed = dict.fromkeys(current.columns.difference(reference.columns, sort=False), "is only in the batch")
    doomed |= dict.fromkeys(reference.columns.difference(current.columns, sort=False), "is only in the reference")
    doomed |= _empty(current, "the batch") | _empty(reference, "the reference")
    current, reference = _without(current, doomed, named, notes), _without(reference, doomed, named, [])
    shared = [name for name in current.columns if name in reference.columns]
    cast = {name: _cast(name, current[name], reference[name], notes) for name in shared}
    return Frames(pd.DataFrame(dict(current.items()) | cast), reference, notes)


def _cast(name: str, current: "pd.Series[Any]", reference: "pd.Series[Any]", notes: list[str]) -> "pd.Series[Any]":
    done = cast_to(current, reference)
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
    try:
        status = os.stat(path)  # noqa: PTH116  # the path is a string of the job's
    except FileNotFoundError as error:
        raise Unreadable([path]) from error
    key = (path, status.st_mtime_ns, status.st_size, named)
    if key not in _references:
        _references[key] = _converted_reference(path, named)
    _references.move_to_end(key)
    while len(_references) > _CACHED_REFERENCES:
        _references.popitem(last=False)
    return _references[key]


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
