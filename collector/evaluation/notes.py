"""Notes on a batch: a sentence for the operator's log on whatever was not computed, or is not as in the reference."""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import pandas as pd

from collector.evaluation.uncomputed import Uncomputed, told_of
from collector.evaluation.wanted import Wanted
from collector.formats.examples import Examples

_LOOKED_AT = 100


def of_failures(
    failures: Sequence[Uncomputed], current: pd.DataFrame, reference: pd.DataFrame | None, where: str
) -> list[str]:
    """Return a sentence on each failure, and what its column holds on both sides."""
    held = lru_cache(None)(partial(_held, current, reference, where))
    return told_of(f"{one}{held(one.column)}" for one in failures)


def of_sides(
    current: pd.DataFrame, reference: pd.DataFrame | None, where: str, *, failed: Sequence[str]
) -> Iterator[str]:
    """Say which columns have no value, or are on one side only; ``failed`` are those that pandas couldn't take."""
    known = {} if reference is None else dict(reference.items())
    for name, column in current.items():
        if column.isna().all():
            yield f"Column {name!r} has no value in {where}{_there(known[name]) if name in known else ''}."
    if reference is None:
        return
    for name, column in current.items():
        if name not in known:
            holds = f"it is {_kind(column)} there{_few(column)}"
            yield f"Column {name!r} is only in the batch: it can't be compared; {holds}."
    for name, column in known.items():
        if name not in current and name not in failed:
            yield f"Column {name!r} of the reference is missing in the batch{_there(column)}."


def _held(current: pd.DataFrame, reference: pd.DataFrame | None, where: str, name: str | None) -> str:
    """Say what a column holds on each side; "" for a column that neither side has, or that has no values."""
    said = []
    if reference is not None and name in reference:
        said.append(f"{_kind(reference[name])} in the reference")
    if name in current and current[name].notna().any():
        said.append(f"{_kind(current[name])} in {where}{_few(current[name])}")
    return f". {name!r} is {' and '.join(said)}." if said else ""


def _there(column: "pd.Series[Any]") -> str:
    return f"; in the reference it is {_kind(column)}"


def _kind(column: "pd.Series[Any]") -> str:
    wanted = Wanted.of(column)
    return "without a value" if wanted is None else wanted.name


def _few(column: "pd.Series[Any]") -> str:
    values = column.dropna()
    if values.empty:
        return ""
    examples = Examples(len(values))
    examples.add_shown(values.iloc[:_LOOKED_AT].tolist())
    return f" ({examples})"
