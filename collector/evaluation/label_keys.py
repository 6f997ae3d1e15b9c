"""Labels as keys, of tests or names: JSON has only text for keys; to Evidently ``True``, ``1`` and ``"1"`` are three.

``{"tests": {"true": [...]}}`` of a boolean column is meant for the label ``True``; of a column of text, for ``"true"``.
What a key means is told by the values of the column that it is about.
"""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from evidently.generators import ColumnMetricGenerator


def with_label_keys(metrics: Sequence[Any], frames: Sequence[pd.DataFrame], targets: Sequence[str]) -> list[Any]:
    """Return the metrics and containers, the keys of their tests by label typed as the labels in ``frames`` are.

    ``targets`` are the columns whose labels metrics without a column of their own are about.
    """
    return [_with_label_keys(metric, frames, targets) for metric in metrics]


def with_label_names(definition: Any, frames: Sequence[pd.DataFrame]) -> Any:
    """Return a data_definition, the labels of its classifications typed as the labels in ``frames`` are."""
    tasks = getattr(definition, "classification", None) or []
    if not any(getattr(task, "labels", None) for task in tasks):
        return definition
    return definition.copy(update={"classification": [_named(task, "labels", frames) for task in tasks]})


def with_target_names(mapping: Any, frames: Sequence[pd.DataFrame]) -> Any:
    """Return a column_mapping, the labels in its target_names typed as the labels in ``frames`` are."""
    is_by_label = isinstance(getattr(mapping, "target_names", None), dict)
    return _named(mapping, "target_names", frames) if is_by_label else mapping


def _named(task: Any, field: str, frames: Sequence[pd.DataFrame]) -> Any:
    names = getattr(task, field, None)
    if not names:
        return task
    labels = _labels(frame[task.target] for frame in frames if task.target in frame.columns)
    named = copy.copy(task)
    setattr(named, field, {_meant(str(key), labels): name for key, name in names.items()})
    return named


def _with_label_keys(metric: Any, frames: Sequence[pd.DataFrame], targets: Sequence[str]) -> Any:
    if isinstance(metric, ColumnMetricGenerator):
        names = metric.columns or {name for frame in frames for name in frame.columns}
        kwargs = metric.metric_kwargs
        typed = _typed(metric._metric_type, kwargs, names, frames)  # noqa: SLF001  # an alias finds no containers
        return metric.copy(update={"metric_kwargs": {**kwargs, **typed}}) if typed else metric
    names = [metric.column] if hasattr(metric, "column") else targets
    typed = _typed(type(metric), dict(metric), names, frames)
    return metric.copy(update=typed) if typed else metric


def _typed(kind: Any, given: dict[str, Any], names: Iterable[str], frames: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """Return those arguments in ``given`` for a ``kind`` that are tests by label, with keys of the labels' types."""
    by_label = {name: tests for name, tests in given.items() if tests and _is_by_label(kind.__fields__.get(name))}
    if not by_label:
        return {}
    labels = _labels(frame[name] for name in names for frame in frames if name in frame.columns)
    return {name: {_meant(key, labels): item for key, item in tests.items()} for name, tests in by_label.items()}


def _meant(key: Any, labels: dict[str, Any]) -> Any:
    """Return the label that a key means. If no row has it: a number if the key looks like one and no label is text."""
    if not isinstance(key, str) or key in labels:
        return labels.get(key, key)
    is_number = key.removeprefix("-").isdecimal() and str(int(key)) == key
    return int(key) if is_number and not any(isinstance(label, str) for label in labels.values()) else key


def _is_by_label(field: Any) -> bool:
    """Tell whether a model's field has labels as keys: booleans, numbers or texts. In other fields, keys are texts."""
    return field is not None and field.key_field is not None and bool(field.key_field.sub_fields)


def _labels(columns: Iterable[pd.Series]) -> dict[str, Any]:
    """Return the label that each key may mean, by its spelling in JSON; a text that is a label means itself."""
    found: dict[str, Any] = {}
    for column in columns:
        if pd.api.types.is_bool_dtype(column.dtype):
            found |= {"true": True, "false": False}
        for label in column.unique():
            if isinstance(label, bool | np.bool_):
                found.setdefault(str(bool(label)).lower(), bool(label))
            elif isinstance(label, int | np.integer):
                found.setdefault(str(int(label)), int(label))
            elif isinstance(label, str):
                found[label] = label
    return found
