"""What a report found: the same values, tests and drift as Evidently gives when it is called directly."""

# ruff: noqa: SLF001  # where Evidently keeps its results
import json
import math

import numpy as np
import pandas as pd
import pytest
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.legacy.collector.config import ReportConfig
from evidently.legacy.metrics import ColumnDriftMetric, ColumnQuantileMetric, DataDriftTable, RegressionQualityMetric
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.test_preset import DataDriftTestPreset, DataQualityTestPreset
from evidently.legacy.test_suite import TestSuite as LegacySuite
from evidently.metrics import (
    Accuracy,
    DriftedColumnsCount,
    MeanValue,
    QuantileValue,
    RowCount,
    UniqueValueCount,
    ValueDrift,
)
from evidently.metrics.column_statistics import MissingValueCount
from evidently.presets import ClassificationPreset, DataDriftPreset
from evidently.tests import lt

from collector.evaluation import findings
from collector.evaluation.uncomputed import MAX_REASON

pytestmark = pytest.mark.filterwarnings("ignore")  # Evidently warns when it is called directly, to compare with
N = 200


def events(seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, N).astype(float) + shift,
            "income": rng.normal(50 + shift / 3, 9, N),
            "plan": rng.choice(["a", "b", "c"], N),
            "churned": rng.choice([0, 1], N),
            "predicted": rng.choice([0, 1], N),
        }
    )


REFERENCE, SHIFTED = events(1), events(2, 20.0)
CLASSES = {"classification": [{"type": "BinaryClassification", "target": "churned", "prediction_labels": "predicted"}]}
MAPPING = {"target": "income", "prediction": "age"}


def modern(metrics, **others):
    return json.loads(json.dumps({"metrics": [json.loads(one.json()) for one in metrics], **others}))


def legacy(runnable, current=SHIFTED):
    """Run it directly, and return it with the config that a collector has of it."""
    mapping = ColumnMapping(**MAPPING)
    runnable.run(current_data=current, reference_data=REFERENCE, column_mapping=mapping)
    is_suite = isinstance(runnable, LegacySuite)
    config = ReportConfig.from_test_suite(runnable) if is_suite else ReportConfig.from_report(runnable)
    return runnable._inner_suite.context, json.loads(config.json())


def drift_of(results):
    """Return by column what Evidently's own drift results say."""
    return {one.column_name: (one.drift_detected, one.drift_score, one.stattest_threshold) for one in results}


def seen(found):
    return {one["column"]: (one["is_drifted"], one["score"], one["threshold"]) for one in found["drift"]}


def valued(found, metric):
    return {(one["column"], one["label"]): one["value"] for one in found["values"] if one["metric"] == metric}


def test_drift_is_that_of_evidently_the_worst_first(evaluate):
    context, _ = legacy(LegacyReport([DataDriftTable()]))
    [table] = context.metric_results.values()
    found = evaluate(modern([DataDriftPreset()]), SHIFTED, REFERENCE)["findings"]
    assert seen(found) == drift_of(table.drift_by_columns.values())
    told = [one["is_drifted"] for one in found["drift"]]
    assert told == sorted(told, reverse=True)
    assert [one["column"] for one in found["drift"]][:2] == ["age", "income"]  # p-values of less and less drift
    scores = [one["score"] for one in found["drift"]]
    assert scores == sorted(scores)


@pytest.mark.parametrize(("method", "drifted"), [("psi", True), ("ks", True), ("ks", False), ("wasserstein", False)])
def test_a_drift_of_its_own_says_whether_it_is_one_by_any_method(evaluate, method, drifted):
    """The modern result has the score alone, and nothing says which methods count downwards."""
    current = SHIFTED if drifted else REFERENCE
    [one] = evaluate(modern([ValueDrift(column="age", method=method)]), current, REFERENCE)["findings"]["drift"]
    context, _ = legacy(LegacyReport([ColumnDriftMetric(column_name="age", stattest=method)]), current)
    [direct] = context.metric_results.values()
    assert (one["is_drifted"], one["score"]) == (drifted, direct.drift_score)
    assert (one["method"], one["threshold"]) == (direct.stattest_name, direct.stattest_threshold)


def test_a_column_is_told_once_by_each_method_whoever_asks(evaluate):
    metrics = [DataDriftPreset(columns=["age"]), ValueDrift(column="age"), ValueDrift(column="age", method="psi")]
    found = evaluate(modern(metrics), SHIFTED, REFERENCE)["findings"]
    assert [(one["column"], one["method"]) for one in found["drift"]] == [
        ("age", "K-S p_value"),
        ("age", "PSI"),
    ]


@pytest.mark.parametrize("fast_reports", [True, False])
def test_the_count_of_drifted_columns_alone_names_them(evaluate, fast_reports):
    outcome = evaluate({"metrics": ["DriftedColumnsCount"]}, SHIFTED, REFERENCE, fast_reports=fast_reports)
    assert [one["column"] for one in outcome["findings"]["drift"] if one["is_drifted"]] == [
        "age",
        "income",
        "plan",
    ]
    assert outcome["drifted_columns"] == 3


def test_values_are_those_of_a_direct_run(evaluate):
    outcome = evaluate({"metrics": ["ClassificationPreset"]}, SHIFTED, REFERENCE, data_definition=CLASSES)
    found = outcome["findings"]
    task = BinaryClassification(target="churned", prediction_labels="predicted")
    sides = [Dataset.from_pandas(one, DataDefinition(classification=[task])) for one in (SHIFTED, REFERENCE)]
    direct = Report([ClassificationPreset()]).run(*sides)
    by_name = {one["metric_name"].partition("(")[0]: one["value"] for one in direct.dict()["metrics"]}
    assert valued(found, "Accuracy") == {("", ""): by_name["Accuracy"]}
    assert valued(found, "F1ByLabel") == {("", str(label)): one for label, one in by_name["F1ByLabel"].items()}
    assert {one["metric"] for one in found["values"]} == set(by_name)
    assert (found["drift"], found["failed_tests"], found["not_computed"]) == ([], [], [])


def test_numbers_of_one_metric_are_told_apart_by_label_and_by_what_its_parameters_differ_in(evaluate):
    metrics = [
        QuantileValue(column="age", quantile=0.25),
        QuantileValue(column="age", quantile=0.75),
        QuantileValue(column="income", quantile=0.75),
        MissingValueCount(column="age"),
        UniqueValueCount(column="plan"),
    ]
    found = evaluate(modern(metrics), SHIFTED)["findings"]
    quarter, three = np.quantile(SHIFTED["age"], [0.25, 0.75])
    assert valued(found, "QuantileValue") == pytest.approx(
        {
            ("age", "quantile=0.25"): quarter,
            ("age", "quantile=0.75"): three,
            ("income", ""): np.quantile(SHIFTED["income"], 0.75),
        }
    )
    assert valued(found, "MissingValueCount") == {("age", "count"): 0.0, ("age", "share"): 0.0}
    counts = SHIFTED["plan"].value_counts()
    said = {("plan", f"{name} count"): count for name, count in counts.items()}
    assert valued(found, "UniqueValueCount") == said | {
        ("plan", f"{name} share"): count / N for name, count in counts.items()
    }


def test_values_of_all_rows_come_before_those_of_a_column_and_none_is_not_a_number(evaluate):
    found = evaluate(modern([MeanValue(column="age"), RowCount()]), SHIFTED.assign(age=np.nan))["findings"]
    assert found["values"] == [{"metric": "RowCount", "column": "", "label": "", "value": N}]


def test_failing_tests_are_those_of_a_direct_run_with_their_values(evaluate):
    metrics = [
        MeanValue(column="age", tests=[lt(1)]),
        MissingValueCount(column="age", tests=[lt(1)], share_tests=[lt(0)]),
        RowCount(tests=[lt(N + 1)]),
    ]
    found = evaluate(modern(metrics), SHIFTED)["findings"]
    direct = Report(metrics).run(SHIFTED, None)
    failing = [one for one in direct.tests_results if one.status.value == "FAIL"]
    assert [(one["name"], one["said"]) for one in found["failed_tests"]] == [
        (one.name, one.description) for one in failing
    ]
    assert [(one["metric"], one["column"], one["value"]) for one in found["failed_tests"]] == [
        ("MeanValue", "age", SHIFTED["age"].mean()),
        ("MissingValueCount", "age", 0.0),
    ]


def test_what_has_no_value_is_an_error_with_its_reason_before_what_failed(evaluate):
    gone = SHIFTED.drop(columns="plan")
    outcome = evaluate({"metrics": ["DataDriftPreset"], "include_tests": True}, gone, REFERENCE)
    found = outcome["findings"]
    error, *others = found["failed_tests"]
    assert others
    assert {one["status"] for one in others} == {"failed"}
    assert (error["status"], error["metric"], error["column"], error["value"]) == ("error", "ValueDrift", "plan", None)
    assert "the batch has no column 'plan'" in error["said"]
    assert found["not_computed"] == [
        {"metric": "ValueDrift", "column": "plan", "reason": "the batch has no column 'plan'"}
    ]


def test_a_legacy_report_tells_drift_and_the_numbers_of_the_batch(evaluate):
    metrics = [
        DataDriftTable(),
        RegressionQualityMetric(),
        ColumnQuantileMetric(column_name="age", quantile=0.25),
        ColumnQuantileMetric(column_name="age", quantile=0.75),
    ]
    context, config = legacy(LegacyReport(metrics))
    table, regression, *quantiles = [context.metric_results[one] for one in metrics]
    found = evaluate(config, SHIFTED, REFERENCE, column_mapping=MAPPING)["findings"]
    assert seen(found) == drift_of(table.drift_by_columns.values())
    told = valued(found, "RegressionQualityMetric")
    assert told["", "rmse"] == regression.current.rmse
    assert told["", "mean_abs_error"] == regression.current.mean_abs_error
    assert valued(found, "ColumnQuantileMetric") == {
        ("age", f"quantile={name}, value"): one.current.value for name, one in zip((0.25, 0.75), quantiles, strict=True)
    }
    # What was asked for is no finding.
    assert ("", "drift_share") not in valued(found, "DataDriftTable")


def test_a_test_suite_tells_its_tests_and_their_values(evaluate):
    context, config = legacy(LegacySuite([DataDriftTestPreset(), DataQualityTestPreset()]))
    outcome = evaluate(config, SHIFTED, REFERENCE, column_mapping=MAPPING)
    found = outcome["findings"]
    failing = [one for one in context.test_results.values() if one.status.value in ("FAIL", "ERROR")]
    assert {(one["name"], one["said"]) for one in found["failed_tests"]} == {
        (one.name, one.description) for one in failing
    }
    [share] = [one for one in found["failed_tests"] if one["metric"] == "TestShareOfDriftedColumns"]
    assert (share["value"], share["column"]) == (outcome["drift_share"], "")
    drifted = {one["column"]: one for one in found["failed_tests"] if one["metric"] == "TestColumnDrift"}
    scores = {column: score for column, (is_drifted, score, _) in seen(found).items() if is_drifted}
    assert {column: one["value"] for column, one in drifted.items()} == scores  # not as Evidently's test rounds it
    assert valued(found, "TestColumnDrift").keys() == {(column, "") for column in REFERENCE}


def test_a_wide_report_tells_the_first_few_of_each(evaluate):
    wide = pd.DataFrame({f"{number}{'c' * 300}": [1.0, 2.0, 3.0] for number in range(210)})
    metrics = [MeanValue(column=name, tests=[lt(1)]) for name in wide]
    found = evaluate(modern([*metrics, DriftedColumnsCount()]), wide, wide)["findings"]
    limits = (findings.MAX_DRIFT, findings.MAX_TESTS, findings.MAX_VALUES)
    assert tuple(len(found[name]) for name in ("drift", "failed_tests", "values")) == limits
    assert found["values"][0]["metric"] == "DriftedColumnsCount"
    assert max(len(one["column"]) for one in found["drift"]) == findings.MAX_NAME
    assert max(len(one["said"]) for one in found["failed_tests"]) <= MAX_REASON
    assert all(math.isfinite(one["value"]) for one in found["values"])


def test_what_is_exported_is_found_beyond_the_first_few_values(evaluate):
    wide = pd.DataFrame({f"c{number:03}": [1.0, 2.0, 3.0] for number in range(210)})
    config = modern([MeanValue(column=name) for name in wide])
    outcome = evaluate(config, wide, export=[{"type": "MeanValue", "column": "c209"}])
    assert outcome["exported"] == [{"metric": "MeanValue", "column": "c209", "label": "", "value": 2.0}]
    assert len(outcome["findings"]["values"]) == findings.MAX_VALUES


def test_two_metrics_that_differ_in_their_tests_alone_have_one_value(evaluate):
    metrics = [Accuracy(), Accuracy(tests=[lt(1)])]
    found = evaluate(modern(metrics), SHIFTED, data_definition=CLASSES)["findings"]
    assert len(valued(found, "Accuracy")) == len(found["values"]) == 1
