"""Datasets for Evidently Cloud: what Evidently's own clients send is what we describe."""

import io
import json
import zlib

import pandas as pd
import pytest
from evidently.core.report import Report
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.ui.workspace import CloudWorkspace as LegacyCloud
from evidently.legacy.ui.workspace.cloud import CloudMetadataStorage
from evidently.presets import DataDriftPreset
from evidently.ui.workspace import CloudWorkspace
from pandas.testing import assert_frame_equal

from collector.evaluation import worker

from .conftest import LEGACY_DRIFT, MODERN_DRIFT, PROJECT

pytestmark = pytest.mark.filterwarnings("ignore")  # Evidently is called directly, to compare with
SNAPSHOT = "018f0000-0000-7000-8000-0000000000bb"
DATASET = "018f0000-0000-7000-8000-0000000000dd"
TOKEN = "sk_a.b.c"


class Answer:
    """What the cloud would answer to any of the uploads."""

    def json(self):
        return {
            "application": "Evidently UI",
            "snapshot_id": SNAPSHOT,
            "dataset_id": DATASET,
            "dataset": {"id": DATASET},
        }


def recorder(sent):
    def request(self, path, method, *, query_params=None, body=None, form_data=False, **_):
        if form_data:
            kept = {k: v for k, v in body.items() if v is not None} | {"file": body["file"].getvalue()}
            sent.append((path, method, query_params, kept))
        return Answer()

    return request


def described(dataset, **params):
    return dataset["url"], "POST", dataset["params"] | params, dataset["form"]


def compare(datasets, sent, **params):
    assert len(datasets) == len(sent) == 2
    for dataset, (path, method, query, body) in zip(datasets, sent, strict=True):
        file = body.pop("file")
        assert (path, method, {k: str(v) for k, v in query.items()}, {k: str(v) for k, v in body.items()}) == described(
            dataset, **params
        )
        assert dataset["filename"] == "data.parquet"
        assert_frame_equal(pd.read_parquet(io.BytesIO(file)), pd.read_parquet(dataset["path"]))


def test_modern_datasets_are_sent_as_evidentlys_cloud_client_sends_them(evaluate, iris, tmp_path, monkeypatch):
    outcome = evaluate(MODERN_DRIFT, iris[:100], iris[50:].reset_index(drop=True), save_datasets=True)
    assert [dataset["path"] for dataset in outcome["datasets"]] == [
        str(tmp_path / f"snapshot.{role}.parquet") for role in ("current", "reference")
    ]
    sent = []
    monkeypatch.setattr(CloudWorkspace, "_request", recorder(sent))
    run = Report([DataDriftPreset()]).run(iris[:100], iris[50:].reset_index(drop=True), name="main")
    CloudWorkspace(TOKEN).add_run(PROJECT, run, include_data=True)
    compare(outcome["datasets"], sent, project_id=PROJECT, snapshot_id=SNAPSHOT)


def test_legacy_datasets_are_sent_as_the_originals_cloud_client_sent_them(evaluate, iris, tmp_path, monkeypatch):
    outcome = evaluate(LEGACY_DRIFT, iris[:100], iris[50:].reset_index(drop=True), save_datasets=True)
    sent = []
    monkeypatch.setattr(CloudMetadataStorage, "_request", recorder(sent))
    cloud = LegacyCloud(TOKEN)
    monkeypatch.setattr(cloud, "add_snapshot", lambda *_: None)
    report = LegacyReport.load(tmp_path / "snapshot.json")
    mapping = json.loads(outcome["datasets"][0]["form"]["column_mapping"])
    direct = LegacyReport(report._first_level_metrics)  # noqa: SLF001
    direct.run(current_data=iris[:100], reference_data=iris[50:].reset_index(drop=True))
    direct.id = report.id
    cloud._add_report_base(PROJECT, direct, include_data=True)  # noqa: SLF001  # what the original called
    assert json.loads(sent[0][3]["column_mapping"]).keys() == mapping.keys()
    for _, _, _, body in sent:  # its lists come in a set's order
        body["column_mapping"] = outcome["datasets"][0]["form"]["column_mapping"]
    compare(outcome["datasets"], sent, project_id=PROJECT)


def test_ids_of_uploaded_datasets_are_entered_into_a_legacy_snapshot(evaluate, iris, tmp_path):
    evaluate(LEGACY_DRIFT, iris, iris, save_datasets=True)
    checksum = worker.link_datasets(str(tmp_path / "snapshot.json"), {"current": DATASET})
    assert checksum == zlib.crc32((tmp_path / "snapshot.json").read_bytes())
    links = json.loads((tmp_path / "snapshot.json").read_text())["links"]["datasets"]["output"]
    assert links == {"current": DATASET, "reference": None, "additional": {}}
    assert LegacyReport.load(tmp_path / "snapshot.json").as_dict()["metrics"]


def test_nothing_is_kept_unless_asked_for(evaluate, iris, tmp_path):
    assert evaluate(MODERN_DRIFT, iris, iris)["datasets"] == []
    assert not list(tmp_path.glob("snapshot.*.parquet"))
