"""What the columns of a reference probably are: a proposal by names, types and values, for a person to correct."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

Kind = Literal["numerical", "categorical", "text", "datetime", "id", "left out"]
LISTS: dict[Kind, str] = {
    "numerical": "numerical_columns",
    "categorical": "categorical_columns",
    "text": "text_columns",
    "datetime": "datetime_columns",
}

# Evidently's own rule where nobody says more: integers with at most this many different values are labels.
MAX_LABELS = 10
# Text is no category if it has more different values than this, and more than this share of its rows.
MAX_CATEGORIES = 50
_SHARE_OF_CATEGORIES = 0.05
# A column of which more than this share is missing may be empty in a whole batch; then its report would fail.
_SHARE_OF_VALUES = 0.5
_WORDS_OF_A_TEXT = 3
_TARGETS = {"target", "label", "y", "y_true", "ground_truth", "actual", "class"}
_PREDICTIONS = {"prediction", "predicted", "pred", "y_pred", "y_hat", "yhat", "score", "predicted_label"}
_ID = re.compile(r"(?i:(.*[_\s-])?(id|uuid|guid))|.*[a-z](Id|ID|Uuid|UUID)")
_POSITIVE = {"1", "1.0", "true", "yes", "y", "pos", "positive"}


class Proposal:
    """The kind of each column, in the order of the file, and which are the target and the prediction.

    A target has to be named: mostly it isn't in the events, but comes later, and a report fails for want of it. One
    that looks like it is left out.
    """

    def __init__(self, table: pa.Table, target: str | None = None, prediction: str | None = None) -> None:
        self.target = target
        self.prediction = prediction or _called(table, _PREDICTIONS)
        self.likely_target = target or _called(table, _TARGETS)
        self.kinds: dict[str, Kind] = {name: kind_of(name, table.column(name)) for name in table.column_names}
        if target is None and self.likely_target is not None:
            self.kinds[self.likely_target] = "left out"
        for name in filter(None, (self.target, self.prediction)):
            self.kinds[name] = _kind_by_values(table.column(name))
        self._labels = _values(table.column(target)) if target else []

    def of(self, *kinds: Kind) -> list[str]:
        """Name the columns of some kinds."""
        return [name for name, kind in self.kinds.items() if kind in kinds]

    @property
    def task(self) -> Literal["regression", "classification"] | None:
        """What the prediction is, if both it and the target are known."""
        if not (self.target and self.prediction):
            return None
        is_number = self.kinds[self.target] == self.kinds[self.prediction] == "numerical"
        return "regression" if is_number else "classification"

    def data_definition(self) -> dict[str, Any]:
        """Write the columns as Evidently has them; each list is whole, so that nothing is guessed from a batch."""
        definition: dict[str, Any] = {LISTS[kind]: self.of(kind) for kind in LISTS}
        if ids := self.of("id"):
            definition["id_column"] = ids[0]
        if self.task == "regression":
            definition["regression"] = [{"target": self.target, "prediction": self.prediction}]
        if self.task == "classification":
            definition["classification"] = [self._classification()]
        return definition

    def _classification(self) -> dict[str, Any]:
        is_probability = self.kinds[self.prediction or ""] == "numerical"
        task = {"target": self.target, "prediction_probas" if is_probability else "prediction_labels": self.prediction}
        if len(self._labels) == 2:
            rarest = self._labels[-1]
            task["pos_label"] = next((one for one in self._labels if str(one).lower() in _POSITIVE), rarest)
        return task


def kind_of(name: str, column: pa.ChunkedArray) -> Kind:
    """Say what a column probably is."""
    if len(column) - _missing(column) < max(len(column) * _SHARE_OF_VALUES, 1):
        return "left out"
    is_label = pa.types.is_integer(column.type) or _is_text(column.type)
    if is_label and _ID.fullmatch(name) and pc.count_distinct(column).as_py() == len(column):
        return "id"
    return _kind_by_values(column)


def _kind_by_values(column: pa.ChunkedArray) -> Kind:
    types, type_ = pa.types, column.type
    if types.is_boolean(type_) or types.is_dictionary(type_):
        return "categorical"
    if types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_):
        return "categorical" if _are_labels(column) else "numerical"
    if types.is_timestamp(type_) or types.is_date(type_):
        return "datetime"
    return _kind_of_text(column) if _is_text(type_) else "left out"


def _are_labels(column: pa.ChunkedArray) -> bool:
    """Tell whether numbers are few and whole; whole ones beside a missing value have become floats."""
    values = pc.unique(column.drop_null())
    return len(values) <= MAX_LABELS and all(value.as_py() == value.as_py() // 1 for value in values)


def _kind_of_text(column: pa.ChunkedArray) -> Kind:
    different, rows = pc.count_distinct(column).as_py(), len(column)
    words = pc.mean(pc.count_substring(column, " ")).as_py() + 1
    if words >= _WORDS_OF_A_TEXT and different > rows / 2:
        return "text"
    is_repeated = different < rows and different <= max(MAX_CATEGORIES, rows * _SHARE_OF_CATEGORIES)
    return "categorical" if is_repeated else "left out"


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _missing(column: pa.ChunkedArray) -> int:
    return int(pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0)


def _called(table: pa.Table, names: Iterable[str]) -> str | None:
    return next((name for name in table.column_names if name.lower() in names), None)


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return the different values, the most frequent first."""
    counts = sorted(pc.value_counts(column.drop_null()), key=lambda one: -one["counts"].as_py())
    return [one["values"].as_py() for one in counts]
