"""What a config says about the columns: ``data_definition`` for modern reports, ``column_mapping`` for legacy ones.

Evidently's DataDefinition does not survive JSON: its tasks come back as dicts, and the presets then fail. Here they are
built as the classes that they were.
"""

import inspect
from typing import Any, cast, get_type_hints

from evidently import BinaryClassification, DataDefinition, MulticlassClassification, Recsys, Regression
from evidently._pydantic_compat import create_model
from evidently.core.datasets import RAG, Completion, LLMClassification
from evidently.legacy.pipeline.column_mapping import ColumnMapping, TaskType

from collector.evaluation.reader import LEFT_OUT, Reader
from collector.workers.exchange import Json, PathInConfig

_TASKS = {"regression": Regression, "ranking": Recsys}
_CLASSIFICATIONS = {"binary": BinaryClassification, "multiclass": MulticlassClassification}
_LLM = {"classification": LLMClassification, "completion": Completion, "rag": RAG}
_BUILT_HERE = {"classification", "llm", *_TASKS}
_LEGACY_TASKS = (TaskType.REGRESSION_TASK, TaskType.CLASSIFICATION_TASK, TaskType.RECOMMENDER_SYSTEMS)


def read_data_definition(value: object, reader: Reader, path: PathInConfig) -> Any:
    """Build a DataDefinition from its JSON, tasks included.

    An item of ``classification`` is binary or multiclass by its "type"; without one, it is binary if it has a
    ``pos_label`` or names a single column of probabilities, else multiclass. So Evidently's own dumps come back as they
    were, but for the keys of ``labels``: those are text until ``label_keys`` tells what they mean.
    """
    if not isinstance(value, dict):
        reader.add_problem(path, "an object is expected")
        return None
    plain = {name: item for name, item in value.items() if name not in _BUILT_HERE}
    definition = reader.build(DataDefinition, plain, path)
    tasks = {name: _read_task(name, value[name], reader, [*path, name]) for name in _BUILT_HERE & value.keys()}
    if definition is LEFT_OUT:
        return None
    for name, task in tasks.items():
        setattr(definition, name, task)  # DataDefinition's own __init__ also sets it past pydantic's validation
    return definition


def read_column_mapping(value: object, reader: Reader, path: PathInConfig) -> Any:
    """Build a legacy ColumnMapping from its JSON."""
    if not isinstance(value, dict):
        reader.add_problem(path, "an object is expected")
        return None
    if value.get("task") not in (None, *_LEGACY_TASKS):
        reader.add_problem([*path, "task"], f"one of {', '.join(_LEGACY_TASKS)} is expected")
    return _read_dataclass(ColumnMapping, value, reader, path)


def _read_task(name: str, value: object, reader: Reader, path: PathInConfig) -> Any:
    if value is None:
        return None
    if name == "llm":
        return _read_variant(_LLM, "classification", value, reader, path)
    if not isinstance(value, list):
        reader.add_problem(path, "a list is expected")
        return None
    places = [(item, [*path, number]) for number, item in enumerate(value)]
    if name == "classification":
        return [_read_variant(_CLASSIFICATIONS, _sort(item), item, reader, place) for item, place in places]
    return [_read_dataclass(_TASKS[name], item, reader, place) for item, place in places]


def _sort(item: object) -> str:
    if not isinstance(item, dict):
        return "multiclass"
    single = isinstance(item.get("prediction_probas"), str)
    return "binary" if single or item.get("pos_label") is not None else "multiclass"


def _read_variant(variants: dict[str, type], default: str, value: object, reader: Reader, path: PathInConfig) -> Any:
    if not isinstance(value, dict):
        return _read_dataclass(variants[default], value, reader, path)
    by_name = variants | {cls.__name__: cls for cls in variants.values()}
    kind = value.get("type", default)
    if kind not in by_name:
        reader.add_problem([*path, "type"], f"one of {', '.join(by_name)} is expected")
        return None
    fields = {name: item for name, item in value.items() if name != "type"}
    return _read_dataclass(by_name[kind], fields, reader, path)


def _read_dataclass(cls: type, value: object, reader: Reader, path: PathInConfig) -> Any:
    """Build ``cls``, a dataclass, after pydantic has checked its fields in a model of the same shape."""
    model = reader.build(_model_of(cls), value, path)
    if model is LEFT_OUT:
        return None
    given = {name: getattr(model, name) for name in cast("Json", value)}
    return reader.build(cls, given, path)


def _model_of(cls: type) -> Any:
    # The signature says which fields may be left out; the __init__ of classifications would let all be. But it says
    # that a pos_label is text, while any label can be one, and 1 is not "1". To pydantic, 1, "1" and "01" are one.
    signature = inspect.signature(cls)
    hints = get_type_hints(cls)
    hints |= {"pos_label": Any, "labels": dict[Any, str] | None, "target_names": list[Any] | dict[Any, str] | None}
    fields: dict[str, Any] = {
        name: (hints[name], ...) if parameter.default is parameter.empty else (hints[name] | None, parameter.default)
        for name, parameter in signature.parameters.items()
    }
    return create_model(cls.__name__, **fields)
