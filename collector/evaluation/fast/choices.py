"""Choosing by little what Evidently chooses by all values: the kind of a column, and the test of its drift."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from evidently.legacy.core import ColumnType

from collector.evaluation.fast.columns import whole_of
from collector.evaluation.fast.known import Shortcut

_DRIFT = "evidently.legacy.calculations.data_drift:"
FUNCTIONS_OF_DRIFT = (f"{_DRIFT}get_drift_for_columns", f"{_DRIFT}get_one_column_drift")
DIGESTS_OF_DRIFT = frozenset({"ad66588cecefaedf", "527a8385ce9401ee"})
_KIND = "recognize_column_type_"
_TEST = "evidently.legacy.calculations.stattests.registry:_get_default_stattest"
_FEW = 5  # values: with more, Evidently doesn't choose the tests for few values
_HEAD = 50  # rows: a column mostly shows its few values, or that it has more, in the first rows
_ENOUGH = 1001  # rows: with more than 1 000 in the reference, Evidently chooses other tests


def _kind(original: Callable[..., Any]) -> Callable[..., Any]:
    """Don't count the values of a column that is neither target nor prediction: its kind doesn't depend on them."""

    def recognize(*, dataset: Any, column_name: str, columns: Any) -> Any:
        special = columns.utility_columns
        if column_name not in (special.target, special.prediction):
            dataset = dataset.without_rows if isinstance(dataset, _Both) else dataset.iloc[:0]
        return original(dataset=dataset, column_name=column_name, columns=columns)

    return recognize


class _Pandas:
    """Stands for pandas in a module that joins two frames and then asks for single columns of both."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def concat(self, parts: Any) -> Any:
        parts = [whole_of(one) for one in parts]
        are_frames = all(isinstance(one, pd.DataFrame) for one in parts)
        return _Both(parts) if are_frames else self._original.concat(parts)


class _Both:
    """Two frames that are joined only when needed, and by one column: a copy of all is as large as both."""

    def __init__(self, frames: list[pd.DataFrame]) -> None:
        self._frames = frames

    def __getitem__(self, name: Any) -> Any:
        return pd.concat([frame.loc[:, frame.columns == name] for frame in self._frames])[name]

    @cached_property
    def without_rows(self) -> pd.DataFrame:
        return pd.concat([frame.iloc[:0] for frame in self._frames])


def _test(original: Callable[..., Any]) -> Callable[..., Any]:
    """Look at the first rows only, if they have more than a few values or the number of values doesn't matter."""
    chosen: dict[Any, Any] = {}

    def choose(reference: Any, current: Any, kind: Any) -> Any:
        heads = (reference.iloc[:_ENOUGH], current.iloc[:_ENOUGH])
        is_sure = object not in (reference.dtype, current.dtype)  # otherwise there may be values that can't be counted
        if is_sure and _has_many(reference):
            key = (kind, len(reference) >= _ENOUGH)
            if key not in chosen:
                chosen[key] = original(*heads, kind)
            return chosen[key]
        if len(reference) >= _ENOUGH and (kind != ColumnType.Numerical or pd.concat(heads).nunique() > _FEW):
            return original(*heads, kind)
        return original(reference, current, kind)

    return choose


def _has_many(column: Any) -> bool:
    """Tell whether the first rows have more than a few values."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fi":
        head = column.to_numpy()[:_HEAD]
        return len(np.unique(head[np.isfinite(head)])) > _FEW
    return bool(column.iloc[:_HEAD].nunique() > _FEW)


SHORTCUTS = (
    Shortcut(
        name="kinds of columns",
        places=(f"{_DRIFT}{_KIND}",),
        read=(f"evidently.legacy.utils.data_operations:{_KIND}",),
        digests=frozenset({"65f24208a8f80961"}),
        make=_kind,
    ),
    Shortcut(
        name="both sides",
        places=(f"{_DRIFT}pd",),
        read=FUNCTIONS_OF_DRIFT,
        digests=DIGESTS_OF_DRIFT,
        make=_Pandas,
    ),
    Shortcut(
        name="choices of tests", places=(_TEST,), read=(_TEST,), digests=frozenset({"2aa9ce800a650a33"}), make=_test
    ),
)
