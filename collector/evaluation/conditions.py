"""Tests as people write them, ``{"lt": 3}``, with Evidently's own names for its conditions."""

from typing import Any

import evidently.tests
from evidently.core.datasets import ColumnCondition, DescriptorTest
from evidently.core.metric_types import MetricTest
from evidently.core.tests import Reference

from collector.conditions import AGAINST_A_LIST, AGAINST_A_VALUE, CONDITIONS
from collector.wording import did_you_mean, json_kind
from collector.workers.exchange import Json, PathInConfig

_BESIDE: dict[type, tuple[str, ...]] = {
    MetricTest: ("is_critical", "label_filters"),
    DescriptorTest: ("column", "alias"),
    ColumnCondition: (),
}
_MARGINS = ("relative", "absolute")
_EXAMPLE = 'write a condition, as {"lt": 3}'


class ConditionError(ValueError):
    """No test can be made from the config at ``path``; the message is a sentence for the user."""

    def __init__(self, path: PathInConfig, message: str) -> None:
        super().__init__(message)
        self.path = path


def is_condition(kind: type, value: Any) -> bool:
    """Tell whether a test is to be given by its condition: it has neither a type nor Evidently's own fields."""
    if kind not in _BESIDE or not isinstance(value, dict):
        return kind in _BESIDE
    return value.get("type") in CONDITIONS or not value.keys() & {"type", "condition"}


def condition_test(kind: type, value: Any, path: PathInConfig) -> Any:
    """Return the test of a metric or a descriptor, or the condition of one, that ``value`` describes.

    ``{"lt": 3}`` is what ``evidently.tests.lt(3)`` makes; ``{"lt": {"reference": {"relative": 0.1}}}`` is what
    ``lt(Reference(relative=0.1))`` makes. Further keys are that function's own arguments.
    Raises ConditionError.
    """
    if not isinstance(value, dict):
        raise ConditionError(path, f"{_EXAMPLE}, not {json_kind(value)}")
    if "type" in value:
        raise ConditionError([*path, "type"], f"a condition has no 'type'; {_EXAMPLE}")
    named = [name for name in value if name not in _BESIDE[kind]]
    if len(named) != 1:
        count = "no condition" if not named else f"{len(named)} conditions in one test"
        raise ConditionError(path, f"{count}; {_EXAMPLE}, one in each test: {', '.join(CONDITIONS)}")
    name = named[0]
    if name not in CONDITIONS:
        raise ConditionError([*path, name], f"unknown condition; {did_you_mean(name, CONDITIONS)}")
    threshold = _threshold(kind, name, value[name], [*path, name])
    made = getattr(evidently.tests, name)(threshold, **{key: item for key, item in value.items() if key != name})
    if kind is MetricTest:
        return made.for_metric()
    return made.for_descriptor() if kind is DescriptorTest else made.for_descriptor().condition


def _threshold(kind: type, name: str, given: Any, path: PathInConfig) -> Any:
    """Return the value that a condition compares with; raise ConditionError if it is of a wrong kind."""
    if name in AGAINST_A_LIST:
        if not isinstance(given, list) or not all(_is_number(item) or isinstance(item, str) for item in given):
            raise ConditionError(path, "a list of numbers or texts is expected")
        return given
    if isinstance(given, dict):
        return _reference(kind, given, path)
    if _is_number(given) or (kind is not MetricTest and name in AGAINST_A_VALUE and isinstance(given, bool | str)):
        return given
    raise ConditionError(path, f"a number is expected, not {json_kind(given)}")


def _reference(kind: type, given: Json, path: PathInConfig) -> Reference:
    if kind is not MetricTest:
        raise ConditionError(path, "a descriptor's test looks at single values, which have no reference")
    margins = given.get("reference")
    if given.keys() != {"reference"} or not isinstance(margins, dict):
        raise ConditionError(path, 'a number is expected, or {"reference": {"relative": 0.1}}')
    for key, item in margins.items():
        if key not in _MARGINS:
            raise ConditionError([*path, "reference", key], f"unknown field; {did_you_mean(key, _MARGINS)}")
        if not _is_number(item) or item <= 0:
            raise ConditionError([*path, "reference", key], "a number above 0 is expected")
    return Reference(**margins)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
