"""Reading a ``report_config`` of either generation into what Evidently runs."""

from dataclasses import dataclass
from typing import Any

import evidently.llm.options  # noqa: F401  # its options must be known as classes
from evidently._pydantic_compat import ValidationError, parse_obj_as
from evidently.legacy.options.base import Options
from evidently.legacy.options.option import Option
from evidently.legacy.suite.base_suite import MetadataValueType
from evidently.pydantic_utils import all_subclasses

from collector.computed_columns import find_computed_column, not_kept
from collector.evaluation.catalogue import (
    LEGACY_METRICS,
    LEGACY_TESTS,
    MODERN_DESCRIPTORS,
    MODERN_METRICS,
)
from collector.evaluation.reader import LEFT_OUT, Reader
from collector.generation import LEGACY_KEYS
from collector.workers.exchange import Json, PathInConfig

_ROOT: PathInConfig = ["report_config"]
_MODERN_KEYS = ("descriptors", "options", "metrics", "metadata", "tags", "include_tests")


@dataclass(frozen=True)
class ModernReport:
    """A modern report_config, built."""

    metrics: list[Any]
    descriptors: list[Any]
    options: list[Any]
    metadata: Json
    tags: list[str]
    include_tests: bool


@dataclass(frozen=True)
class LegacyReport:
    """A legacy report_config, built; with tests it is a TestSuite, as in the original collector."""

    metrics: list[Any]
    tests: list[Any]
    options: Any
    metadata: Json
    tags: list[str]


def read_modern(config: Json, reader: Reader) -> ModernReport:
    """Build a modern report_config: Evidently's own form, the short hand-written one, or a mixture."""
    _refuse_unknown_keys(config, _MODERN_KEYS, reader)
    return ModernReport(
        metrics=reader.read_list(config.get("metrics", []), MODERN_METRICS, [*_ROOT, "metrics"]),
        descriptors=reader.read_list(config.get("descriptors", []), MODERN_DESCRIPTORS, [*_ROOT, "descriptors"]),
        options=_read_options(config.get("options", []), reader),
        metadata=_read_metadata(config, reader),
        tags=_read_typed(config, "tags", list[str], [], reader),
        include_tests=_read_typed(config, "include_tests", bool, False, reader),
    )


def read_legacy(config: Json, reader: Reader) -> LegacyReport:
    """Build a legacy report_config, of the original collector's form."""
    _refuse_unknown_keys(config, LEGACY_KEYS, reader)
    if "options" not in config:
        reader.add_problem([*_ROOT, "options"], "field required")
    _refuse_computed_columns(config, reader)
    return LegacyReport(
        metrics=reader.read_list(config.get("metrics", []), LEGACY_METRICS, [*_ROOT, "metrics"]),
        tests=reader.read_list(config.get("tests", []), LEGACY_TESTS, [*_ROOT, "tests"]),
        options=reader.build(Options, config.get("options", {}), [*_ROOT, "options"]),
        metadata=_read_metadata(config, reader),
        tags=_read_typed(config, "tags", list[str], [], reader),
    )


def _refuse_computed_columns(config: Json, reader: Reader) -> None:
    for part in ("metrics", "tests"):
        items = config.get(part)
        for number, item in enumerate(items if isinstance(items, list) else []):
            if name := find_computed_column(item):
                reader.add_problem([*_ROOT, part, number], not_kept(name))


def _refuse_unknown_keys(config: Json, known: tuple[str, ...], reader: Reader) -> None:
    for name in [name for name in config if name not in known]:
        reader.add_problem([*_ROOT, name], f"unknown field; a report_config takes {', '.join(known)}")


def _read_metadata(config: Json, reader: Reader) -> Json:
    metadata: Json = _read_typed(config, "metadata", dict[str, MetadataValueType], {}, reader)
    return metadata


def _read_typed(config: Json, name: str, kind: Any, default: Any, reader: Reader) -> Any:
    try:
        return parse_obj_as(kind, config.get(name, default))
    except ValidationError as error:
        detail = error.errors()[0]
        reader.add_problem([*_ROOT, name, *detail["loc"][1:]], detail["msg"])
        return default


def _read_options(value: object, reader: Reader) -> list[Any]:
    """Build descriptors' options. Evidently writes no type beside them: take the class that has all the fields."""
    path = [*_ROOT, "options"]
    if not isinstance(value, list):
        reader.add_problem(path, "a list is expected")
        return []
    built = [_read_option(item, reader, [*path, number]) for number, item in enumerate(value)]
    return [option for option in built if option is not LEFT_OUT]


def _read_option(value: object, reader: Reader, path: PathInConfig) -> Any:
    if not isinstance(value, dict):
        reader.add_problem(path, "an object is expected")
        return LEFT_OUT
    fields = {name: item for name, item in value.items() if name != "type"}
    known = {
        cls.__name__: cls for cls in sorted(all_subclasses(Option), key=lambda cls: (len(cls.__fields__), cls.__name__))
    }
    fitting = [
        cls for name, cls in known.items() if value.get("type", name) == name and fields.keys() <= cls.__fields__.keys()
    ]
    if not fitting:
        reader.add_problem(path, f"no option of Evidently's has the fields {', '.join(map(str, value))} together")
        return LEFT_OUT
    return reader.build(fitting[0], fields, path)
