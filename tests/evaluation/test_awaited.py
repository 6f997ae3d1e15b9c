"""Reports while there is no reference yet, and with one that is made of earlier batches: as Evidently has it itself."""

import json

import pytest
from evidently import Dataset, Report
from evidently.presets import DataDriftPreset

from collector.evaluation import worker
from collector.formats.frames import decode_frames
from collector.store.parts import make_reference, write

WHY = "there is no reference yet: it is made of the first 10 rows, and 5 of 10 rows are there"
LEGACY = {"options": {}, "metadata": {}, "tags": []}
DRIFT = {"metrics": ["DataDriftPreset"]}


def test_what_needs_a_reference_is_left_out_noted_once_and_not_bad(evaluate, iris):
    done = evaluate({"metrics": ["RowCount", "DataDriftPreset"]}, iris, awaits_reference=WHY)
    assert (done["failed_metrics"], done["findings"]["not_computed"], done["awaits_reference"]) == (0, [], True)
    assert [one["value"] for one in done["findings"]["values"] if one["metric"] == "RowCount"] == [len(iris)]
    [note] = [one for one in done["notes"] if "reference" in one]
    assert note.startswith(f"T{WHY[1:]}; without it: DriftedColumnsCount, ValueDrift of 'sepal_length'")


def test_a_test_that_needs_a_reference_is_skipped(evaluate, iris):
    tests = [
        {"type": "evidently:test:TestColumnDrift", "column_name": "sepal_width"},
        {"type": "evidently:test:TestNumberOfRows"},
    ]
    done = evaluate({"metrics": [], "tests": tests, **LEGACY}, iris, awaits_reference=WHY)
    assert (done["tests"]["passed"], done["tests"]["error"], done["tests"]["skipped"]) == (1, 0, 1)
    assert done["findings"]["failed_tests"] == []


def test_what_fails_for_another_reason_is_still_told(evaluate, iris):
    report = {"metrics": ["RowCount", {"type": "MeanValue", "column": "agee"}]}
    assert evaluate(report, iris, awaits_reference=WHY)["failed_metrics"] == 1


@pytest.mark.parametrize(
    "report", [DRIFT, {"metrics": [{"type": "evidently:metric_preset:DataDriftPreset"}], **LEGACY}]
)
def test_where_all_needs_a_reference_there_is_nothing_to_report(make_job, iris, report):
    """A report that fails would keep its batch from becoming the reference: there would never be one."""
    job = make_job({"tests": [], **report} if "tags" in report else report, iris, awaits_reference=WHY)
    done = worker.evaluate(job)
    assert (done["ok"], done["rows_without_match"], done["why"]) == (False, len(iris), WHY)


def test_a_reference_with_too_few_rows_that_meet_where_is_none(evaluate, make_job, iris):
    where = {"species": {"eq": "virginica"}}  # 50 of 150 rows
    with_reference = {"where": where, "export": "all"}
    few = evaluate({"metrics": ["RowCount", *DRIFT["metrics"]]}, iris, iris, least_reference_rows=51, **with_reference)
    assert few["notes"][-1].startswith("Fewer than 51 rows of the reference meet `where`; without it: Drifted")
    enough = evaluate(DRIFT, iris, iris, least_reference_rows=50, **with_reference)
    assert (enough["columns"], enough["drifted_columns"]) == (6, 0)
    none = make_job(DRIFT, iris, iris.query("species != 'virginica'"), least_reference_rows=1, where=where)
    assert worker.evaluate(none)["why"] == "fewer than 1 rows of the reference meet `where`"


def test_drift_from_earlier_batches_is_what_evidently_says_of_the_same_rows(evaluate, iris, tmp_path):
    """Each batch came as JSON, in several parts, and a category as text."""
    shuffled = iris.sample(frac=1, random_state=1, ignore_index=True)
    before, now = shuffled[:90], shuffled[90:].assign(sepal_width=lambda frame: frame.sepal_width + 1)
    parts = []
    for number, start in enumerate(range(0, 90, 30)):
        body = json.dumps(before[start : start + 30].to_dict("list")).encode()
        write(decode_frames([("json", body)]), tmp_path / f"earlier{number}.parquet")
        parts.append(str(tmp_path / f"earlier{number}.parquet"))
    make_reference(parts, 90, str(tmp_path / "made.parquet"), None)
    write(decode_frames([("json", json.dumps(now.to_dict("list")).encode())]), tmp_path / "now.parquet")
    files = {"parts": [str(tmp_path / "now.parquet")], "reference": str(tmp_path / "made.parquet")}
    done = evaluate(DRIFT, [], export="all", **files)
    sides = [Dataset.from_pandas(frame.reset_index(drop=True)) for frame in (now, before)]
    direct = Report([DataDriftPreset()]).run(*sides)
    values = {
        one["config"]["column"]: one["value"] for one in direct.dict()["metrics"] if "ValueDrift" in one["metric_name"]
    }
    ours = {one["column"]: one["value"] for one in done["exported"] if one["metric"] == "ValueDrift"}
    assert ours == pytest.approx(values)
    assert len(ours) == 6


def test_of_the_first_rows_exactly_as_many_are_taken_and_made_twice_they_are_the_same_file(tmp_path):
    parts = []
    for number, body in enumerate((b'{"n": [1, 2], "t": ["2024-01-01", "x"]}', b'{"n": [3, 4.5], "t": [null, "y"]}')):
        write(decode_frames([("json", body)]), tmp_path / f"{number}.parquet")
        parts.append(str(tmp_path / f"{number}.parquet"))
    for name in ("a", "b"):
        make_reference(parts, 3, str(tmp_path / name), None)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    done = worker.read_table(str(tmp_path / "a")).to_pydict()
    assert done == {"n": [1.0, 2.0, 3.0], "t": ["2024-01-01", "x", None]}


def test_what_is_hashed_already_is_not_hashed_again(tmp_path):
    """Of the rows of a batch some came before the config said that they are private."""
    private = {"keep": None, "drop": ["secret"], "hash": {"email": "salt"}}
    paths = [str(tmp_path / f"{number}.parquet") for number in range(3)]
    write(decode_frames([("json", b'{"email": ["a@b.example"], "secret": [1], "n": [1]}')]), tmp_path / "0.parquet")
    make_reference(paths[:1], 1, paths[1], private)
    make_reference([paths[1], paths[0]], 2, paths[2], private)
    table = worker.read_table(paths[2])
    assert table.column_names == ["email", "n"]
    assert len(set(table["email"].to_pylist())) == 1
    assert table["email"][0].as_py().startswith("hmac:")
