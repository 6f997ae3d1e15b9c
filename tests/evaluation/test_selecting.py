"""Reports of some of a batch's rows: each has the values of Evidently called directly on those rows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from evidently import Report
from evidently.core.report import Snapshot
from evidently.legacy.metric_preset import DataDriftPreset as LegacyDataDriftPreset
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.utils import NumpyEncoder
from evidently.metrics import DatasetMissingValueCount, MinValue
from evidently.presets import DataDriftPreset

from collector.evaluation import worker
from collector.evaluation.segments import snapshot_id
from collector.formats.sources import JSON, marked

from .conftest import LEGACY_DRIFT

pytestmark = pytest.mark.filterwarnings("ignore")
REPORT = {"metrics": ["DataDriftPreset", {"type": "MinValue", "column": "age"}, "DatasetMissingValueCount"]}
BY_COUNTRY = {"column": "country", "values": None, "edges": None, "max": 20, "min_rows": 100}


def people(rows, seed):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "country": random.choice(["de", "fr", "it", "us"], rows, p=[0.5, 0.3, 0.15, 0.05]),
            "age": random.integers(10, 80, rows),
            "score": random.normal(size=rows),
        }
    )


@pytest.fixture(scope="module")
def reference():
    return people(1500, 1)


@pytest.fixture(scope="module")
def current():
    return people(1000, 2)


def values(run):
    text = json.dumps({one["id"]: one["value"] for one in run.dict()["metrics"]}, cls=NumpyEncoder)
    return json.loads(text, parse_constant=str)


def directly(current, reference):
    kept = [frame.reset_index(drop=True) for frame in (current, reference)]
    return values(Report([DataDriftPreset(), MinValue(column="age"), DatasetMissingValueCount()]).run(*kept))


def test_where_keeps_the_rows_that_meet_it_on_both_sides(evaluate, current, reference, tmp_path):
    where = {"age": {"gte": 18, "lt": 65}, "country": {"is_in": ["de", "fr"]}}
    outcome = evaluate(REPORT, [current[:300], current[300:]], reference, where=where)
    kept = [frame[frame.age.between(18, 64) & frame.country.isin(["de", "fr"])] for frame in (current, reference)]
    assert (outcome["rows"], outcome["matched_rows"]) == (1000, len(kept[0]))
    snapshot = Snapshot.load(tmp_path / "snapshot.json")
    assert values(snapshot) == directly(*kept)
    metadata = json.loads((tmp_path / "snapshot.json").read_bytes())["metadata"]
    assert (metadata["rows"], metadata["matched_rows"], metadata["segment"]) == ("1000", str(len(kept[0])), "")


def test_without_where_nothing_is_said_of_rows_that_match(evaluate, current, reference, tmp_path):
    assert "matched_rows" not in evaluate(REPORT, current, reference)
    assert "matched_rows" not in json.loads((tmp_path / "snapshot.json").read_bytes())["metadata"]


def test_values_that_came_as_text_are_matched_as_what_they_are(evaluate, current, reference, tmp_path):
    table = marked(pa.Table.from_pandas(current.astype({"age": str}), preserve_index=False), JSON)
    pq.write_table(table, tmp_path / "text.parquet")
    outcome = evaluate(REPORT, tmp_path / "text.parquet", reference, where={"age": {"gte": 18}})
    assert outcome["matched_rows"] == (current.age >= 18).sum()


def test_a_batch_without_a_row_that_matches_has_no_report_and_is_no_failure(make_job, current, reference, tmp_path):
    done = worker.evaluate(make_job(REPORT, current.assign(age=5), reference, where={"age": {"gte": 18}}))
    assert done == {"ok": False, "rows_without_match": 1000, "notes": []}
    assert not (tmp_path / "snapshot.json").exists()


def test_a_column_of_where_that_a_batch_lacks_is_named(make_job, current, reference):
    done = worker.evaluate(make_job(REPORT, current.drop(columns="age"), reference, where={"age": {"gte": 18}}))
    assert done["rows_without_match"] == 1000
    assert "Column 'age' of `where` is not in the batch: no row meets it." in done["notes"]


def test_a_batch_whose_values_can_not_be_compared_fails_and_says_why(make_job, current, reference):
    done = worker.evaluate(make_job(REPORT, current, reference, where={"country": {"gt": 3}}))
    assert done["error"].startswith("column 'country' holds text, without an order; write eq or is_in")


def test_a_sample_is_drawn_of_the_rows_that_match(evaluate, current, reference, tmp_path):
    parts = [current[:400], current[400:]]
    outcome = evaluate(REPORT, parts, reference, where={"age": {"gte": 18}}, sample={"rows": 200})
    metadata = json.loads((tmp_path / "snapshot.json").read_bytes())["metadata"]
    matching = (current.age >= 18).sum()
    assert (outcome["rows"], outcome["matched_rows"], metadata["sampled_rows"]) == (1000, matching, "200")


def test_each_segment_has_the_values_of_its_rows_and_the_whole_those_of_all(evaluate, current, reference, tmp_path):
    outcome = evaluate(REPORT, [current[:300], current[300:]], reference, segments=BY_COUNTRY)
    assert values(Snapshot.load(tmp_path / "snapshot.json")) == directly(current, reference)
    assert [one["segment"] for one in outcome["segments"]] == ["de", "fr", "it"]
    for one in outcome["segments"]:
        name = one["segment"]
        kept = [frame[frame.country == name] for frame in (current, reference)]
        assert one["ok"], one["traceback"]
        assert (one["rows"], one["matched_rows"]) == (1000, len(kept[0]))
        assert one["report_id"] == snapshot_id("018f0000-0000-7000-8000-000000000001", name)
        assert values(Snapshot.load(tmp_path / one["file"])) == directly(*kept)
        metadata = json.loads((tmp_path / one["file"]).read_bytes())["metadata"]
        assert (metadata["segment"], metadata["batch_id"]) == (name, "018f0000-0000-7000-8000-000000000001")
    assert outcome["skipped_segments"] == {"other": (current.country == "us").sum()}
    assert "No report of segments with fewer than 100 rows in the batch: other." in outcome["notes"]


def test_segments_are_of_the_rows_that_match(evaluate, current, reference, tmp_path):
    outcome = evaluate(REPORT, current, reference, segments=BY_COUNTRY, where={"age": {"gte": 18}})
    [de, *_] = outcome["segments"]
    kept = [frame[(frame.age >= 18) & (frame.country == "de")] for frame in (current, reference)]
    assert de["matched_rows"] == len(kept[0])
    assert values(Snapshot.load(tmp_path / de["file"])) == directly(*kept)


def test_numbers_are_divided_by_edges(evaluate, current, reference, tmp_path):
    outcome = evaluate(REPORT, current, reference, segments=BY_COUNTRY | {"column": "age", "edges": [18, 65]})
    assert [one["segment"] for one in outcome["segments"]] == ["below 18", "18 to 65", "65 and more"]
    kept = [frame[frame.age >= 65] for frame in (current, reference)]
    assert values(Snapshot.load(tmp_path / outcome["segments"][-1]["file"])) == directly(*kept)


def test_a_segment_takes_a_sample_of_its_own(evaluate, current, reference, tmp_path):
    """A small segment isn't a few rows of the sample of the whole, and a large one is bounded as the whole is."""
    parts = [current[:400], current[400:]]
    outcome = evaluate(REPORT, parts, reference, segments=BY_COUNTRY, sample={"rows": 200})
    said = {
        one["segment"]: json.loads((tmp_path / one["file"]).read_bytes())["metadata"] for one in outcome["segments"]
    }
    assert {name: one.get("sampled_rows") for name, one in said.items()} == {"de": "200", "fr": "200", "it": None}
    kept = [frame[frame.country == "it"] for frame in (current, reference)]
    it = next(one for one in outcome["segments"] if one["segment"] == "it")
    assert values(Snapshot.load(tmp_path / it["file"])) == directly(*kept)


def test_a_legacy_report_has_segments_too(evaluate, current, reference, tmp_path):
    outcome = evaluate(LEGACY_DRIFT, current, reference, segments=BY_COUNTRY)
    for one in outcome["segments"]:
        kept = [frame[frame.country == one["segment"]].reset_index(drop=True) for frame in (current, reference)]
        direct = LegacyReport([LegacyDataDriftPreset()])
        direct.run(current_data=kept[0], reference_data=kept[1])
        share = direct.as_dict()["metrics"][0]["result"]["share_of_drifted_columns"]
        assert one["drift_share"] == share
        body = json.loads((tmp_path / one["file"]).read_bytes())
        assert (body["metadata"]["segment"], body["id"]) == (one["segment"], one["report_id"])


def test_categories_that_a_segment_lacks_are_not_counted(evaluate, current, reference, tmp_path):
    typed = [frame.astype({"country": "category"}) for frame in (current, reference)]
    config = {"metrics": [{"type": "UniqueValueCount", "column": "country"}]}
    [de, *_] = evaluate(config, *typed, segments=BY_COUNTRY)["segments"]
    [counted] = values(Snapshot.load(tmp_path / de["file"])).values()
    assert counted["counts"] == {"de": (current.country == "de").sum()}


def test_one_segments_failure_costs_only_that_one(make_job, current, reference, monkeypatch):
    run = worker.modern.run

    def fail_at_fr(report, frames, columns, job):
        if frames.segment == "fr":
            raise ZeroDivisionError("division by zero")
        return run(report, frames, columns, job)

    monkeypatch.setattr(worker.modern, "run", fail_at_fr)
    done = worker.evaluate(make_job(REPORT, current, reference, segments=BY_COUNTRY))
    assert [(one["segment"], one["ok"]) for one in done["segments"]] == [("de", True), ("fr", False), ("it", True)]
    fr = done["segments"][1]
    assert (fr["error"], fr["matched_rows"]) == ("ZeroDivisionError: division by zero", (current.country == "fr").sum())


def test_a_batch_that_can_not_be_divided_has_the_report_of_the_whole(evaluate, current, reference):
    outcome = evaluate(REPORT, current.drop(columns="country"), reference, segments=BY_COUNTRY)
    assert outcome["segments"] == []
    assert "No report of segments by 'country': the batch doesn't have that column." in outcome["notes"]


def test_a_segment_that_the_reference_lacks_gets_no_report_and_that_is_said(evaluate, current, reference):
    outcome = evaluate(
        REPORT, current, reference[reference.country != "fr"], segments=BY_COUNTRY | {"values": ["de", "fr"]}
    )
    assert [one["segment"] for one in outcome["segments"]] == ["de", "other"]
    assert "No report of segments with fewer than 100 rows in the reference: fr." in outcome["notes"]


def test_without_a_reference_named_segments_get_reports(evaluate, current):
    config = {"metrics": ["RowCount"]}
    outcome = evaluate(config, current, None, segments=BY_COUNTRY | {"values": ["de"]})
    assert [(one["segment"], one["ok"]) for one in outcome["segments"]] == [("de", True), ("other", True)]


def test_a_kept_reference_gives_the_same_segments_again(make_job, current, reference, tmp_path):
    where = {"age": {"gte": 18}}
    job = make_job(REPORT, current, reference, segments=BY_COUNTRY, where=where, cache_reference=True)
    found = []
    for _ in range(2):
        done = worker.evaluate(job)
        found.append([values(Snapshot.load(Path(tmp_path) / one["file"])) for one in done["segments"]])
    assert found[0] == found[1]
