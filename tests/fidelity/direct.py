"""Evidently run without us; where a preset raises as a whole, its metrics are run one by one."""

import json

from evidently import Dataset, Report
from evidently.core.container import MetricContainer
from evidently.core.report import Context, ReferenceMetricNotFound, Snapshot
from evidently.legacy.base_metric import ErrorResult
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.test_suite import TestSuite as LegacySuite
from evidently.legacy.utils import NumpyEncoder

from collector.evaluation.definition import read_data_definition
from collector.evaluation.reader import Reader
from collector.evaluation.report import read_legacy, read_modern
from collector.generation import generation_of

from .comparing import WHOLE

_RAISED = (Exception, ReferenceMetricNotFound)


def values(config, definition, current, reference):
    """Return each metric or test by its name: ("value", what it has) or ("error", why it has none)."""
    if generation_of(config) == "modern":
        return _modern(config, definition, current, reference)
    return _legacy(config, current, reference)


def simple(value):
    """Return it as JSON has it."""
    return json.loads(json.dumps(value, cls=NumpyEncoder, default=str), parse_constant=str)


def of_modern(snapshot):
    """Return the metrics of a run, with their tests."""
    return {name: ("value", _of_result(result)) for name, result in snapshot.metric_results.items()}


def of_legacy(done):
    """Return the metrics of a legacy Report, or the tests of a TestSuite; none of it is read from errors' texts."""
    context = done._inner_suite.context  # noqa: SLF001
    if isinstance(done, LegacySuite):
        return {
            f"{type(test).__name__} {result.name} {_column(test)}": ("error", result.description)
            if result.status.value == "ERROR"
            else ("value", [result.description, result.status.value])
            for test, result in context.test_results.items()
        }
    return {
        f"{type(metric).__name__} {metric.get_fingerprint()}": ("error", str(context.metric_results[metric].exception))
        if isinstance(context.metric_results[metric], ErrorResult)
        else ("value", simple(context.metric_results[metric].get_dict(False, None, None)))
        for metric in done._first_level_metrics  # noqa: SLF001
    }


def _of_result(result):
    return [simple(result.to_dict()["value"]), sorted([test.name, test.status.value] for test in result.tests)]


def _modern(config, definition, current, reference):
    made = None if definition is None else read_data_definition(definition, Reader(), [])

    def run(metrics):
        sides = [Dataset.from_pandas(frame, made) for frame in (current, reference)]
        done = Report(metrics, include_tests=True).run(*sides)
        return of_modern(Snapshot.loads(done.dumps()))  # what saving and loading does to labels is Evidently's

    metrics = read_modern(config, Reader()).metrics
    try:
        return run(metrics)
    except _RAISED:
        context = Context(Report(metrics, include_tests=True))
        context.init_dataset(*[Dataset.from_pandas(frame, made) for frame in (current, reference)])
        found = {}
        for metric in _leaves(metrics, context):
            try:
                found |= run([metric])
            except _RAISED as error:
                found[metric.metric_id] = ("error", f"{type(metric).__name__}: {error}")
        return found


def _leaves(items, context):
    for item in items:
        if isinstance(item, MetricContainer):
            yield from _leaves(item.metrics(context), context)
        else:
            yield item


def _legacy(config, current, reference):
    built = read_legacy(config, Reader(legacy=True))
    done = LegacySuite(tests=built.tests) if built.tests else LegacyReport(metrics=built.metrics)
    try:
        done.run(reference_data=reference.copy(), current_data=current.copy(), column_mapping=ColumnMapping())
    except _RAISED as error:
        return {WHOLE: ("error", f"{type(error).__name__}: {error}")}
    return of_legacy(done)


def _column(test):
    column = getattr(test, "column_name", None)
    return getattr(column, "name", column)
