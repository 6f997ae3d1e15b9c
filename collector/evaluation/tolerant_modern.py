"""Running a modern report so that what can't be computed is a failure of its own, and all else is as in a direct run.

Evidently computes each metric in one place, ``Context.calculate_metric``. A metric that raises there gets a result
without values, with a widget that says why, and its tests are errors. Nothing is computed twice, and a report without
a failure comes out as Evidently makes it.

An example: a preset of drift over "age" and "note", and a mean of "age". In the batch each "note" is missing. Evidently
raises at the first line, and there is no snapshot at all. Here it has::

    DriftedColumnsCount     1 of 1 columns; a widget says that "note" isn't counted, and why; its tests are errors
    ValueDrift of "age"     as in a direct run
    ValueDrift of "note"    no value; a widget says why; its tests are errors
    MeanValue of "age"      as in a direct run

A metric that asks for another one has no value where that has none: the error passes through it (``_depth``), and is
told of the outermost, which is the one that the config names.
"""

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pandas as pd
from evidently.core.container import MetricContainer
from evidently.core.datasets import FeatureDescriptor
from evidently.core.metric_types import (
    ByLabelCountCalculation,
    ByLabelCountValue,
    ByLabelValue,
    DataframeCalculation,
    DataframeValue,
    Metric,
    MetricConfig,
    MetricResult,
    MetricTestResult,
    TestStatus,
)
from evidently.core.report import Context, Snapshot, _default_input_data_generator
from evidently.legacy.core import ColumnType
from evidently.legacy.model.widget import BaseWidgetInfo, link_metric
from evidently.legacy.renderers.html_widgets import CounterData, WidgetSize, counter
from evidently.metrics import ValueDrift
from evidently.presets import DataDriftPreset
from evidently.pydantic_utils import all_subclasses

from collector.evaluation.fitting import ROLES, TYPES
from collector.evaluation.table_drift import TableDrift, over_computable_columns
from collector.evaluation.uncomputed import (
    PASSING,
    RAISED,
    NotComputedError,
    Uncomputed,
    comparable,
    nothing_computed,
    reason_of,
    sides_of,
    told_without,
)

_WITH_DRIFT = (ColumnType.Numerical, ColumnType.Categorical, ColumnType.Text)
_WITHOUT_DRIFT = tuple(kind for kind in ColumnType if kind not in _WITH_DRIFT)


def run(
    report: Any,
    current: Any,
    reference: Any,
    additional: dict[str, Any],
    *,
    undescribed: Sequence[tuple[Any, str]],
    **of_snapshot: Any,
) -> tuple[Any, list[Uncomputed]]:
    """Do what ``Report.run`` does; return the snapshot, and what it lacks.

    ``undescribed`` are the descriptors that raised, with the reasons. Raises NotComputedError if nothing could be
    computed.
    """
    with over_computable_columns() as drift, _tolerant_containers():
        done = _TolerantSnapshot(report, drift, **of_snapshot)
        for descriptor, reason in undescribed:
            done.context.stand_in_for(descriptor, getattr(descriptor, "column_name", None), reason)
        done.run(current, reference, additional)
    failures = done.context.failures
    if failures and all(done.context.has_failed(name) for name in done.metric_results):
        raise nothing_computed(failures)
    return done, failures


class _TolerantSnapshot(Snapshot):  # type: ignore[misc]  # Evidently has no types
    _widgets: list[BaseWidgetInfo]

    def __init__(self, report: Any, drift: TableDrift, **of_snapshot: Any) -> None:
        super().__init__(report, **of_snapshot)
        self._context = _TolerantContext(report, drift)

    @property
    def context(self) -> "_TolerantContext":
        return self._context

    def run(self, current_data: Any, reference_data: Any, additional_data: Any = None) -> None:
        """Compute all that can be computed; what failed before comes first."""
        failed = [widget for one in self._context.stand_ins.values() for widget in one.get_widgets()]
        super().run(current_data, reference_data, additional_data)
        self._widgets = [*failed, *self._widgets]

    def _run_items(self, items: Any, metric_results: Any) -> Any:
        done = super()._run_items(items, metric_results)
        metric_results.update(self._context.stand_ins)
        return done


class _TolerantContext(Context):  # type: ignore[misc]  # Evidently has no types
    """A context in which a metric's failure stays with it.

    ``stand_ins`` are results in place of things that aren't metrics: a preset that raises when asked for its metrics,
    or a descriptor.
    """

    _current_graph_level: dict[str, Any]

    def __init__(self, report: Any, drift: TableDrift) -> None:
        super().__init__(report)
        self.failures: list[Uncomputed] = []
        self.stand_ins: dict[str, MetricResult] = {}
        self._failed: dict[str, Uncomputed] = {}
        self._drift = drift
        self._depth = 0  # how many metrics are being computed, one inside the other
        self._lacking: dict[str, str] = {}  # columns that a table's drift lacks, on which this metric depends

    def has_failed(self, metric_id: str) -> bool:
        """Tell whether a metric, or what stands in its place, has no value."""
        return metric_id in self._failed

    def calculate_metric(self, calc: Any) -> Any:
        """Return a metric's result, without values if it raised; raise if another metric asked for it."""
        if calc.id in self._failed and not self._depth:
            return self._metrics[calc.id]
        self._raise_if_failed(calc.id)
        is_first, level = calc.id not in self._metrics, self._current_graph_level
        if not self._depth:
            self._lacking = {}
        self._depth += 1
        try:
            result = super().calculate_metric(calc)
        except PASSING:
            raise
        except RAISED as error:
            self._current_graph_level = level[calc.id]  # computing other metrics inside has changed it
            if calc.id in self._metrics:  # its tests raised, not the metric
                result = self._metrics[calc.id]
                result.set_tests(self._run_tests(calc, result))
            elif self._depth > 1:
                raise  # the metric that asked for it has no value either
            else:
                return self._fail_metric(calc, error)
        finally:
            self._current_graph_level = level
            self._depth -= 1
        if is_first and not self._depth and self._lacking:
            self._mark_incomplete(calc, result)
        return result

    def get_metric_result(self, metric: Any) -> Any:
        """Return a result; raise for a failed metric, from which nothing can be made."""
        self._raise_if_failed(
            metric if isinstance(metric, str) else metric.metric_id if isinstance(metric, Metric) else metric.id
        )
        return super().get_metric_result(metric)

    def get_legacy_metric(self, metric: Any, input_data_generator: Any, task_name: str | None) -> Any:
        """Compute a legacy metric over the columns that both sides have: it raises if it is given others."""
        generate = input_data_generator or _default_input_data_generator
        shared = self._of_shared_columns()
        done = super().get_legacy_metric(metric, lambda _, task: generate(shared, task), task_name)
        self._lacking |= self._drift.missing_from(done[0])
        return done

    def widgets_of(self, metric: Any) -> list[BaseWidgetInfo]:
        """Return the widgets of a metric that was computed or has failed."""
        result = self._metrics.get(metric.metric_id)
        return [] if result is None else result.get_widgets()

    def stand_in_for(self, thing: Any, column: str | None, reason: str, *, has_test: bool = True) -> None:
        """Put a result without values in place of something that isn't a metric."""
        key = thing.get_fingerprint()
        failure = self._fail(key, Uncomputed(_name_of(thing), column, reason))
        config = MetricConfig(metric_id=key, params={"type": thing.__get_type__(), **thing.dict(exclude_none=True)})
        result = ByLabelValue(display_name=failure.title, values={}, widget=[_widget(failure)])
        result.set_metric_location(config)
        if self.configuration.include_tests and has_test:
            result.set_tests([_error_test("error", failure, config)])
        link_metric(result.widget, key)
        self._metrics[key] = self.stand_ins[key] = result
        self._metrics_graph[key] = {"_self": None}

    def reason_for(self, thing: Any, error: BaseException) -> str:
        """Say why a metric or a preset raised."""
        column = _column_of(thing)
        columns = _columns_of_task(thing, self.data_definition) if column is None else [column]
        if hasattr(thing, "metric") and hasattr(thing, "column_name"):
            columns = [*columns, thing.column_name]  # the column by which rows are grouped
        return reason_of(error, columns, sides_of(*self._frames()))

    def metrics_of(self, container: MetricContainer, generate: Callable[..., Any]) -> list[Any]:
        """Return a preset's metrics; drift is that of all columns of the reference that have values, vanished ones too.

        A column that only the batch has can't be compared; only what names it asks for it.
        """
        reference = self._input_data[1]
        names = getattr(container, "columns", None)
        if reference is None or not isinstance(names, list | None):
            return list(generate(container, self))
        if names is not None:  # a column that the preset names is asked for, whether or not the batch has it
            skipped = _WITHOUT_DRIFT if isinstance(container, DataDriftPreset) else (ColumnType.Unknown,)
            types = _WithTypesOf(self.data_definition, reference.data_definition, skipped)
            return list(generate(container, _View(self, types)))
        made = list(generate(container, self))
        if _column_of(container) is None:
            added = self._added()
            made = [one for one in made if _column_of(one) not in added]
        asked = {one.column for one in made if isinstance(one, ValueDrift)}
        if not asked:
            return made
        there, known = (comparable(side.as_dataframe()) for side in self._input_data)
        of_reference = container.generate_metrics(_View(self, reference.data_definition))
        vanished = [one for one in of_reference if isinstance(one, ValueDrift) and one.column not in asked | there]
        return [one for one in (*made, *vanished) if not isinstance(one, ValueDrift) or one.column in known]

    def _frames(self) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        current, reference = self._input_data
        return current.as_dataframe(), None if reference is None else reference.as_dataframe()

    def _added(self) -> set[str]:
        """Name the columns that only the batch has, without those of descriptors, which may have failed on one side."""
        current, reference = self._frames()
        made = self.data_definition.numerical_descriptors + self.data_definition.categorical_descriptors
        return set() if reference is None else {str(name) for name in current if name not in {*reference, *made}}

    def _of_shared_columns(self) -> Any:
        current, reference = self._frames()
        if reference is None or set(current) == set(reference):
            return self
        whole, shared = self.data_definition, {name for name in current if name in reference}
        lists = {name: [one for one in getattr(whole, name) or [] if one in shared] for name in TYPES}
        roles = {name: getattr(whole, name) if getattr(whole, name) in shared else None for name in ROLES}
        return _View(self, whole.copy(update=lists | roles))

    def _raise_if_failed(self, metric_id: str) -> None:
        if metric_id in self._failed:
            raise NotComputedError(str(self._failed[metric_id]))

    def _fail(self, key: str, failure: Uncomputed) -> Uncomputed:
        self._failed[key] = failure
        self.failures.append(failure)
        return failure

    def _fail_metric(self, calc: Any, error: BaseException) -> Any:
        metric = calc.to_metric()
        failure = self._fail(
            calc.id, Uncomputed(type(metric).__name__, _column_of(metric), self.reason_for(metric, error))
        )
        result = _without_values(calc, failure)
        config = calc.to_metric_config()
        link_metric(result.widget, metric)
        result.set_metric_location(config)
        result.set_tests(list(self._error_tests(calc, failure, config)))
        self._metrics[calc.id] = result
        return result

    def _error_tests(self, calc: Any, failure: Uncomputed, config: MetricConfig) -> Iterator[MetricTestResult]:
        """Make an ERROR of each test of a failed metric; or a single one, if the report wants tests for all metrics."""
        metric = calc.to_metric()
        try:
            bound = list(dict.fromkeys(metric.get_bound_tests(self)))
        except PASSING:
            raise
        except RAISED:  # its default tests depend on its value
            bound = []
        yield from (_error_test(_short_name(one.test), failure, config, one) for one in bound)
        has_own = any(getattr(metric, name) is not None for name in metric.__fields__ if name.endswith("tests"))
        if not bound and not has_own and self.configuration.include_tests:
            yield _error_test("error", failure, config)

    def _run_tests(self, calc: Any, result: Any) -> list[MetricTestResult]:
        """Run a metric's tests one by one, because one of them raises."""
        metric, config = calc.to_metric(), calc.to_metric_config()
        try:
            bound = list(dict.fromkeys(metric.get_bound_tests(self)))
        except PASSING:
            raise
        except RAISED as error:
            return [_error_test("error", self._failed_test(metric, "Default test", error), config)]
        return [self._run_test(calc, result, one, config) for one in bound]

    def _run_test(self, calc: Any, result: Any, bound: Any, config: MetricConfig) -> MetricTestResult:
        try:
            done: MetricTestResult = bound.run_test(self, calc, result)
        except PASSING:
            raise
        except RAISED as error:
            failure = self._failed_test(calc.to_metric(), type(bound.test).__name__, error)
            return _error_test(_short_name(bound.test), failure, config, bound)
        return done

    def _failed_test(self, metric: Any, name: str, error: BaseException) -> Uncomputed:
        reason = self.reason_for(metric, error)
        failure = Uncomputed(f"{name} of {type(metric).__name__}", _column_of(metric), reason)
        self.failures.append(failure)
        return failure

    def _mark_incomplete(self, calc: Any, result: Any) -> None:
        """Show the columns that a drifted-columns count lacks; its tests become ERROR, as in a direct run."""
        metric = calc.to_metric()
        failures = [Uncomputed(type(metric).__name__, *one, is_partial=True) for one in self._lacking.items()]
        self.failures += failures
        widgets = [_widget(failure) for failure in failures]
        link_metric(widgets, metric)
        result.widget = [*result.get_widgets(), *widgets]
        result.set_tests(
            [
                test.copy(
                    update={"status": TestStatus.ERROR, "description": told_without(self._lacking, test.description)}
                )
                for test in result.tests
            ]
        )


class _View:
    """A context with another data definition."""

    def __init__(self, context: _TolerantContext, data_definition: Any) -> None:
        self._context = context
        self.data_definition = data_definition

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


class _WithTypesOf:
    """A data definition that also knows the types of another one's columns, but for those that a preset can't take."""

    def __init__(self, own: Any, other: Any, skipped: Collection[ColumnType]) -> None:
        self._own = own
        self._other = other
        self._skipped = skipped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def get_column_type(self, column_name: str) -> ColumnType:
        """Return a column's type; a column of none, which its own metric fails for, counts as numerical."""
        types = (of.get_column_type(column_name) for of in (self._own, self._other))
        return next((kind for kind in types if kind not in self._skipped), ColumnType.Numerical)


@contextmanager
def _tolerant_containers() -> Iterator[None]:
    """Let presets do without their metrics that raise when listed, and without a common picture that raises."""
    with ExitStack() as stack:
        for cls in (MetricContainer, *all_subclasses(MetricContainer)):
            for name, tolerant in (("metrics", _tolerant_metrics), ("render", _tolerant_render)):
                if name in cls.__dict__:
                    stack.enter_context(patch.object(cls, name, tolerant(cls.__dict__[name])))
        yield


def _tolerant_metrics(original: Callable[..., Any]) -> Callable[..., Any]:
    def metrics(self: MetricContainer, context: _TolerantContext) -> Any:
        key = self.get_fingerprint()
        if (known := context.metrics_container(key)) is not None:
            return known
        try:
            asked = context.metrics_of(self, original)
        except PASSING:
            raise
        except RAISED as error:
            reason = context.reason_for(self, error)
            context.stand_in_for(self, _column_of(self), reason, has_test=self.include_tests)
            asked = []
        context.set_metric_container_data(key, asked)
        return asked

    return metrics


def _tolerant_render(original: Callable[..., Any]) -> Callable[..., Any]:
    def render(self: MetricContainer, context: _TolerantContext, child_widgets: Any = None) -> Any:
        if (stand_in := context.stand_ins.get(self.get_fingerprint())) is not None:
            return stand_in.get_widgets()
        try:
            return original(self, context, child_widgets)
        except PASSING:
            raise
        except RAISED:  # one of its metrics has no value, so each is shown by itself
            children = [widgets for _, widgets in child_widgets or []]
            return list(itertools.chain(*(children or [context.widgets_of(one) for one in self.list_metrics(context)])))

    return render


def _without_values(calc: Any, failure: Uncomputed) -> MetricResult:
    """Return a result of Evidently's that has no value. NaN wouldn't do: it makes a point, which SQLite refuses."""
    shown = {"display_name": calc.display_name(), "widget": [_widget(failure)]}
    of = getattr(calc, "calculation", calc)  # a calculation by groups holds another one
    if isinstance(of, ByLabelCountCalculation):
        return ByLabelCountValue(counts={}, shares={}, **shown)
    if isinstance(of, DataframeCalculation):
        return DataframeValue(value=pd.DataFrame(), **shown)
    return ByLabelValue(values={}, **shown)


def _error_test(short_name: str, failure: Uncomputed, config: MetricConfig, bound: Any = None) -> MetricTestResult:
    return MetricTestResult(
        id=short_name,
        name=f"{failure.title}: {short_name}",
        description=str(failure),
        metric_config=config,
        test_config={} if bound is None else bound.test.dict(),
        status=TestStatus.ERROR,
        bound_test=bound,
    )


def _widget(failure: Uncomputed) -> BaseWidgetInfo:
    said = CounterData(label=f"{failure.became}: {failure.reason}", value="error")
    return counter(title=failure.title, size=WidgetSize.FULL, counters=[said])


def _short_name(test: Any) -> str:
    return getattr(test, "__short_name__", None) or type(test).__name__


def _name_of(thing: Any) -> str:
    """Return the name of a preset or descriptor in messages; for a wrapped legacy feature the class says nothing."""
    return str(thing.alias) if isinstance(thing, FeatureDescriptor) else type(thing).__name__


def _column_of(thing: Any) -> str | None:
    column = getattr(thing, "column", None) or getattr(getattr(thing, "metric", None), "column", None)
    return None if column is None else str(column)


def _columns_of_task(thing: Any, definition: Any) -> list[str]:
    """Name the columns that a metric of this task needs."""
    tasks = [
        getattr(definition, f"get_{kind}")(getattr(thing, f"{kind}_name"))
        for kind in ("classification", "regression", "ranking")
        if hasattr(thing, f"{kind}_name")
    ]
    names = [getattr(task, name, None) for task in tasks for name in ("target", "prediction", "user_id", "item_id")]
    return [name for name in names if isinstance(name, str)]
