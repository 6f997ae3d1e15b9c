"""Reading JSON into Evidently's pydantic models with nothing ignored: unknown fields, wrong types, missing ones.

Evidently's models drop fields that they don't know. Here the JSON is walked beside the models first; each ``"type"`` is
replaced by the class that it means (see ``catalogue``), and only then are the models built.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from evidently._pydantic_compat import SHAPE_SINGLETON, SHAPE_TUPLE, BaseModel, ValidationError, create_model
from evidently.core import datasets
from evidently.core.datasets import Descriptor
from evidently.generators import ColumnMetricGenerator
from evidently.pydantic_utils import PolymorphicModel

from collector.evaluation.catalogue import (
    MODERN_METRICS,
    UnknownTypeError,
    find_class,
    find_descriptor_function,
)
from collector.evaluation.conditions import ConditionError, condition_test, is_condition
from collector.wording import json_kind, nearest
from collector.workers.exchange import Json, PathInConfig, Problem

LEFT_OUT = object()  # what read and build return in place of a wrong value


@dataclass
class Reader:
    """One reading of a config; ``problems`` grows, and what is wrong is left out of the results."""

    legacy: bool = False
    problems: list[Problem] = field(default_factory=list)

    def add_problem(self, path: PathInConfig, message: str) -> None:
        """Note what is wrong at ``path``."""
        self.problems.append({"path": path, "message": message})

    def read_list(self, value: object, bases: Sequence[type], path: PathInConfig) -> list[Any]:
        """Build each of a list's items as ``read`` does; bare strings stand for a type without parameters."""
        if not isinstance(value, list):
            self.add_problem(path, f"a list is expected, not {json_kind(value)}")
            return []
        items = [self.read(item, bases, [*path, number]) for number, item in enumerate(value)]
        return [item for item in items if item is not LEFT_OUT]

    def read(self, value: object, bases: Sequence[type], path: PathInConfig) -> Any:
        """Build the instance of one of ``bases`` that ``value`` describes."""
        if isinstance(value, str):
            value = {"type": value}
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            self.add_problem(path, f'a name or an object with a "type" is expected, not {json_kind(value)}')
            return LEFT_OUT
        function = find_descriptor_function(value["type"]) if Descriptor in bases else None
        try:
            target = function or find_class(value["type"], bases, legacy=self.legacy)
        except UnknownTypeError as error:
            self.add_problem(path, str(error))
            return LEFT_OUT
        return self.build(target, {key: item for key, item in value.items() if key != "type"}, path)

    def build(self, target: Any, value: object, path: PathInConfig) -> Any:
        """Call ``target`` (a model, or a function that returns one) with the walked ``value``."""
        if not isinstance(value, dict):
            self.add_problem(path, f"an object is expected, not {json_kind(value)}")
            return LEFT_OUT
        before = len(self.problems)
        walked = self._walk_fields(target, value, path)
        if target is ColumnMetricGenerator:
            walked = self._generator_arguments(walked, path)
        if len(self.problems) > before:
            return LEFT_OUT
        try:
            return target(**walked)
        except ValidationError as error:
            self._translate(error, path)
        except (ValueError, TypeError, AssertionError, KeyError, AttributeError) as error:
            # The __init__s of Evidently's classes raise all of these for wrong arguments.
            self.add_problem(path, f"{_name(target)}: {error}")
        return LEFT_OUT

    def walk(self, cls: Any, value: Any, path: PathInConfig) -> Any:
        """Return ``value`` with every ``"type"`` in it spelt as ``cls`` and its fields want it."""
        if is_condition(cls, value):
            return self._condition(cls, value, path)
        if not isinstance(value, dict):
            return value
        if "type" not in value or not issubclass(cls, PolymorphicModel):
            return self._walk_fields(cls, value, path)
        try:
            found = find_class(str(value["type"]), (cls,), legacy=self.legacy)
        except UnknownTypeError as error:
            self.add_problem(path, str(error))
            return value
        fields = {key: item for key, item in value.items() if key != "type"}
        return {"type": found.__get_type__(), **self._walk_fields(found, fields, path)}  # type: ignore[attr-defined]  # a PolymorphicModel

    def _condition(self, cls: Any, value: Any, path: PathInConfig) -> Any:
        try:
            return condition_test(cls, value, path)
        except ConditionError as error:
            self.add_problem(error.path, str(error))
            return value

    def _walk_fields(self, target: Any, value: Json, path: PathInConfig) -> Json:
        accepted, required = _accepted(target)
        for name in sorted(required - value.keys()):
            self.add_problem([*path, name], "field required")
        for name in [name for name in value if name not in accepted]:
            self.add_problem([*path, name], _unknown_field(name, _name(target), accepted))
        return {
            name: self._walk_field(accepted[name], item, [*path, name])
            for name, item in value.items()
            if name in accepted
        }

    def _walk_field(self, model_field: Any, value: Any, path: PathInConfig) -> Any:
        """Walk one value by pydantic's own description of its field; None if only a signature names the field."""
        if model_field is None or value is None:
            return value
        if model_field.shape == SHAPE_SINGLETON:
            return self._walk_single(model_field, value, path)
        if isinstance(value, dict) and model_field.key_field is not None:
            inner = model_field.sub_fields[0] if model_field.sub_fields else None
            return {key: self._walk_element(model_field, inner, item, [*path, key]) for key, item in value.items()}
        if isinstance(value, list) and model_field.key_field is None:
            inner = model_field.sub_fields or [None]
            kinds = inner if model_field.shape == SHAPE_TUPLE and len(inner) == len(value) else [inner[0]] * len(value)
            return [
                self._walk_element(model_field, kind, item, [*path, number])
                for number, (kind, item) in enumerate(zip(kinds, value, strict=True))
            ]
        if isinstance(value, list | dict):
            self.add_problem(
                path, f"{'a list' if isinstance(value, dict) else 'an object'} is expected, not {json_kind(value)}"
            )
        return value

    def _walk_element(self, outer: Any, inner: Any, value: Any, path: PathInConfig) -> Any:
        return self._walk_typed(outer.type_, value, path) if inner is None else self._walk_field(inner, value, path)

    def _walk_single(self, model_field: Any, value: Any, path: PathInConfig) -> Any:
        if not model_field.sub_fields:
            return self._walk_typed(model_field.type_, value, path)
        attempts = [self._attempt(choice, value, path) for choice in model_field.sub_fields]
        walked, problems = min(attempts, key=lambda attempt: len(attempt[1]))
        self.problems += problems
        return walked

    def _attempt(self, choice: Any, value: Any, path: PathInConfig) -> tuple[Any, list[Problem]]:
        trial = Reader(legacy=self.legacy)
        return trial._walk_field(choice, value, path), trial.problems

    def _walk_typed(self, cls: Any, value: Any, path: PathInConfig) -> Any:
        if inspect.isclass(cls) and issubclass(cls, BaseModel):
            return self.walk(cls, value, path)
        if cls is str and isinstance(value, bool | int | float) and _IDS.isdisjoint(path):
            self.add_problem(path, f"a string is expected, not {json_kind(value)}")  # pydantic would turn 5 into "5"
        return value

    def _generator_arguments(self, walked: Json, path: PathInConfig) -> Json:
        """Name the generated metric by its class: by an alias, ColumnMetricGenerator doesn't find containers."""
        name = walked.pop("metric_type_alias", None) or walked.pop("metric_type", None)
        walked.pop("metric_type", None)
        if isinstance(walked.get("metric_kwargs"), dict):
            walked["metric_kwargs"] = _of_metrics(walked["metric_kwargs"])
        try:
            found = find_class(str(name), MODERN_METRICS, legacy=False)
        except UnknownTypeError as error:
            self.add_problem([*path, "metric_type"], str(error))
            return walked
        arguments = walked.get("metric_kwargs") or {}
        arguments = self._walk_fields(found, {"column": "", **arguments}, [*path, "metric_kwargs"])
        arguments.pop("column", None)
        return {**walked, "metric_type": found, "metric_kwargs": arguments}

    def _translate(self, error: ValidationError, path: PathInConfig) -> None:
        seen: list[Problem] = []
        for detail in error.errors():
            where = [part for part in detail["loc"] if part != "__root__"]
            problem: Problem = {"path": [*path, *where], "message": detail["msg"]}
            if problem not in seen:  # a union reports the same problem once for each member
                seen.append(problem)
        self.problems += seen


# Fields of ids, which may be numbers, as in the events: RecsysPreset declares them as text but takes both.
_IDS = frozenset({"user_ids"})


def _accepted(target: Any) -> tuple[Mapping[str, Any], set[str]]:
    """Return what ``target`` takes, by name, with its model field (None if it has none), and the required names.

    Many of Evidently's models have an ``__init__`` of their own, which may name more or fewer arguments than fields.
    """
    fields: dict[str, Any] = dict(getattr(target, "__fields__", {}))
    fields.pop("type", None)
    parameters = [
        p for p in inspect.signature(target).parameters.values() if p.kind not in _VARIADIC and p.name != "type"
    ]
    if inspect.isfunction(target):
        fields = _fields_of_function(target)
    own = {p.name: fields.get(p.name) for p in parameters}
    required = {p.name for p in parameters if p.default is p.empty}
    return {**fields, **own}, required


_VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


class _Loosely:
    arbitrary_types_allowed = True
    smart_union = True


def _fields_of_function(function: Any) -> dict[str, Any]:
    """Return pydantic's description of a function's arguments, so that nested values are walked as well."""
    # Some annotations name what is imported for type checkers alone; evidently's datasets module has it.
    hints = get_type_hints(function, {**vars(datasets), **function.__globals__})
    arguments: dict[str, Any] = {
        name: (hints[name], ...) for name in inspect.signature(function).parameters if name in hints
    }
    fields: dict[str, Any] = create_model(function.__name__, __config__=_Loosely, **arguments).__fields__
    return fields


def _of_metrics(value: Any) -> Any:
    """Replace each of Evidently's generic tests (``lt(3)``) by the test for metrics inside it, as a metric does."""
    if isinstance(value, dict):
        generic = value.keys() == {"test_name", "metric", "descriptor"}
        return value["metric"] if generic else {key: _of_metrics(item) for key, item in value.items()}
    return [_of_metrics(item) for item in value] if isinstance(value, list) else value


def _unknown_field(name: str, owner: str, accepted: Mapping[str, Any]) -> str:
    near = nearest(name, accepted)
    guess = "" if near is None else f' (did you mean "{near}"?)'
    return f"unknown field{guess}; {owner} takes {', '.join(sorted(accepted)) or 'none'}"


def _name(target: Any) -> str:
    return str(getattr(target, "__name__", target))
