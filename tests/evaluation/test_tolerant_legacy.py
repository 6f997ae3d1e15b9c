"""Legacy reports of which a part can't be computed: the rest is as in a direct run, and they can be opened."""

# ruff: noqa: SLF001  # what Evidently itself draws a report from

import json

import numpy as np
import pandas as pd
import pytest
from evidently.legacy import tests as legacy_tests
from evidently.legacy.metric_preset import DataDriftPreset, DataQualityPreset
from evidently.legacy.metrics import ColumnQuantileMetric, DatasetMissingValuesMetric, TextDescriptorsDriftMetric
from evidently.legacy.metrics.custom_metric import CustomValueMetric
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.report import Report
from evidently.legacy.test_preset import DataDriftTestPreset, DataStabilityTestPreset
from evidently.legacy.test_suite import TestSuite as Suite

from collector.evaluation import tolerant_legacy
from collector.evaluation.uncomputed import NotComputedError

from .test_tolerant_modern import REFERENCE, SOUND
from .test_worker import simple

pytestmark = pytest.mark.filterwarnings("ignore")  # Evidently warns when it is called directly, to compare with
REPORT = {"metrics": ["DataDriftPreset", "DatasetMissingValuesMetric"], "tests": [], "options": {}}
SUITE = {
    "metrics": [],
    "tests": ["DataDriftTestPreset", "DataStabilityTestPreset", "TestNumberOfColumns"],
    "options": {},
}
SPOILT = {
    "missing": lambda frame: frame.drop(columns="age"),
    "empty": lambda frame: frame.assign(age=np.nan),
    "text": lambda frame: frame.assign(age=[f"t{number % 3}" for number in range(len(frame))]),
}


@pytest.fixture
def loaded(evaluate, tmp_path):
    """Evaluate, and return the outcome and what Evidently loads of the snapshot and can draw."""

    def run(config, *args, **others):
        outcome = evaluate(config, *args, **others)
        seen = (Suite if config["tests"] else Report).load(tmp_path / "snapshot.json")
        seen._build_dashboard_info()
        return outcome, seen

    return run


def statuses(suite):
    return [
        (result.name, getattr(test, "column_name", None), result.status.value)
        for test, result in suite._inner_suite.context.test_results.items()
    ]


def errors_of(report):
    return [one.title for one in report._first_level_metrics if isinstance(one, CustomValueMetric)]


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_drift_is_counted_over_the_columns_that_can_be_compared(loaded, spoil):
    outcome, seen = loaded(REPORT, spoil(SOUND), REFERENCE)
    rest = [name for name in SOUND if name != "age"]
    direct = Report([DataDriftPreset()])
    direct.run(current_data=SOUND[rest], reference_data=REFERENCE[rest])
    for ours, theirs in zip(seen.as_dict()["metrics"][:2], direct.as_dict()["metrics"], strict=True):
        assert simple(ours) == simple(theirs)
    assert outcome["columns"] == 3
    [error] = errors_of(seen)
    assert error.startswith("Error: Drift was computed without 'age': ")
    assert outcome["notes"][0].startswith(f"{error.removeprefix('Error: ')}. 'age' is numbers in the reference")


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_each_test_has_the_status_of_a_direct_run(loaded, spoil):
    _, seen = loaded(SUITE, spoil(SOUND), REFERENCE)
    direct = Suite([DataDriftTestPreset(), DataStabilityTestPreset(), legacy_tests.TestNumberOfColumns()])
    direct.run(current_data=spoil(SOUND), reference_data=REFERENCE)
    ours, theirs = ([(name, status) for name, _, status in statuses(one)] for one in (seen, direct))
    assert sorted(ours) == sorted(theirs)
    assert "ERROR" in dict(ours).values()
    assert max(len(one.description) for one in seen._inner_suite.context.test_results.values()) < 1000


def test_the_tests_of_a_saved_preset_are_as_tolerant_as_the_preset(loaded):
    """A suite that was run names each column; what from_test_suite makes of it protects none of them."""
    from collector.config import ReportConfig

    suite = Suite([DataDriftTestPreset()])
    suite.run(current_data=REFERENCE, reference_data=REFERENCE)
    config = json.loads(json.dumps(ReportConfig.from_test_suite(suite).dict()))
    _, seen = loaded(config, SOUND.drop(columns="age"), REFERENCE)
    found = [(name, status) for name, _, status in statuses(seen)]
    assert ("Share of Drifted Columns", "ERROR") in found
    assert sum(status == "ERROR" for _, status in found) == 2
    assert len(found) == 5


def test_a_missing_column_fails_the_test_of_their_number(loaded):
    config = {"metrics": [], "tests": ["TestNumberOfColumns"], "options": {}}
    outcome, _ = loaded(config, SOUND.drop(columns="age"), REFERENCE)
    assert outcome["tests"]["failed"] == 1


def test_a_failed_metric_is_a_value_that_says_error(loaded):
    quantile = {"type": "evidently:metric:ColumnQuantileMetric", "column_name": "plan", "quantile": 0.5}
    outcome, seen = loaded({"metrics": [quantile, "DatasetMissingValuesMetric"], "options": {}} | {"tests": []}, SOUND)
    [error] = errors_of(seen)
    assert error.startswith("Error: ColumnQuantileMetric of 'plan' could not be computed: ValueError: ")
    # Examples are for the operator's log, and not for all who see the snapshot or are told of it by an alert.
    assert (
        outcome["notes"][0]
        == f"{error.removeprefix('Error: ')}. 'plan' is text in the batch (200 values: 'b', 'c', 'a')."
    )
    assert isinstance(seen._first_level_metrics[1], DatasetMissingValuesMetric)


def test_a_picture_that_can_not_be_drawn_is_shown_as_failed(loaded):
    """Evidently draws the probabilities of each label, and no row has one of them: nobody could open the report."""
    frame = pd.DataFrame({"target": [1] * 20, "prediction": np.linspace(0.1, 0.9, 20)})
    config = {"metrics": ["ClassificationProbDistribution", "ClassificationQualityMetric"], "tests": [], "options": {}}
    outcome, seen = loaded(config, frame, column_mapping={"task": "classification", "pos_label": 1})
    [error] = errors_of(seen)
    assert error.startswith("Error: ClassificationProbDistribution could not be computed: ")
    assert (outcome["failed_metrics"], len(seen._first_level_metrics)) == (1, 2)


def test_a_test_whose_picture_can_not_be_drawn_keeps_its_result(loaded):
    """A missing probability costs Evidently the curve, and nobody could open the suite."""
    frame = pd.DataFrame({"target": [1, 0] * 20, "prediction": np.linspace(0.1, 0.9, 40)})
    late = frame.assign(prediction=frame["prediction"].where(frame.index > 19))
    config = {"metrics": [], "tests": ["TestRocAuc", "TestNumberOfRows"], "options": {}}
    _, seen = loaded(config, late, frame, column_mapping={"task": "classification", "pos_label": 1})
    assert ("ROC AUC Score", "SUCCESS") in [(name, status) for name, _, status in statuses(seen)]


def test_a_role_on_one_side_only_leaves_the_rest(loaded):
    config = {"metrics": ["RegressionPreset", "DataDriftPreset"], "tests": [], "options": {}}
    reference = REFERENCE.assign(target=1.5, prediction=2.0)
    outcome, seen = loaded(config, SOUND, reference)
    assert "Column 'target' is not on both sides: it is left out of target in the column_mapping." in outcome["notes"]
    assert outcome["drifted_columns"] is not None
    assert any("RegressionQualityMetric" in error for error in errors_of(seen))


def run(runnable, current, reference=None, mapping=None):
    given = {"current_data": current, "reference_data": reference, "column_mapping": mapping or ColumnMapping()}
    return tolerant_legacy.run(runnable, given | {"timestamp": None, "additional_data": {}})


@pytest.fixture
def silent(monkeypatch):
    """Have two presets raise in telling what they are made of."""

    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(DataQualityPreset, "generate_metrics", fail)
    monkeypatch.setattr(DataDriftTestPreset, "generate_tests", fail)


@pytest.mark.usefixtures("silent")
def test_a_preset_that_can_not_tell_its_metrics_is_its_own():
    report = Report([DataQualityPreset(), DatasetMissingValuesMetric()])
    [failure] = run(report, SOUND)
    assert str(failure) == "DataQualityPreset could not be computed: ZeroDivisionError: no message"
    assert errors_of(report) == [f"Error: {failure}"]


@pytest.mark.usefixtures("silent")
def test_a_test_preset_that_can_not_tell_its_tests_is_its_own():
    suite = Suite([DataDriftTestPreset(), legacy_tests.TestNumberOfRows(gt=1)])
    [failure] = run(suite, SOUND)
    assert failure.what == "DataDriftTestPreset"
    assert statuses(suite) == [("Number of Rows", None, "SUCCESS"), ("DataDriftTestPreset", None, "ERROR")]


def test_a_derived_column_that_can_not_be_computed_costs_who_wants_it():
    """Features of a text are made for all metrics together; here there are no words to make them of."""
    frame = pd.DataFrame({"words": [1, 2] * 30, "n": range(60)})
    report = Report([TextDescriptorsDriftMetric(column_name="words"), DatasetMissingValuesMetric()])
    [failure] = run(report, frame, frame, ColumnMapping(text_features=["words"]))
    assert failure.title == "TextDescriptorsDriftMetric of 'words'"


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    "make",
    [
        lambda: Report([DataQualityPreset()]),
        lambda: Suite([DataDriftTestPreset()]),
        lambda: Report([ColumnQuantileMetric("plan", 0.5)]),
    ],
)
def test_a_report_of_which_nothing_can_be_computed_raises(make):
    with pytest.raises(NotComputedError, match="nothing of the report can be computed: "):
        run(make(), SOUND)


def test_what_is_no_metrics_own_passes(monkeypatch):
    """Evidently catches everything that a metric raises."""

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(DatasetMissingValuesMetric, "calculate", fail)
    with pytest.raises(MemoryError):
        run(Report([DatasetMissingValuesMetric()]), SOUND)


@pytest.mark.parametrize("config", [REPORT, SUITE], ids=["report", "suite"])
def test_the_legacy_ui_opens_a_snapshot_with_failures(legacy_ui, evaluate, tmp_path, config):
    evaluate(config, SOUND.drop(columns="age").assign(income=np.nan), REFERENCE)
    body = (tmp_path / "snapshot.json").read_bytes()
    project = "/api/projects/" + legacy_ui.http.post("/api/projects", json={"name": "failures"}).json()["id"]
    legacy_ui.http.post(f"{project}/snapshots", content=body).raise_for_status()
    shown = json.dumps(legacy_ui.get(f"{project}/{json.loads(body)['id']}/data"))
    assert "the batch has no column 'age'" in shown or "The number of columns" in shown
