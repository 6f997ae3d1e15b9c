"""Modern reports of which a part can't be computed: all else is as in a direct run, and the part says why."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.core.metric_types import ByLabelValue, MetricResult
from evidently.core.report import Context, Snapshot
from evidently.legacy.utils import NumpyEncoder
from evidently.metrics import MeanValue, RowCount
from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset

from collector.evaluation import tolerant_modern, worker
from collector.evaluation.uncomputed import NotComputedError

# ruff: noqa: SLF001  # what Evidently itself draws a report from
from .test_worker import modern_values, simple, values

pytestmark = pytest.mark.filterwarnings("ignore")  # Evidently warns when it is called directly, to compare with
N = 200
BOTH = {"metrics": ["DataDriftPreset", "DataSummaryPreset"], "include_tests": True}
INIT = {  # as the command init writes it
    "numerical_columns": ["age", "income"],
    "categorical_columns": ["plan", "zip"],
    "text_columns": [],
    "datetime_columns": [],
    "unknown_columns": [],
    "list_columns": [],
}


def events(seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, N).astype(float),
            "income": rng.normal(50, 9, N).round(2),
            "plan": rng.choice(["a", "b", "c"], N),
            "zip": rng.choice(["02139", "10001"], N),
        }
    )


REFERENCE, SOUND = events(1), events(2)


@pytest.fixture
def snapshot(evaluate, tmp_path):
    """Evaluate, and return the outcome and the snapshot as Evidently loads and draws it."""

    def run(*args, **others):
        outcome = evaluate(*args, **others)
        loaded = Snapshot.load(tmp_path / "snapshot.json")
        loaded.get_html_str(as_iframe=False)
        loaded.json()
        return outcome, loaded

    return run


def statuses_of(result):
    return [test.status.value for test in result.tests]


def of_metric(snapshot, name, column=None):
    """Return the result of a metric, by its class and column."""
    return next(
        one
        for one in snapshot.metric_results.values()
        if (params := one.metric_value_location.metric.params)["type"].endswith(f":{name}")
        and params.get("column") == column
    )


def has_failed(result):
    return any("could not be computed" in json.dumps(one.params) for one in result.get_widgets())


def test_a_feature_that_vanished_is_seen(snapshot):
    """A frame that was called sound once: 6 columns, one of them empty, 200 values missing, and failed tests."""
    reference, batch = (frame.assign(x=1.5, y=frame["age"]) for frame in (REFERENCE, SOUND))
    batch["age"] = np.nan
    outcome, seen = snapshot({"metrics": ["DataSummaryPreset"], "include_tests": True}, batch, reference)
    assert of_metric(seen, "ColumnCount").value == 6
    empty = of_metric(seen, "EmptyColumnsCount")
    assert (empty.value, statuses_of(empty)) == (1, ["FAIL"])
    missing = of_metric(seen, "DatasetMissingValueCount")
    assert (missing.count.value, "FAIL" in statuses_of(missing)) == (200, True)
    assert outcome["tests"]["failed"] > 0


def without_ids(part):
    """Return it as JSON; each run draws new ids for widgets and graphs."""
    return re.sub(
        r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", "", json.dumps(part, cls=NumpyEncoder, sort_keys=True)
    )


def test_a_sound_report_is_as_evidently_dumps_it(evaluate, tmp_path):
    evaluate(BOTH, SOUND, REFERENCE)
    direct = Report([DataDriftPreset(), DataSummaryPreset()], include_tests=True).run(SOUND, REFERENCE)
    ours, theirs = (json.loads((tmp_path / "snapshot.json").read_bytes()), direct.dump_dict())
    for part in ("metric_results", "top_level_metrics", "widgets", "tests_widgets"):
        assert without_ids(ours[part]) == without_ids(theirs[part])


@pytest.mark.parametrize("definition", [None, INIT], ids=["inferred", "init"])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda frame: frame.drop(columns="age"), "the batch has no column 'age'"),
        (lambda frame: frame.assign(age=np.nan), "column 'age' has no finite value in the batch"),
        (lambda frame: frame.assign(age=np.inf), "column 'age' has no finite value in the batch"),
    ],
    ids=["missing", "empty", "infinite"],
)
def test_drift_of_a_column_that_vanished_is_an_error_of_its_own(snapshot, spoil, reason, definition):
    config = {"metrics": ["DataDriftPreset"], "include_tests": True}
    outcome, seen = snapshot(config, spoil(SOUND), REFERENCE, data_definition=definition)
    vanished = of_metric(seen, "ValueDrift", "age")
    assert isinstance(vanished, ByLabelValue)
    assert (vanished.to_simple_dict(), statuses_of(vanished), has_failed(vanished)) == ({}, ["ERROR"], True)
    assert f"ValueDrift of 'age' could not be computed: {reason}" in "\n".join(outcome["notes"])
    rest = [name for name in SOUND if name != "age"]
    direct = Report([DataDriftPreset(columns=rest)], include_tests=True).run(SOUND[rest], REFERENCE[rest])
    for name in rest:
        ours, theirs = of_metric(seen, "ValueDrift", name), of_metric(direct, "ValueDrift", name)
        assert (simple(ours.value), statuses_of(ours)) == (simple(theirs.value), statuses_of(theirs))


def test_a_count_of_drifted_columns_is_over_those_that_can_be_computed_and_its_tests_are_errors(snapshot):
    counted = {"type": "DriftedColumnsCount", "tests": [{"type": "LessThanMetricTest", "threshold": 3}]}
    outcome, seen = snapshot({"metrics": [counted]}, SOUND.assign(age=np.nan), REFERENCE)
    rest = [name for name in SOUND if name != "age"]
    direct = Report([DataDriftPreset(columns=rest)]).run(SOUND[rest], REFERENCE[rest])
    ours = of_metric(seen, "DriftedColumnsCount")
    assert ours.to_simple_dict() == of_metric(direct, "DriftedColumnsCount").to_simple_dict()
    assert statuses_of(ours) == ["ERROR"]
    assert outcome["columns"] == 3
    assert outcome["notes"][0].startswith("DriftedColumnsCount was computed without 'age': ")


def test_a_column_only_in_the_batch_costs_no_other_metric(snapshot):
    outcome, seen = snapshot(BOTH, SOUND.assign(new=1.5), REFERENCE)
    direct = Report([DataDriftPreset(), DataSummaryPreset()], include_tests=True).run(SOUND, REFERENCE)
    same = [name for name in values(direct) if name in seen.metric_results]
    dataset_wide = ("ColumnCount", "Duplicated", "Constant")  # the new column counts in these
    checked = 0
    for name in same:
        theirs = direct.metric_results[name]
        if any(word in theirs.display_name.replace(" ", "") for word in dataset_wide) or "olumn" in theirs.display_name:
            continue
        assert simple(seen.metric_results[name].to_dict()["value"]) == simple(theirs.to_dict()["value"])
        checked += 1
    assert checked > 20
    assert outcome["notes"] == [
        "Column 'new' is only in the batch: it can't be compared; it is numbers there (200 values: 1.5)."
    ]
    assert (outcome["failed_metrics"], outcome["tests"]["error"]) == (0, 0)  # a new field is no alarm


def test_a_column_only_in_the_batch_is_asked_for_where_the_config_names_it(snapshot):
    report = {"metrics": ["DataSummaryPreset", {"type": "ValueStats", "column": "new"}]}
    outcome, seen = snapshot(report, SOUND.assign(new=1.5), REFERENCE)
    assert has_failed(of_metric(seen, "MinValue", "new"))
    assert outcome["notes"][0].endswith("has no column 'new'. 'new' is numbers in the batch (200 values: 1.5).")


def test_a_column_that_the_config_names_is_asked_for_and_the_others_are_there(snapshot):
    named = {"type": "DataDriftPreset", "columns": ["age", "nowhere", "income"], "num_method": "psi"}
    outcome, seen = snapshot({"metrics": [named]}, SOUND.drop(columns="age"), REFERENCE)
    assert has_failed(of_metric(seen, "ValueDrift", "nowhere"))
    age, income = (of_metric(seen, "ValueDrift", name) for name in ("age", "income"))
    assert (has_failed(age), age.metric_value_location.metric.params["method"]) == (True, "psi")
    assert not has_failed(income)
    assert outcome["failed_metrics"] == 4  # two of the columns, each for itself and in the count


@pytest.mark.parametrize("include_tests", [True, False])
def test_times_that_a_drift_names_cost_no_other_column(snapshot, include_tests):
    """Evidently raises for the whole preset: it has no test of drift for times."""
    sides = [side.assign(at=pd.date_range("2026-01-01", periods=N)) for side in (SOUND, REFERENCE)]
    report = {"metrics": [{"type": "DataDriftPreset", "columns": ["age", "at"]}], "include_tests": include_tests}
    outcome, seen = snapshot(report, *sides)
    assert has_failed(of_metric(seen, "ValueDrift", "at"))
    assert not has_failed(of_metric(seen, "ValueDrift", "age"))
    assert any(note.startswith("DriftedColumnsCount was computed without 'at'") for note in outcome["notes"])


@pytest.mark.parametrize(("column", "metric"), [("id", "MinValue"), ("id", "StdValue")])
def test_ids_that_cannot_be_drawn_cost_no_other_column(snapshot, column, metric):
    """Too many bins, for sequential 64-bit ids."""
    frame = pd.DataFrame({"v": np.arange(150) % 7 * 1.5, "id": 1_790_000_000_000_000_000 + np.arange(150)})
    _, seen = snapshot({"metrics": ["DataSummaryPreset"]}, frame)
    assert has_failed(of_metric(seen, metric, column))
    assert of_metric(seen, "MeanValue", "v").value == pytest.approx(frame["v"].mean())


def test_labels_that_come_late_leave_what_can_be_computed(snapshot):
    truth = np.random.default_rng(1).integers(0, 2, N)
    frame = pd.DataFrame({"y": np.where(np.arange(N) % 4, truth, np.nan), "guess": truth})
    task = {"target": "y", "prediction_labels": "guess", "pos_label": 1}
    config = {"metrics": ["ClassificationPreset"], "include_tests": True}
    _, seen = snapshot(config, frame, data_definition={"classification": [task]})
    assert has_failed(of_metric(seen, "F1ByLabel"))
    accuracy = of_metric(seen, "Accuracy")
    assert (accuracy.value, statuses_of(accuracy)) == (1.0, ["ERROR"])  # its test compares with a dummy, which raises


def test_a_class_that_is_missing_is_named(snapshot):
    rng = np.random.default_rng(1)
    labels = ["a1", "foo", "bar"]

    def guesses(classes):
        frame = pd.DataFrame(rng.dirichlet([1, 1, 1], N), columns=labels)
        return frame.assign(t=rng.choice(labels[:classes], N)).assign(p=lambda frame: frame["t"])

    task = {"target": "t", "prediction_labels": "p", "prediction_probas": labels}
    outcome, seen = snapshot(
        {"metrics": ["ClassificationPreset"]}, guesses(2), guesses(3), data_definition={"classification": [task]}
    )
    assert not has_failed(of_metric(seen, "Accuracy"))
    assert (
        "RocAucByLabel could not be computed: 'bar' is not among the labels that occur (KeyError: 'bar')"
        in outcome["notes"]
    )


def test_a_missing_column_of_groups_is_named(snapshot):
    group = {"type": "GroupBy", "metric": {"type": "MeanValue", "column": "age"}, "column_name": "nowhere"}
    outcome, _ = snapshot({"metrics": [group, "RowCount"]}, SOUND, REFERENCE)
    assert outcome["notes"][0].startswith("GroupBy of 'age' could not be computed: the batch has no column 'nowhere'")


def test_what_is_made_of_a_failed_metric_fails_with_it(snapshot):
    """A test relative to a metric of the reference that can't be computed: an error, not a comparison with nothing."""
    test = {"type": "LessThanMetricTest", "threshold": {"relative": 0.1}}
    config = {"metrics": [{"type": "ValueDrift", "column": "age", "tests": [test]}, "RowCount"]}
    outcome, seen = snapshot(config, SOUND, REFERENCE)
    drift = of_metric(seen, "ValueDrift", "age")
    assert (drift.value >= 0, statuses_of(drift)) == (True, ["ERROR"])
    assert outcome["notes"][0].startswith("LessThanMetricTest of ValueDrift of 'age' could not be computed: Reference")


@pytest.mark.parametrize("include_tests", [True, False])
def test_a_failed_metric_has_an_error_for_each_of_its_tests_or_one(snapshot, include_tests):
    over, under = ({"type": kind, "threshold": 1} for kind in ("GreaterThanMetricTest", "LessThanMetricTest"))
    config = {
        "metrics": [
            "RowCount",
            {"type": "MeanValue", "column": "nowhere", "tests": [over, under]},
            {"type": "MinValue", "column": "nowhere"},
            {"type": "MaxValue", "column": "nowhere", "tests": []},
        ],
        "include_tests": include_tests,
    }
    _, seen = snapshot(config, SOUND, REFERENCE)
    assert statuses_of(of_metric(seen, "MeanValue", "nowhere")) == ["ERROR", "ERROR"]
    assert statuses_of(of_metric(seen, "MinValue", "nowhere")) == (["ERROR"] if include_tests else [])
    assert statuses_of(of_metric(seen, "MaxValue", "nowhere")) == []


def test_a_descriptor_that_raises_is_its_own(snapshot):
    descriptors = [
        {"type": "TextLength", "column_name": "nowhere", "alias": "none"},
        {"type": "TextLength", "column_name": "plan", "alias": "length"},
    ]
    config = {"metrics": ["TextEvals"], "descriptors": descriptors, "include_tests": True}
    outcome, seen = snapshot(config, SOUND, REFERENCE)
    assert of_metric(seen, "MaxValue", "length").value == 1
    assert outcome["notes"] == ["TextLength of 'nowhere' could not be computed: the batch has no column 'nowhere'"]
    assert outcome["tests"]["error"] == 1


def test_a_preset_that_can_not_tell_its_metrics_is_its_own(snapshot):
    config = {"metrics": ["ClassificationPreset", "RowCount", {"type": "ValueStats", "column": "nowhere"}]}
    outcome, seen = snapshot(config, SOUND, REFERENCE)
    assert of_metric(seen, "RowCount").value == N
    assert [has_failed(of_metric(seen, *name)) for name in (("ClassificationPreset",), ("ValueStats", "nowhere"))] == [
        True
    ] * 2
    assert outcome["failed_metrics"] == 2


def test_a_picture_that_can_not_be_drawn_leaves_those_of_its_metrics(snapshot, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(DataDriftPreset, "render", fail)
    outcome, seen = snapshot({"metrics": ["DataDriftPreset"]}, SOUND, REFERENCE)
    assert outcome["failed_metrics"] == 0
    assert len(seen._widgets) == sum(len(one.get_widgets()) for one in seen.metric_results.values()) > 0


def test_no_result_without_a_value_holds_a_point_for_a_dashboard(snapshot):
    """SQLite refuses what is not a number, and with it the whole snapshot."""
    config = {
        "metrics": ["RowCount", "ClassificationPreset", {"type": "ValueStats", "column": "id"}, "DataSummaryPreset"]
    }
    frame = SOUND.assign(id=1_790_000_000_000_000_000 + np.arange(N))
    _, seen = snapshot(config, frame, REFERENCE)
    failed = [one for one in seen.metric_results.values() if has_failed(one)]
    assert len(failed) > 5
    assert all(list(one.itervalues()) == [] for one in failed)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, SystemExit])
def test_what_is_no_metrics_own_passes(make_job, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(Context, "calculate_metric", fail)
    with pytest.raises(error):
        worker.evaluate(make_job({"metrics": ["RowCount", "ColumnCount"]}, SOUND))


def run(report, frame, reference=None, definition=None):
    sides = [None if one is None else Dataset.from_pandas(one, definition) for one in (frame, reference)]
    return tolerant_modern.run(report, *sides, {}, undescribed=[], name=None, timestamp=None, metadata={}, tags=[])


def test_evidently_is_as_before_after_a_run():
    before = (DataDriftPreset.metrics, DataDriftPreset.render, ClassificationPreset.render)
    with pytest.raises(NotComputedError, match="nothing of the report can be computed: MeanValue of 'x'"):
        run(Report([MeanValue(column="x")]), SOUND)
    assert (DataDriftPreset.metrics, DataDriftPreset.render, ClassificationPreset.render) == before


def test_a_metric_that_asks_for_a_failed_one_has_no_value_either(monkeypatch):
    """Dummies and by-label metrics are made of others."""

    def ask(_, context, *__):
        return context.calculate_metric(MeanValue(column="nowhere").to_calculation())

    monkeypatch.setattr(type(RowCount().to_calculation()), "calculate", ask)
    done, failures = run(Report([MeanValue(column="age"), RowCount(), MeanValue(column="nowhere")]), SOUND)
    assert [failure.what for failure in failures] == ["RowCount", "MeanValue"]
    assert isinstance(done.metric_results[MeanValue(column="age").metric_id], MetricResult)
    assert len(done.tests_results) == 0


def test_a_task_whose_target_is_missing_says_so():
    definition = DataDefinition(classification=[BinaryClassification(target="y", prediction_labels="plan")])
    done, failures = run(Report([ClassificationPreset(), RowCount()]), SOUND, None, definition)
    assert {failure.reason for failure in failures} == {"the batch has no column 'y'"}
    assert done.metric_results[RowCount().metric_id].value == N


@pytest.mark.parametrize("definition", [None, INIT], ids=["inferred", "init"])
def test_one_text_among_numbers_is_not_the_end_of_a_report(snapshot, definition):
    """As the command init writes its data_definition: what it claims and the batch can't meet is left out, and told."""
    spoilt = SOUND.assign(age=["N/A", *map(str, range(1, N))])
    outcome, seen = snapshot(
        BOTH, spoilt.assign(age=spoilt["age"].replace("1", "many")), REFERENCE, data_definition=definition
    )
    assert of_metric(seen, "MeanValue", "income").value == pytest.approx(SOUND["income"].mean())
    assert outcome["rows"] == N


def test_the_ui_opens_a_snapshot_with_failures(modern_ui, evaluate, tmp_path):
    evaluate(BOTH, SOUND.drop(columns="age").assign(new=1.5, income=np.nan), REFERENCE)
    made = modern_ui.http.post("/api/v2/projects", json={"name": "failures"}).raise_for_status().json()
    body = (tmp_path / "snapshot.json").read_bytes()
    modern_ui.http.post(f"/api/v2/snapshots/{made}", content=body).raise_for_status()
    project = f"/api/projects/{made}"
    [listed] = modern_ui.get(f"{project}/snapshots")
    shown = json.dumps(modern_ui.get(f"{project}/{listed['id']}/data"))
    assert "ValueDrift of 'age'" in shown
    assert "the batch has no column 'age'" in shown
    assert modern_values(tmp_path / "snapshot.json")
