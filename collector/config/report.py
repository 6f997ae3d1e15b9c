"""What to compute over each batch: opaque JSON here, known to Evidently in the worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from collector.computed_columns import find_computed_column, not_kept
from collector.config.value import Value, at_fields
from collector.generation import LEGACY_KEYS, Generation, generation_of

if TYPE_CHECKING:
    from evidently import Report
    from evidently.legacy.report import Report as LegacyReport
    from evidently.legacy.test_suite import TestSuite

# Evidently spends a millisecond on each.
MAX_ITEMS = 10_000


def _one_of(message: str, *kinds: type) -> AfterValidator:
    def check(value: Any) -> Any:
        if not isinstance(value, kinds):
            raise ValueError(message)  # noqa: TRY004  (pydantic takes ValueError)
        return value

    return AfterValidator(check)


# Not a union: that would put the names of its members into the path of a mistake.
_NameOrObject = Annotated[
    Any,
    _one_of('must be a name, as "DataDriftPreset", or an object with a type', str, dict),
    WithJsonSchema({"type": ["string", "object"]}),
]
_ObjectOrList = Annotated[
    Any, _one_of("must be an object or a list", dict, list), WithJsonSchema({"type": ["object", "array"]})
]


class ReportConfig(Value):
    """The contents of a snapshot: a Report or TestSuite of either generation of Evidently.

    Three forms: what ``from_report`` and ``from_test_suite`` make, the file format of ``evidently report``, and short
    names as in ``{"metrics": ["DataDriftPreset", {"type": "ValueDrift", "column": "age"}]}``.
    It is written out as it was given.
    """

    metrics: list[_NameOrObject] = Field(
        default=[], max_length=MAX_ITEMS, description="Metrics and presets: names, or objects."
    )
    tests: list[dict[str, Any]] = Field(default=[], max_length=MAX_ITEMS, description="Tests of a legacy TestSuite.")
    descriptors: list[_NameOrObject] = Field(
        default=[], max_length=MAX_ITEMS, description="Columns to compute from texts first."
    )
    options: _ObjectOrList = Field(default=[], description="Evidently's options: an object in legacy.")
    metadata: dict[str, Any] = Field(default={}, description="Added to each snapshot's metadata.")
    tags: list[str] = Field(default=[], description="Added to each snapshot's tags.")
    include_tests: bool = Field(default=False, description="Add Evidently's own tests to each metric.")

    @property
    def generation(self) -> Generation:
        """Tell which of Evidently's two generations computes it."""
        return generation_of(self.model_dump())

    @classmethod
    def from_report(cls, report: Report | LegacyReport) -> Self:
        """Make it from a Report; one of the legacy kind must have been run."""
        if type(report).__name__ != "Report":
            raise TypeError(f"takes a Report, not {type(report).__name__}; for a TestSuite there is from_test_suite")
        if _is_from_legacy(report):
            return cls._from_suite(report, report._first_level_metrics, [])  # noqa: SLF001
        return cls.parse(
            {
                "metrics": [_json(metric) for metric in report.metrics],
                "metadata": _plain(report.metadata),
                "tags": report.tags,
                "include_tests": report.include_tests,
            }
        )

    @classmethod
    def from_test_suite(cls, test_suite: TestSuite) -> Self:
        """Make it from a legacy TestSuite that has been run."""
        if type(test_suite).__name__ != "TestSuite":
            raise TypeError(f"takes a TestSuite, not {type(test_suite).__name__}; for a Report there is from_report")
        return cls._from_suite(test_suite, [], test_suite._inner_suite.context.tests)  # noqa: SLF001

    @classmethod
    def _from_suite(cls, suite: LegacyReport | TestSuite, metrics: list[Any], tests: list[Any]) -> Self:
        if not metrics and not tests:
            raise ValueError("run it first, so that its metrics and tests are collected")
        items = [[_json(metric) for metric in metrics], [_json(test) for test in tests]]
        if name := find_computed_column(items):
            raise ValueError(not_kept(name))
        return cls.parse(
            {
                "metrics": items[0],
                "tests": items[1],
                "options": _json(suite.options),
                "metadata": _plain(suite.metadata),
                "tags": suite.tags,
            }
        )

    @model_validator(mode="before")
    @classmethod
    def _whole_if_legacy(cls, data: object) -> object:
        # The original required all five, and its clients expect the refusal.
        if isinstance(data, dict) and generation_of(data) == "legacy":
            missing = [key for key in LEGACY_KEYS if key not in data]
            if missing:
                raise at_fields("field required", *missing)
        return data

    @model_serializer(mode="wrap")
    def _as_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        return {name: written[name] for name in written if name in self.model_fields_set}


def _is_from_legacy(report: object) -> bool:
    return any(base.__module__.startswith(("evidently.legacy.", "evidently.suite.")) for base in type(report).__mro__)


def _json(model: Any) -> Any:
    return _plain(model.dict())


def _plain(value: Any) -> Any:
    from evidently.legacy.utils import NumpyEncoder

    return json.loads(json.dumps(value, cls=NumpyEncoder))
