"""Whole jobs on real data: the same values as Evidently gives when it is called directly, and failures as values."""

import gc
import json
import subprocess
import sys
import zlib
from pathlib import Path

import evidently
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from evidently import DataDefinition, Dataset, MulticlassClassification, Regression, Report
from evidently.core.report import Snapshot
from evidently.legacy.collector.config import ReportConfig
from evidently.legacy.metric_preset import DataDriftPreset as LegacyDataDriftPreset
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.test_preset import DataDriftTestPreset
from evidently.legacy.test_suite import TestSuite as LegacySuite
from evidently.legacy.utils import NumpyEncoder
from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset, RegressionPreset
from machine import PATIENCE
from sklearn.datasets import load_diabetes

from collector.evaluation import worker
from collector.formats.frames import decode_frames
from collector.formats.sources import JSON, marked

from .conftest import LEGACY_DRIFT, MODERN_DRIFT

# Evidently warns when it is called directly, as it is here to compare with. That a job is silent has its own test.
pytestmark = pytest.mark.filterwarnings("ignore")
SAVED = sorted((Path(__file__).parents[1] / "compat" / "configs").glob("*/*.json"))


def simple(value):
    return json.loads(json.dumps(value, cls=NumpyEncoder), parse_constant=str)


def values(run):
    """Return the metrics of a run, by the id that stands for a metric and its parameters."""
    return simple({one["id"]: one["value"] for one in run.dict()["metrics"]})


def modern_values(path):
    return values(Snapshot.load(path))


def test_a_job_of_the_first_fields_alone_is_evaluated(iris, tmp_path):
    """Scripts that compare with Evidently make jobs by hand: a field that comes later is one that may be left out."""
    iris.to_parquet(tmp_path / "part.parquet")
    outcome = worker.evaluate(
        {
            "collector": "main",
            "batch_id": "018f0000-0000-7000-8000-000000000001",
            "report_config": {"metrics": ["RowCount"]},
            "data_definition": None,
            "column_mapping": None,
            "parts": [str(tmp_path / "part.parquet")],
            "reference": str(tmp_path / "part.parquet"),
            "cache_reference": False,
            "sample": None,
            "reuse_drift": True,
            "opened": "2026-03-01T10:00:00+00:00",
            "sealed": "2026-03-01T11:00:00+00:00",
            "snapshot_path": str(tmp_path / "snapshot.json"),
            "save_datasets": False,
        }
    )
    assert (outcome["ok"], outcome["rows"]) == (True, 150)


def test_a_modern_report_has_the_values_that_evidently_gives_directly(evaluate, make_job, iris, tmp_path):
    current, reference = iris[:100], iris[50:]
    outcome = evaluate({"metrics": ["DataDriftPreset", "DataSummaryPreset"]}, current, reference)
    direct = Report([DataDriftPreset(), DataSummaryPreset()]).run(current, reference)
    assert modern_values(tmp_path / "snapshot.json") == values(direct)
    drift = next(one["value"] for one in direct.dict()["metrics"] if "DriftedColumnsCount" in one["metric_name"])
    assert (outcome["drifted_columns"], outcome["drift_share"]) == (drift["count"], drift["share"])
    assert {key: outcome[key] for key in ("generation", "kind", "rows", "columns", "tests", "notes")} == {
        "generation": "modern",
        "kind": "Report",
        "rows": 100,
        "columns": 6,
        "tests": {},
        "notes": [],
    }
    assert outcome["report_id"] == make_job({}, current)["batch_id"]
    written = (tmp_path / "snapshot.json").read_bytes()
    assert (outcome["bytes"], outcome["checksum"]) == (len(written), zlib.crc32(written))


def test_parts_are_one_batch_in_order(evaluate, iris, tmp_path):
    outcome = evaluate(MODERN_DRIFT, [iris[:30], iris[30:100]], iris[50:])
    direct = Report([DataDriftPreset()]).run(iris[:100], iris[50:])
    assert outcome["rows"] == 100
    assert modern_values(tmp_path / "snapshot.json") == values(direct)


def test_a_legacy_report_has_the_values_that_evidently_gives_directly(evaluate, iris, tmp_path):
    direct = LegacyReport([LegacyDataDriftPreset()])
    direct.run(current_data=iris[:100], reference_data=iris[50:])
    config = simple(ReportConfig.from_report(direct).dict())
    outcome = evaluate(config, iris[:100], iris[50:])
    written = LegacyReport.load(tmp_path / "snapshot.json")
    assert simple(written.as_dict()) == simple(direct.as_dict())
    result = direct.as_dict()["metrics"][0]["result"]
    assert outcome["drift_share"] == result["share_of_drifted_columns"]
    assert (outcome["drifted_columns"], outcome["columns"]) == (result["number_of_drifted_columns"], 6)
    assert (outcome["generation"], outcome["kind"], outcome["report_id"]) == ("legacy", "Report", str(written.id))


def test_a_legacy_test_suite_has_the_results_that_evidently_gives_directly(evaluate, iris, tmp_path):
    direct = LegacySuite([DataDriftTestPreset()])
    direct.run(current_data=iris[:100], reference_data=iris[50:])
    outcome = evaluate(simple(ReportConfig.from_test_suite(direct).dict()), iris[:100], iris[50:])
    assert simple(LegacySuite.load(tmp_path / "snapshot.json").as_dict()) == simple(direct.as_dict())
    summary = direct.as_dict()["summary"]
    assert outcome["kind"] == "TestSuite"
    assert outcome["tests"]["failed"] == summary["failed_tests"] > 0
    assert outcome["tests"]["passed"] == summary["success_tests"]
    assert outcome["drift_share"] == 1.0  # of TestShareOfDriftedColumns: each of iris' columns follows its order


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_what_the_original_saved_is_sound_and_runs(evaluate, path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"f": rng.normal(size=60), "i": np.arange(60), "c": rng.choice(["x", "y"], 60), "t": 1.0, "p": 1.0}
    )
    for collector in json.loads(path.read_text())["collectors"].values():
        config = collector["report_config"]
        assert worker.check(config, None, None) == []
        assert evaluate(config, frame, frame)["generation"] == "legacy"


def test_the_presets_run_with_column_names_of_ones_own(evaluate, iris, tmp_path):
    """Regression and classification through JSON, and with Evidently's own values."""
    diabetes = load_diabetes(as_frame=True).frame.rename(columns={"target": "truth"})
    guessed = diabetes.assign(guess=diabetes["truth"].rolling(3, min_periods=1).mean())
    evaluate(
        {"metrics": ["RegressionPreset"]},
        guessed,
        data_definition={"regression": [{"target": "truth", "prediction": "guess"}]},
    )
    definition = DataDefinition(regression=[Regression(target="truth", prediction="guess")])
    direct = Report([RegressionPreset()]).run(Dataset.from_pandas(guessed, definition), None)
    assert modern_values(tmp_path / "snapshot.json") == values(direct)

    labelled = iris.assign(guess=iris["species"].where(iris.index % 7 > 0, "setosa"))
    task = {"target": "species", "prediction_labels": "guess"}
    evaluate({"metrics": ["ClassificationPreset"]}, labelled, data_definition={"classification": [task]})
    definition = DataDefinition(classification=[MulticlassClassification(target="species", prediction_labels="guess")])
    direct = Report([ClassificationPreset()]).run(Dataset.from_pandas(labelled, definition), None)
    assert modern_values(tmp_path / "snapshot.json") == values(direct)


def test_a_legacy_report_heeds_its_column_mapping(evaluate, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"truth": rng.normal(size=50), "guess": rng.normal(size=50)})
    config = LEGACY_DRIFT | {"metrics": [{"type": "evidently:metric:RegressionQualityMetric"}]}
    evaluate(config, frame, column_mapping={"target": "truth", "prediction": "guess", "task": "regression"})
    written = LegacyReport.load(tmp_path / "snapshot.json").as_dict()["metrics"][0]["result"]["current"]
    assert written["mean_abs_error"] == pytest.approx((frame["truth"] - frame["guess"]).abs().mean())


@pytest.mark.parametrize("config", [{"metrics": []}, {"metrics": [], "tests": [], "options": {}}])
def test_a_report_of_nothing_is_a_report(evaluate, iris, config):
    assert evaluate(config, iris)["drift_share"] is None


def test_descriptors_are_applied_to_both_sides(evaluate, tmp_path):
    config = {
        "descriptors": [{"type": "TextLength", "column_name": "t", "alias": "length"}],
        "metrics": [{"type": "ValueDrift", "column": "length"}],
    }
    evaluate(
        config,
        pd.DataFrame({"t": ["a" * n for n in range(1, 41)]}),
        pd.DataFrame({"t": ["a" * n for n in range(101, 141)]}),
    )
    assert next(iter(modern_values(tmp_path / "snapshot.json").values())) < 0.05


def test_tests_in_a_modern_report_are_counted(evaluate, iris):
    over, under = ({"type": "GreaterThanMetricTest", "threshold": threshold} for threshold in (10, 1000))
    missed = under | {"is_critical": False}
    outcome = evaluate({"metrics": [{"type": "RowCount", "tests": [over, under, missed]}]}, iris)
    assert outcome["tests"] == {"passed": 1, "failed": 1, "warning": 1, "error": 0, "skipped": 0}


def test_json_text_and_the_references_types_give_the_same_values_as_typed_events(evaluate, tmp_path):
    rng = np.random.default_rng(0)
    typed = pd.DataFrame(
        {
            "at": pd.date_range("2026-01-01", periods=80, freq="h", tz="UTC"),
            "kind": pd.Categorical(rng.choice(["x", "y"], 80)),
            "count": rng.integers(0, 50, 80),
            "whole": pd.array(rng.integers(0, 50, 80), "Int64"),
            "flag": rng.random(80) > 0.5,
        }
    )
    as_sent = pd.DataFrame(json.loads(typed.astype({"count": float}).to_json(date_format="iso")))
    config = {"metrics": ["DataDriftPreset", "DataSummaryPreset"]}
    evaluate(config, typed[:40], typed)
    wanted = modern_values(tmp_path / "snapshot.json")
    pq.write_table(marked(pa.Table.from_pandas(as_sent[:40]), JSON), tmp_path / "sent.parquet")
    outcome = evaluate(config, tmp_path / "sent.parquet", typed)
    assert modern_values(tmp_path / "snapshot.json") == wanted
    assert [note.split("'")[1] for note in outcome["notes"]] == ["at"]


@pytest.mark.parametrize(
    "config", [{"metrics": ["DataDriftPreset", "DataSummaryPreset"]}, LEGACY_DRIFT], ids=["modern", "legacy"]
)
def test_text_columns_are_treated_alike_in_both_of_pandas_types(iris, config):
    """Evidently sees the same in a column of pandas 3's ``str`` as in one of Python strings."""
    outcomes = []
    words = [f"word {n}" for n in range(150)]
    drift = DataDriftPreset(columns=["species", "number"])  # of texts it takes seven seconds
    for dtype in ("str", "object"):
        frame = iris.assign(species=iris["species"].astype(dtype), words=pd.Series(words, dtype=dtype))
        if config is LEGACY_DRIFT:
            report = LegacyReport([LegacyDataDriftPreset()])
            report.run(current_data=frame[:100], reference_data=frame[50:])
            outcomes.append(simple(report.as_dict()))
        else:
            report = Report([drift, DataSummaryPreset()]).run(frame[:100], frame[50:])
            outcomes.append(values(report))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "config", [{"metrics": ["DataSummaryPreset", "DataDriftPreset"]}, LEGACY_DRIFT], ids=["modern", "legacy"]
)
def test_awkward_columns_do_not_stop_a_report(evaluate, config):
    """Missing booleans, nullable and unsigned numbers, durations, zones, lists, missing text, one-sided columns."""
    n = 40
    frame = pd.DataFrame(
        {
            "flag": pd.array([True, False, None, True] * 10, "boolean"),
            "whole": pd.array([1, 2, None, 4] * 10, "Int64"),
            "byte": np.arange(n, dtype="uint8"),
            "took": pd.to_timedelta(np.arange(n), unit="s"),
            "at": pd.date_range("2026-01-01", periods=n, freq="h", tz="Europe/Helsinki"),
            "list": [[1, 2]] * n,
            "word": ["x", None, "y", "z"] * 10,
            "none": [None] * n,
        }
    )
    outcome = evaluate(config, frame.assign(mine=1), frame.assign(its=1))
    assert outcome["rows"] == n


def failure(job):
    outcome = worker.evaluate(job)
    assert not outcome["ok"]
    assert "Traceback" in outcome["traceback"]
    return outcome["error"]


def test_a_report_of_which_nothing_can_be_computed_is_a_failure_and_writes_nothing(make_job, iris, tmp_path):
    words = iris[["species"]]
    told = "nothing of the report can be computed: MeanValue of 'species' could not be computed: "
    assert failure(make_job({"metrics": [{"type": "MeanValue", "column": "species"}]}, words)).startswith(told)
    legacy = LEGACY_DRIFT | {
        "metrics": [{"type": "evidently:metric:ColumnQuantileMetric", "column_name": "species", "quantile": 0.5}]
    }
    assert failure(make_job(legacy, words)).startswith("nothing of the report can be computed: ColumnQuantileMetric of")
    nowhere = failure(make_job({"metrics": [{"type": "MinValue", "column": "nowhere"}]}, iris))
    assert nowhere.endswith("MinValue of 'nowhere' could not be computed: the batch has no column 'nowhere'")
    assert failure(make_job({"metrics": ["Nope"]}, iris)).startswith("ValueError: report_config.metrics.0: Unknown")
    assert failure(make_job(MODERN_DRIFT, iris[:0])) == "ValueError: the batch has no rows"
    assert not (tmp_path / "snapshot.json").exists()


def test_what_can_not_be_computed_is_counted_and_told(evaluate, iris):
    outcome = evaluate({"metrics": ["RowCount", {"type": "MinValue", "column": "nowhere"}]}, iris)
    assert outcome["failed_metrics"] == 1
    assert outcome["notes"] == ["MinValue of 'nowhere' could not be computed: the batch has no column 'nowhere'"]


def test_of_a_thousand_failures_the_first_fifty_are_told(evaluate, iris):
    metrics = [{"type": "MinValue", "column": f"none{number}"} for number in range(60)]
    outcome = evaluate({"metrics": ["RowCount", *metrics]}, iris)
    assert outcome["failed_metrics"] == 60
    assert outcome["notes"][50:] == ["10 more could not be computed."]


@pytest.mark.parametrize("is_cached", [True, False])
def test_files_that_cannot_be_read_are_named_and_are_no_failure(make_job, iris, tmp_path, is_cached):
    """So that the rest can be evaluated, or the reference waited for."""
    job = make_job(MODERN_DRIFT, [iris[:50], iris[50:100], iris[100:]], iris, cache_reference=is_cached)
    sound = job["parts"][1]
    for path in (job["parts"][0], job["reference"]):
        body = bytearray(Path(path).read_bytes())
        body[10:200] = bytes(190)
        Path(path).write_bytes(body)
    Path(job["parts"][2]).unlink()
    assert worker.evaluate(job) == {"ok": False, "damaged": [job["parts"][0], job["parts"][2]]}
    assert worker.evaluate(job | {"parts": [sound]}) == {"ok": False, "damaged": [job["reference"]]}
    gone = str(tmp_path / "gone")
    assert worker.evaluate(job | {"parts": [sound], "reference": gone}) == {"ok": False, "damaged": [gone]}


@pytest.mark.parametrize(("room", "fitting"), [(0, []), (24 * 1024, ["s.current.parquet", "s.reference.parquet"])])
def test_a_disk_that_is_full_is_no_failure_of_the_report(make_job, iris, small_disk, room, fitting):
    """Neither for the datasets nor for the snapshot, which is written last; what can't be written leaves nothing."""
    job = make_job(MODERN_DRIFT, iris, iris, save_datasets=True, snapshot_path=str(small_disk / "s.json"))
    (small_disk / "ballast").write_bytes(bytes(1024 * 1024 - room))
    with pytest.raises(OSError, match="No space left"):
        worker.evaluate(job)
    assert {path.name for path in small_disk.iterdir()} == {"ballast", *fitting}


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_ends_the_process_is_no_failure_of_the_report(make_job, iris, monkeypatch, signal):
    def stop(*_, **__):
        raise signal

    monkeypatch.setattr(worker, "prepare", stop)
    with pytest.raises(signal):
        worker.evaluate(make_job(MODERN_DRIFT, iris))


def test_nothing_reaches_stderr_and_no_daemon_library_is_imported(make_job, iris, tmp_path):
    """In a process of its own: Evidently warns and logs about differing types, of which none may be seen."""
    frame = iris.assign(species=pd.Categorical(iris["species"]))
    job = make_job(
        {"metrics": [], "tests": [{"type": "evidently:test:TestNumberOfRows"}], "options": {}}, frame[:100], frame
    )
    job["report_config"] = LEGACY_DRIFT
    (tmp_path / "job.json").write_text(json.dumps(job))
    code = (
        "import json, sys; from collector.evaluation import worker\n"
        "outcome = worker.evaluate(json.load(open(sys.argv[1])))\n"
        "assert outcome['ok'], outcome\n"
        "assert not {'trio', 'quart', 'collector.store', 'collector.config'} & set(sys.modules)\n"
        "print(worker.warm_up()['evidently'])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore::SyntaxWarning", "-c", code, str(tmp_path / "job.json")],
        cwd=Path(worker.__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == (evidently.__version__, "", 0)


def test_a_reference_is_checked_by_path(tmp_path, iris):
    iris.to_parquet(tmp_path / "r.parquet")
    assert worker.check_reference(str(tmp_path / "r.parquet")) == []
    assert worker.check_reference(str(tmp_path / "none"))[0]["path"] == ["reference_path"]


def test_a_mapping_left_out_is_evidentlys_default(evaluate, tmp_path):
    """Columns named target and prediction are taken as such, as the original did."""
    assert ColumnMapping().target == "target"
    frame = pd.DataFrame({"target": [1.0, 2, 3, 4, 5, 6, 7] * 5, "prediction": [1.0, 2, 3, 4, 5, 6, 8] * 5})
    evaluate(LEGACY_DRIFT | {"metrics": [{"type": "evidently:metric:RegressionQualityMetric"}]}, frame)
    written = LegacyReport.load(tmp_path / "snapshot.json").as_dict()["metrics"][0]["result"]["current"]
    assert written["mean_abs_error"] == pytest.approx(1 / 7)


def test_a_kept_reference_gives_the_same_snapshot_and_keeps_its_descriptors(make_job, tmp_path, monkeypatch):
    """The third batch takes all that the second one computed of the reference, which left it as it was."""
    frame = pd.DataFrame({"words": ["a b", "c d e", "f"] * 20, "n": range(60)})
    config = {"descriptors": [{"type": "TextLength", "column_name": "words", "alias": "length"}], **MODERN_DRIFT}
    job = make_job(config, frame[:50], frame)
    made = []
    from_pandas = Dataset.from_pandas
    monkeypatch.setattr(Dataset, "from_pandas", lambda *args, **others: made.append(1) or from_pandas(*args, **others))
    snapshots, numbers = [], []
    for is_cached in (False, True, True, False):
        made.clear()
        assert worker.evaluate(job | {"cache_reference": is_cached})["columns"] == len(["words", "n", "length"])
        snapshots.append(modern_values(tmp_path / "snapshot.json"))
        numbers.append(len(made))
    assert all(snapshot == snapshots[0] for snapshot in snapshots)
    assert numbers == [2, 2, 1, 2]


@pytest.mark.parametrize(("descriptor", "count"), [("ItemMatch", 10), ("ItemNoMatch", 10)])
def test_lists_that_came_as_json_are_lists_for_the_descriptors_that_want_them(evaluate, tmp_path, descriptor, count):
    rows = [{"q": f"the cat {number}", "items": ["cat"] if number % 2 else ["fish"]} for number in range(20)]
    pq.write_table(decode_frames([("json", json.dumps(rows).encode())]), tmp_path / "sent.parquet")
    config = {
        "descriptors": [{"type": descriptor, "columns": ["q", "items"], "alias": "found"}],
        "metrics": [{"type": "CategoryCount", "column": "found", "category": True}],
    }
    evaluate(config, tmp_path / "sent.parquet")
    [value] = modern_values(tmp_path / "snapshot.json").values()
    assert str(count) in str(value)


def test_the_rows_of_a_large_batch_are_let_go_before_the_next_one_is_read(evaluate, iris, monkeypatch):
    """A report names itself: a worker held 220 MB more at its second million rows."""
    monkeypatch.setattr(worker, "_MANY", 97)
    gc.disable()
    try:
        evaluate(MODERN_DRIFT, iris[:97], iris[97:])
        frames = [one for one in gc.get_objects() if isinstance(one, pd.DataFrame) and "_mgr" in vars(one)]
    finally:
        gc.enable()
    assert 97 not in map(len, frames)
