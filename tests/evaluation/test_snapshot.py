"""The file that is delivered, in the hands of real Evidently services."""

import json
import uuid
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evidently.core.report import Snapshot
from evidently.legacy.model.widget import AdditionalGraphInfo, BaseWidgetInfo

from collector.evaluation import snapshot, worker

from .conftest import LEGACY_DRIFT, MODERN_DRIFT


@pytest.fixture
def modern_project(modern_ui):
    answer = modern_ui.http.post("/api/v2/projects", json={"name": "posted", "id": str(uuid.uuid4())})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def legacy_project(legacy_ui):
    answer = legacy_ui.http.post("/api/projects", json={"name": "posted"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def post(service, path, body):
    answer = service.http.post(path, content=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def renamed(path, **fields):
    return json.dumps(json.loads(Path(path).read_bytes()) | fields)


def test_the_file_is_the_body_that_evidently_ui_takes_and_shows(evaluate, modern_ui, modern_project, iris, tmp_path):
    config = {"metadata": {"team": "risk", "more": ["a", "b"]}, "tags": ["t"], "include_tests": True}
    outcome = evaluate(MODERN_DRIFT | config, iris[:100], iris[50:])
    path = tmp_path / "snapshot.json"
    snapshot = post(modern_ui, f"/api/v2/snapshots/{modern_project}", path.read_bytes())["snapshot_id"]
    (shown,) = modern_ui.get(f"/api/projects/{modern_project}/snapshots")
    assert (shown["id"], shown["name"], shown["timestamp"]) == (snapshot, "main", "2026-03-01T11:00:00")
    assert shown["metadata"] == {
        "team": "risk",
        "more": '["a", "b"]',  # a list would make the UI answer 500 here
        "collector": "main",
        "report": "main",
        "segment": "",
        "drifted": ", ".join(one["column"] for one in outcome["findings"]["drift"] if one["is_drifted"]),
        "tests": f"{outcome['tests']['failed']} of {sum(outcome['tests'].values())} failed",
        "batch_id": "018f0000-0000-7000-8000-000000000001",
        "rows": "100",
        "window_start": "2026-03-01T10:00:00+00:00",
        "window_end": "2026-03-01T11:00:00+00:00",
    }
    assert shown["tags"] == ["t", "drift", "tests-failed"]
    assert len(modern_ui.get(f"/api/projects/{modern_project}/{snapshot}/data")["widgets"]) > 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_widgets_it_is_small_and_keeps_every_value(evaluate, modern_ui, modern_project, iris, tmp_path):
    config = {
        "metrics": ["DataDriftPreset", "DataSummaryPreset", {"type": "RowCount", "tests": []}],
        "include_tests": True,
    }
    evaluate(config, iris[:100], iris[50:])
    path = tmp_path / "snapshot.json"
    before, size = Snapshot.load(path), path.stat().st_size
    assert worker.strip_widgets(str(path)) == zlib.crc32(path.read_bytes())
    assert path.stat().st_size < size / 3
    assert Snapshot.load(path).dict() == before.dict()
    stripped = post(modern_ui, f"/api/v2/snapshots/{modern_project}", path.read_bytes())["snapshot_id"]
    assert modern_ui.get(f"/api/projects/{modern_project}/{stripped}/data")["widgets"] == []
    exported = modern_ui.get(f"/api/projects/{modern_project}/{stripped}/download?report_format=json")
    assert len(exported["metrics"]) == len(before.dict()["metrics"])


def test_a_legacy_file_has_no_widgets_to_strip(evaluate, iris, tmp_path):
    evaluate(LEGACY_DRIFT, iris, iris)
    with pytest.raises(ValueError, match="legacy snapshot has no widgets"):
        worker.strip_widgets(str(tmp_path / "snapshot.json"))


def test_the_file_is_the_body_that_legacy_ui_takes_and_shows(evaluate, legacy_ui, legacy_project, iris, tmp_path):
    outcome = evaluate(LEGACY_DRIFT | {"metadata": {"team": "risk"}}, iris[:100], iris[50:])
    for _ in range(2):  # sending it again is harmless
        post(legacy_ui, f"/api/projects/{legacy_project}/snapshots", (tmp_path / "snapshot.json").read_bytes())
    (shown,) = legacy_ui.get(f"/api/projects/{legacy_project}/reports")
    assert (shown["id"], shown["timestamp"]) == (outcome["report_id"], "2026-03-01T11:00:00")
    assert (shown["metadata"]["team"], shown["metadata"]["report"]) == ("risk", "main")
    assert shown["metadata"]["drifted"].startswith(outcome["findings"]["drift"][0]["column"])
    assert shown["tags"] == ["drift"]
    assert shown["metadata"]["batch_id"] == "018f0000-0000-7000-8000-000000000001"
    assert legacy_ui.get(f"/api/projects/{legacy_project}/{outcome['report_id']}/data")["widgets"]


SERIES = {"series_filter": [{"tags": [], "metadata": {}, "metric": "*", "metric_labels": {}}]}


def test_modern_dashboards_bear_naive_times_beside_evidentlys_own_and_no_zoned_ones(
    evaluate, modern_ui, modern_project, iris, tmp_path
):
    evaluate(MODERN_DRIFT, iris[:100], iris[50:])
    path, series = tmp_path / "snapshot.json", f"/api/v2/snapshots/{modern_project}/data_series_batch"
    post(modern_ui, f"/api/v2/snapshots/{modern_project}", renamed(path, timestamp="2026-03-01T09:00:00.5"))
    post(modern_ui, f"/api/v2/snapshots/{modern_project}", path.read_bytes())
    answer = modern_ui.http.post(series, json=SERIES)
    assert [one["timestamp"] for one in answer.json()["sources"]] == [
        "2026-03-01T09:00:00.500000",
        "2026-03-01T11:00:00",
    ]
    post(modern_ui, f"/api/v2/snapshots/{modern_project}", renamed(path, timestamp="2026-03-01T12:00:00+00:00"))
    assert modern_ui.http.post(series, json=SERIES).status_code == 500  # why timestamp_of gives naive times


def test_legacy_dashboards_too(evaluate, legacy_ui, legacy_project, iris, tmp_path):
    evaluate(LEGACY_DRIFT, iris[:100], iris[50:])
    path, project = tmp_path / "snapshot.json", f"/api/projects/{legacy_project}"
    post(legacy_ui, f"{project}/snapshots", path.read_bytes())
    post(legacy_ui, f"{project}/snapshots", renamed(path, id=str(uuid.uuid4()), timestamp="2026-03-01T09:00:00"))
    shown = legacy_ui.get(f"{project}/dashboard")
    assert (shown["min_timestamp"], shown["max_timestamp"]) == ("2026-03-01T09:00:00", "2026-03-01T11:00:00")
    post(legacy_ui, f"{project}/snapshots", renamed(path, id=str(uuid.uuid4()), timestamp="2026-03-01T12:00:00+00:00"))
    assert legacy_ui.http.get(f"{project}/dashboard").status_code == 500


@pytest.mark.parametrize(
    "values",
    [
        pd.array(["a", None], dtype="string"),
        pd.array([1, None], dtype="Int64"),
        pd.array([True, None], dtype="boolean"),
        pd.date_range("2026-03-01", periods=2).array,
        pd.date_range("2026-03-01", periods=2, tz="UTC").array,
        pd.Categorical(["a", None]),
    ],
    ids=lambda values: str(values.dtype),
)
def test_the_arrays_that_pandas_keeps_columns_in_are_written_as_lists(values):
    """Legacy quality metrics keep such an array of the most common values, and Evidently's encoder trips over it."""
    [written] = json.loads(snapshot.encode({"values": values})).values()
    assert len(written) == 2
    assert written[0] == json.loads(snapshot.encode({"first": pd.Series(values)[0]}))["first"]


@pytest.mark.parametrize("generation", ["modern", "legacy"])
@pytest.mark.parametrize("body", [{}, {"report": 1, "suite": 1}, [], "[" * 100_000])
def test_what_evidently_could_not_load_again_is_refused(generation, body):
    """A UI that finds it answers 500 for every project."""
    encoded = body.encode() if isinstance(body, str) else snapshot.encode(body)
    with pytest.raises(ValueError, match="Evidently can't load the snapshot of this report again"):
        snapshot.refuse_unloadable(encoded, generation)


def test_an_outline_leaves_out_what_widgets_show_and_nothing_else():
    inner = BaseWidgetInfo(type="x", title="t", size=1, id="i", params={"data": [1.5]})
    graph = AdditionalGraphInfo(id="g", params={"kept": 1})
    outer = inner.copy(update={"widgets": [inner], "additionalGraphs": [graph]})
    told = json.loads(snapshot.encode({"widgets": [outer]}))
    for one in (told["widgets"][0], told["widgets"][0]["widgets"][0]):
        one["params"] = {}
    assert json.loads(snapshot.outline({"widgets": [outer]})) == told


def test_an_outline_has_two_of_like_numbers_and_all_else():
    alike = {
        "array": np.array([1.5, np.nan, 2.0]),
        "series": pd.Series([1, 2, 3]),
        "frame": pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5]}),
    }
    others = {
        "labels": pd.Series(["a", 1, None]),
        "mixed": pd.DataFrame({"a": [1, 2, 3], "b": ["x", 1, None]}),
        "truths": np.array([True, False, True]),
        "several": np.ones((3, 2)),
        "list": [1, "a", 2.5],
        "number": np.float64(0.5),
        "alone": np.array(0.5),
    }
    told = json.loads(snapshot.encode({**{name: one[:2] for name, one in alike.items()}, **others}))
    told["several"] = told["several"][:2]
    assert json.loads(snapshot.outline({**alike, **others}).replace(b"NaN", b"null")) == json.loads(
        json.dumps(told).replace("NaN", "null")
    )


def test_a_report_whose_snapshot_could_not_be_loaded_again_fails(make_job, iris, monkeypatch, tmp_path):
    monkeypatch.setattr(snapshot, "outline", lambda _: b'{"report": null}')
    outcome = worker.evaluate(make_job(MODERN_DRIFT, iris[:60], iris[60:]))
    assert (outcome["ok"], "can't load the snapshot" in outcome["error"]) == (False, True)
    assert not (tmp_path / "snapshot.json").exists()
