"""What of a report could not be computed, and why: a sentence for people that names the metric and the column."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from evidently.core.report import ReferenceMetricNotFound

from collector.evaluation.pandas_columns import FAILED

MAX_TOLD = 50  # failures that are told; a report may have thousands of columns
MAX_REASON = 300  # pandas quotes whole columns in its errors
# What a metric raises. MemoryError isn't a metric's own: it passes, and the batch is tried again.
RAISED = (Exception, ReferenceMetricNotFound)
PASSING = (KeyboardInterrupt, SystemExit, MemoryError)


Sides = Mapping[str, pd.DataFrame | None]


class NotComputedError(Exception):
    """A metric, or all of a report, has no value; the message says why."""


@dataclass(frozen=True)
class Uncomputed:
    """One metric, test, preset or descriptor that has no value, or, if ``is_partial``, one that lacks the column."""

    what: str
    column: str | None
    reason: str
    is_partial: bool = False

    @property
    def title(self) -> str:
        """Return the name of the metric or test, with its column."""
        return self.what if self.column is None else f"{self.what} of {self.column!r}"

    @property
    def became(self) -> str:
        """Say what became of it."""
        return f"was computed without {self.column!r}" if self.is_partial else "could not be computed"

    def __str__(self) -> str:
        return f"{self.what if self.is_partial else self.title} {self.became}: {self.reason}"


def nothing_computed(failures: Sequence[Uncomputed]) -> NotComputedError:
    """Make the error of a report of which nothing has a value."""
    return NotComputedError("nothing of the report can be computed: " + "; ".join(map(str, failures[:3])))


def told_without(columns: Iterable[str], description: str) -> str:
    """Say what a test found without some of the columns."""
    return f"Without {', '.join(map(repr, columns))}, which can't be computed: {description}"


def told_of(sentences: Iterable[str]) -> list[str]:
    """Return each sentence on a failure once, and at last how many more there are."""
    told = list(dict.fromkeys(sentences))
    more = len(told) - MAX_TOLD
    return told if more <= 0 else [*told[:MAX_TOLD], f"{more} more could not be computed."]


def sides_of(current: pd.DataFrame, reference: pd.DataFrame | None) -> Sides:
    """Return the two frames by the names that they have in messages."""
    return {"batch": current, "reference": reference}


def reason_of(error: BaseException, columns: Sequence[str], sides: Sides) -> str:
    """Say in one short sentence why ``error`` was raised, by what the frames lack of the columns in question."""
    if isinstance(error, NotComputedError):
        return cut(str(error))
    if isinstance(error, ReferenceMetricNotFound) and sides.get("reference") is None:
        return "it is compared with a reference, and there is none"
    raised = f"{type(error).__name__}: {_said(error)}"
    frames = {side: frame for side, frame in sides.items() if frame is not None}
    if isinstance(error, ZeroDivisionError) and len(frames) > 1 and not set.intersection(*map(set, frames.values())):
        return f"the {' and the '.join(frames)} have no column in common"
    key = error.args[0] if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str) else None
    known = key is not None and any(key in frame for frame in frames.values())
    asked = [*columns, key] if known and key is not None else columns
    for side, frame in frames.items():
        if missing := [name for name in asked if name not in frame]:
            failed = frame.attrs.get(FAILED, {}).get(missing[0])
            return cut(f"the {side} has no column {missing[0]!r}" + (f": {failed}" if failed else ""))
    for side, frame in frames.items():
        if empty := [name for name in columns if not has_finite(frame[name])]:
            return cut(f"column {empty[0]!r} has no finite value in the {side} ({raised})")
    why = f"{key!r} is not among the labels that occur" if known else _of_labels(error, columns, frames)
    return cut(f"{why} ({raised})" if why else raised)


def _of_labels(error: BaseException, columns: Sequence[str], frames: Mapping[str, pd.DataFrame]) -> str:
    """Say which label only one side has, or that labels are missing, if that is why Evidently raised."""
    for name in columns:
        labels = {side: set(map(str, frame[name].dropna().unique())) for side, frame in frames.items()}
        if isinstance(error, KeyError) and any(_key(error) in known for known in labels.values()):
            lacking = next((side for side, known in labels.items() if _key(error) not in known), None)
            return f"no {name!r} of the {lacking} is {_key(error)!r}" if lacking else ""
        for side, frame in frames.items():
            if "not supported as Label" in str(error) and (count := int(frame[name].isna().sum())):
                return f"{count} of {len(frame)} values of {name!r} are missing in the {side}"
    return ""


def _key(error: KeyError) -> str:
    return str(error.args[0]) if error.args else ""


def has_finite(column: "pd.Series[Any]") -> bool:
    """Tell whether a column has a value to compare: one that is neither missing nor infinite."""
    if column.dtype.kind == "f":
        return bool(np.isfinite(column.to_numpy()).any())
    return bool(column.notna().any())


def comparable(frame: pd.DataFrame) -> set[str]:
    """Name the columns that have a value to compare."""
    return {name for name in frame.columns if has_finite(frame[name])}


def cut(reason: str) -> str:
    """Return a reason on one line, and not too long."""
    line = re.sub(r"\s+", " ", reason[:2_000]).strip()
    return line if len(line) <= MAX_REASON else line[: MAX_REASON - 2] + " …"


def _said(error: BaseException) -> str:
    return str(error)[:2_000].strip().rstrip(".") or "no message"
