"""Running a legacy Report or TestSuite so that its snapshot holds all that could be computed, and says what could not.

Evidently keeps each metric's and test's error apart. What it lacks is a snapshot that can be loaded and drawn again:
its ErrorResult can't be loaded, and some tests can't be drawn without a metric's result. Others of its classes stand
in their place.
"""

from collections.abc import Callable, Iterator
from typing import Any

from evidently.legacy.base_metric import ErrorResult, Metric
from evidently.legacy.calculation_engine.python_engine import PythonEngine
from evidently.legacy.metrics import ClassificationProbDistribution
from evidently.legacy.metrics.custom_metric import CustomCallableMetricResult, CustomValueMetric
from evidently.legacy.report import Report
from evidently.legacy.suite.base_suite import _discover_dependencies, find_metric_renderer, find_test_renderer
from evidently.legacy.tests import TestColumnNumberOfMissingValues, TestNumberOfRows, TestRocAuc
from evidently.legacy.tests.base_test import TestResult, TestStatus
from evidently.legacy.utils.data_preprocessing import create_data_definition

from collector.evaluation.table_drift import TableDrift, over_computable_columns
from collector.evaluation.uncomputed import (
    PASSING,
    Sides,
    Uncomputed,
    cut,
    nothing_computed,
    reason_of,
    sides_of,
    told_without,
)

# Their pictures may fail although they were computed: one needs probabilities of a label that no row may have, the
# other a curve, which a missing probability stops. All others can be drawn once they are computed.
_MAY_NOT_BE_DRAWN = (ClassificationProbDistribution, TestRocAuc)
_NO_FUNCTION = "evidently.not_computed"  # the function's name that a custom value must have


def run(runnable: Any, given: dict[str, Any]) -> list[Uncomputed]:
    """Run it as ``runnable.run(**given)`` does, and make its context one that can be saved.

    Returns what could not be computed.

    Raises NotComputedError if that is all.
    """
    sides = sides_of(given["current_data"], given["reference_data"])
    with over_computable_columns() as drift:
        silent = _run(runnable, given, sides)
        context = runnable._inner_suite.context  # noqa: SLF001  # Evidently's own workspaces read it too
        _raise_passing(context)
        incomplete = _mark_incomplete(context, drift)
    settle = _settle_report if isinstance(runnable, Report) else _settle_tests
    failures, computed = settle(runnable, context, [*silent, *incomplete], sides)
    if failures and not computed:
        raise nothing_computed(failures)
    return failures


def _run(runnable: Any, given: dict[str, Any], sides: Sides) -> list[Uncomputed]:
    """Run it without the presets that raise when they are asked for their metrics; return those."""
    given = {**given, "engine": _tolerant_engine}
    try:
        runnable.run(**given)
    except PASSING:
        raise
    except Exception:
        silent = list(_without_silent(runnable, given, sides))
        if not silent:
            raise
        runnable.run(**given)
        return silent
    return []


def _tolerant_engine() -> PythonEngine:
    """Return Evidently's engine, changed so that a derived column that raises is missing only for those who need it."""
    engine = PythonEngine()
    calculate: Callable[..., dict[Any, Any]] = engine.calculate_additional_features

    def calculated(data: Any, features: list[Any], options: Any) -> dict[Any, Any]:
        try:
            return calculate(data, features, options)
        except PASSING:
            raise
        except Exception:  # noqa: BLE001  # whatever one of them raises
            return _each(calculate, data, features, options)

    # not in a subclass: Evidently finds metrics by the engine's class
    engine.calculate_additional_features = calculated
    return engine


def _each(calculate: Callable[..., Any], data: Any, features: list[Any], options: Any) -> dict[Any, Any]:
    done: dict[Any, Any] = {}
    for feature in features:
        try:
            done |= calculate(data, [feature], options)
        except PASSING:
            raise
        except Exception:  # noqa: BLE001, S112  # the metrics that want the column say that it is missing
            continue
    return done


def _without_silent(runnable: Any, given: dict[str, Any], sides: Sides) -> Iterator[Uncomputed]:
    """Take out presets and generators that raise when they are asked for their metrics."""
    definition = create_data_definition(given["reference_data"], given["current_data"], given["column_mapping"])
    for name in ("metrics", "_test_presets", "_test_generators"):
        items = getattr(runnable, name, None) or []
        for item in list(items):
            try:
                _generate(item, definition, given["additional_data"])
            except PASSING:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it raises is its own
                items.remove(item)
                yield Uncomputed(type(item).__name__, None, reason_of(error, [], sides))


def _generate(item: Any, definition: Any, additional_data: Any) -> None:
    for name in ("generate_metrics", "generate_tests"):
        if hasattr(item, name):
            made = list(getattr(item, name)(definition, additional_data=additional_data))
            for generator in [one for one in made if hasattr(one, "generate")]:
                list(generator.generate(definition))
            return
    if hasattr(item, "generate"):
        list(item.generate(definition))


def _raise_passing(context: Any) -> None:
    """Raise errors that aren't a metric's own, such as MemoryError: Evidently has caught everything."""
    for result in (*context.metric_results.values(), *context.test_results.values()):
        error = getattr(result, "exception", None)
        if isinstance(error, PASSING):
            raise error


def _mark_incomplete(context: Any, drift: TableDrift) -> list[Uncomputed]:
    """Set tests of a drifted-columns count to ERROR if it lacks columns, as in a direct run; return what it lacks."""
    lacking = {metric: drift.missing_from(result) for metric, result in context.metric_results.items()}
    for test, result in context.test_results.items():
        lacks: dict[str, str] = {}
        for _, one in _discover_dependencies(test):
            lacks |= lacking.get(one, {}) if isinstance(one, Metric) else {}
        if lacks and not _is_error(result) and column_of(test) in (None, *lacks):
            result.mark_as_error(told_without(lacks, result.description))
    reasons = {name: reason for lacks in lacking.values() for name, reason in lacks.items()}
    return [Uncomputed("Drift", name, reason, is_partial=True) for name, reason in reasons.items()]


def _settle_report(
    report: Any, context: Any, failures: list[Uncomputed], sides: Sides
) -> tuple[list[Uncomputed], bool]:
    """Show failures as custom values; return all failures, and whether anything was computed."""
    first_level = report._first_level_metrics  # noqa: SLF001  # what is shown, in its order
    stand_ins, wrong = _replace_errors(context, sides)
    added = [_stand_in(failure, str(number)) for number, failure in enumerate(failures)]
    for one in added:
        _enter(context, one)
    report._first_level_metrics = [stand_ins.get(one, one) for one in first_level] + added  # noqa: SLF001
    failed = [wrong[one] for one in first_level if one in wrong]
    return [*failures, *failed], len(failed) < len(first_level)


def _settle_tests(_: Any, context: Any, failures: list[Uncomputed], sides: Sides) -> tuple[list[Uncomputed], bool]:
    """Give each test with an error a result that can be drawn; return failures, and whether any test has a result."""
    _, wrong = _replace_errors(context, sides)
    failed = [_settle(test, result, wrong) for test, result in context.test_results.items() if _is_error(result)]
    settled = {
        _drawable(test, context, number) if _is_error(result) or isinstance(test, _MAY_NOT_BE_DRAWN) else test: result
        for number, (test, result) in enumerate(context.test_results.items())
    }
    has_result = len(failed) < len(settled)
    for failure in [one for one in failures if not one.is_partial]:
        test = _stand_in_test(None, len(settled))
        settled[test] = TestResult(
            name=failure.what, description=str(failure), status=TestStatus.ERROR, group=test.group, parameters=None
        )
    for test in settled:
        test.set_context(context)
    context.test_results, context.tests = settled, list(settled)
    return [*failures, *failed], has_result


def _replace_errors(context: Any, sides: Sides) -> tuple[dict[Metric, Metric], dict[Metric, Uncomputed]]:
    """Put a custom value in place of each error; return those values by metric, and the failures."""
    raised = {metric: _raised(metric, result, context) for metric, result in context.metric_results.items()}
    wrong = {metric: _failure(metric, error, sides) for metric, error in raised.items() if error is not None}
    stand_ins = {metric: _stand_in(failure, metric.get_fingerprint()) for metric, failure in wrong.items()}
    results, context.metric_results = context.metric_results, {}
    for metric, result in results.items():
        if metric in wrong:
            _enter(context, stand_ins[metric])
        else:
            context.metric_results[metric] = result
    return stand_ins, wrong


def _raised(metric: Any, result: Any, context: Any) -> BaseException | None:
    """Return what a metric or its picture raised: nobody could open a report with such a picture."""
    if isinstance(result, ErrorResult):
        error: BaseException = result.exception
        return error
    if isinstance(metric, _MAY_NOT_BE_DRAWN):
        try:
            find_metric_renderer(type(metric), context.renderers).render_html(metric)
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001  # whatever its picture raises
            return error
    return None


def _enter(context: Any, stand_in: CustomValueMetric) -> None:
    context.metric_results[stand_in] = CustomCallableMetricResult(value=float("nan"))
    stand_in.set_context(context)


def _stand_in(failure: Uncomputed, key: str) -> CustomValueMetric:
    return CustomValueMetric(func=f"{_NO_FUNCTION}.{key}", title=f"Error: {failure}")


def _settle(test: Any, result: Any, wrong: dict[Metric, Uncomputed]) -> Uncomputed:
    """Say why a test is an error, and shorten its result's text: Evidently may quote a whole column there."""
    result.description = cut(result.description)
    reasons = [wrong[one].reason for _, one in _discover_dependencies(test) if isinstance(one, Metric) and one in wrong]
    return Uncomputed(result.name, column_of(test), next(iter(reasons), result.description))


def _drawable(test: Any, context: Any, number: int) -> Any:
    try:
        find_test_renderer(type(test), context.renderers).render_html(test)
    except PASSING:
        raise
    except BaseException:  # noqa: BLE001  # it wants the result of a metric that has none
        return _stand_in_test(column_of(test), number)
    return test


def _stand_in_test(column: str | None, number: int) -> Any:
    """Return a test that is drawn from its result alone, and names the column; ``number`` tells several apart."""
    if column is None:
        return TestNumberOfRows(eq=-1 - number)
    return TestColumnNumberOfMissingValues(column_name=column, eq=-1 - number)


def _is_error(result: Any) -> bool:
    return bool(result.status == TestStatus.ERROR)


def _failure(metric: Any, error: BaseException, sides: Sides) -> Uncomputed:
    column = column_of(metric)
    return Uncomputed(type(metric).__name__, column, reason_of(error, [] if column is None else [column], sides))


def column_of(of: Any) -> str | None:
    """Return the name of the column that a metric or a test is of; None if it is of all."""
    column = getattr(of, "column_name", None)
    name = getattr(column, "name", column)
    return None if name is None else str(name)
