"""What a report found, in numbers for people and machines: drift by column, tests that didn't pass, values.

Both of Evidently's generations are read here, from their own results. Nothing is computed again.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

from evidently.core.metric_types import (
    ByLabelCountValue,
    ByLabelValue,
    CountValue,
    MeanStdValue,
    MetricConfig,
    MetricResult,
    MetricTestResult,
    SingleValue,
)

from collector.evaluation.seen_drift import SeenDrift
from collector.evaluation.tolerant_legacy import column_of
from collector.evaluation.uncomputed import Uncomputed, cut
from collector.workers.exchange import Findings, NotComputed, TestOf, Value

MAX_DRIFT = 200
MAX_TESTS = 100
MAX_VALUES = 200
MAX_NOT_COMPUTED = 50
MAX_NAME = 200

_BAD: dict[str, Literal["failed", "error", "warning"]] = {"ERROR": "error", "FAIL": "failed", "WARNING": "warning"}
_WORST_FIRST = ("error", "failed", "warning")  # errors come first: one may mean that a column vanished


@dataclass(frozen=True)
class _Measured:
    """A metric with its parameters, and its numbers by their labels."""

    metric: str
    column: str
    params: Mapping[str, Any]
    numbers: list[tuple[str, Any]]


def of_modern(results: Iterable[MetricResult], drift: SeenDrift, failures: Sequence[Uncomputed]) -> Findings:
    """Return what a modern report found."""
    results = list(results)
    tests = [_modern_test(result, test) for result in results for test in result.tests if _is_bad(test.status)]
    return _findings(drift, tests, map(_modern_measured, results), failures)


def of_legacy(
    shown: Iterable[Any], context: Any, drift: SeenDrift, failures: Sequence[Uncomputed], *, is_suite: bool
) -> Findings:
    """Return what a legacy report found: the values of the metrics that it shows, or of its tests if it is a suite."""
    results = context.test_results
    tests = [_legacy_test(test, result) for test, result in results.items() if _is_bad(result.status)]
    measured = (
        (_legacy_tested(test, result) for test, result in results.items())
        if is_suite
        else (_legacy_measured(metric, context.metric_results.get(metric)) for metric in shown)
    )
    return _findings(drift, tests, measured, failures)


def _findings(
    drift: SeenDrift, tests: list[TestOf], measured: Iterable[_Measured], failures: Sequence[Uncomputed]
) -> Findings:
    tests.sort(key=lambda test: _WORST_FIRST.index(test["status"]))
    values = list(_values(list(measured)))
    values.sort(key=lambda value: value["column"] != "")  # numbers of the whole table come before those of a column
    return {
        "drift": [{**one, "column": _named(one["column"])} for one in drift.worst_first()[:MAX_DRIFT]],
        "failed_tests": tests[:MAX_TESTS],
        "not_computed": [_not_computed(failure) for failure in failures[:MAX_NOT_COMPUTED]],
        "values": values,
    }


def _values(measured: list[_Measured]) -> Iterator[Value]:
    """Yield each number under a name of its own: its label tells parameters that differ between metrics of one kind."""
    alike: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for one in measured:
        alike[one.metric, one.column].append(one.params)
    known: set[tuple[str, str, str]] = set()
    for one in measured:
        apart = _apart(one.params, alike[one.metric, one.column])
        for label, number in one.numbers:
            name = (_named(one.metric), _named(one.column), _named(", ".join(filter(None, [apart, label]))))
            value = _finite(number)
            if name not in known and value is not None:
                known.add(name)
                yield {"metric": name[0], "column": name[1], "label": name[2], "value": value}


def _apart(own: Mapping[str, Any], alike: list[Mapping[str, Any]]) -> str:
    """Say in which parameters a metric differs from others of its kind."""
    names = [name for name, value in own.items() if isinstance(value, str | int | float) and not name.endswith("tests")]
    differing = [name for name in names if len({repr(params.get(name)) for params in alike}) > 1]
    return ", ".join(f"{name}={own[name]}" for name in differing)


def _not_computed(failure: Uncomputed) -> NotComputed:
    return {"metric": _named(failure.what), "column": _named(failure.column or ""), "reason": cut(failure.reason)}


def _is_bad(status: Any) -> bool:
    return status.value in _BAD


def _finite(number: Any) -> float | None:
    """Return a finite number, else None: a metric without a value may have NaN, and JSON has no infinity."""
    if isinstance(number, bool) or not isinstance(number, Real):
        return None
    value = float(number)
    return value if math.isfinite(value) else None


def _named(name: object) -> str:
    text = str(name)
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"


# Modern


def _modern_measured(result: MetricResult) -> _Measured:
    location = result.metric_value_location
    params = {} if location is None else location.metric.params
    return _Measured(_type_of(params), str(params.get("column") or ""), params, list(_modern_numbers(result)))


def _modern_numbers(result: MetricResult) -> Iterator[tuple[str, Any]]:
    if isinstance(result, SingleValue):
        yield "", result.value
    elif isinstance(result, CountValue):
        yield from (("count", result.count.value), ("share", result.share.value))
    elif isinstance(result, MeanStdValue):
        yield from (("mean", result.mean.value), ("std", result.std.value))
    elif isinstance(result, ByLabelValue):
        yield from ((str(label), one.value) for label, one in result.values.items())
    elif isinstance(result, ByLabelCountValue):
        yield from ((f"{label} count", one.value) for label, one in result.counts.items())
        yield from ((f"{label} share", one.value) for label, one in result.shares.items())


def _modern_test(result: MetricResult, test: MetricTestResult) -> TestOf:
    config: MetricConfig = test.metric_config
    status = _BAD[test.status.value]
    return {
        "name": _named(test.name),
        "metric": _named(_type_of(config.params)),
        "column": _named(config.params.get("column") or ""),
        "status": status,
        "value": None if status == "error" else _finite(_tested(result, test.bound_test)),
        "said": cut(test.description),
    }


def _tested(result: MetricResult, bound: Any) -> Any:
    """Return the number that a test checks; None if it isn't there."""
    if isinstance(result, SingleValue):
        return result.value
    if isinstance(result, CountValue):
        return (result.count if getattr(bound, "is_count", True) else result.share).value
    if isinstance(result, MeanStdValue):
        return (result.mean if getattr(bound, "is_mean", True) else result.std).value
    label = getattr(bound, "label", None)
    values = result.values if isinstance(result, ByLabelValue) else {}
    if isinstance(result, ByLabelCountValue):
        values = result.counts if getattr(bound, "slot", "count") == "count" else result.shares
    return getattr(values.get(label), "value", None)


def _type_of(params: Mapping[str, Any]) -> str:
    """Return the short name of a metric's type: the last part, as MinValue of "evidently:metric_v2:MinValue"."""
    return str(params.get("type", "")).rpartition(":")[2]


# Legacy


def _legacy_measured(metric: Any, result: Any) -> _Measured:
    params = metric.dict()  # the result repeats some of them
    numbers = [(name, number) for name, number in _legacy_numbers(result) if name not in params]
    return _Measured(type(metric).__name__, column_of(metric) or "", params, numbers)


def _legacy_numbers(result: Any) -> Iterator[tuple[str, Any]]:
    """Yield the numbers of a result that describe the batch: its own, and those under "current"."""
    for name, value in getattr(result, "__dict__", {}).items():
        if isinstance(value, Real):
            yield name, value
        elif name.startswith("current"):
            yield from ((inner, one) for inner, one in getattr(value, "__dict__", {}).items() if isinstance(one, Real))


def _legacy_tested(test: Any, result: Any) -> _Measured:
    return _Measured(type(test).__name__, column_of(test) or "", test.dict(), [("", _legacy_value(test, result))])


def _legacy_test(test: Any, result: Any) -> TestOf:
    return {
        "name": _named(result.name),
        "metric": _named(type(test).__name__),
        "column": _named(column_of(test) or ""),
        "status": _BAD[result.status.value],
        "value": _finite(_legacy_value(test, result)),
        "said": cut(result.description),
    }


def _legacy_value(test: Any, result: Any) -> Any:
    """Return the number that a test checks; for drift the metric's own number, because the test rounds it."""
    if result.status.value == "ERROR":
        return None
    if hasattr(result.parameters, "score"):
        return test.metric.get_result().drift_score
    return getattr(test, "_value", getattr(result.parameters, "value", None))
