"""Metrics that ask for further data beside batch and reference have the values that Evidently gives directly."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evidently import DataDefinition, Dataset, Recsys, Report
from evidently.core.report import Snapshot
from evidently.legacy.metrics import ItemBiasMetric
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.report import Report as LegacyReport
from evidently.metrics import Novelty, PopularityBiasMetric, Serendipity

from collector.config import ReportConfig
from collector.evaluation import worker

RANKING = {"user_id": "user", "item_id": "item", "target": "liked", "prediction": "rank"}


def recommended(seed):
    """Five items for each of 20 users."""
    numbers = np.random.default_rng(seed)
    users = np.repeat(np.arange(20), 5)
    items = np.concatenate([numbers.choice(30, 5, replace=False) for _ in range(20)])
    return pd.DataFrame(
        {"user": users, "item": items, "rank": np.tile(np.arange(1, 6), 20), "liked": numbers.integers(0, 2, 100)}
    )


CURRENT, REFERENCE, TRAIN = map(recommended, range(3))
MODERN = [Novelty(k=3), PopularityBiasMetric(k=3), Serendipity(k=3, item_features=["liked"])]


@pytest.fixture
def train(tmp_path):
    TRAIN.to_parquet(tmp_path / "train.parquet")
    path = str(tmp_path / "train.parquet")
    return {"current_train_data": path, "reference_train_data": path}


def read_json(config):
    return json.loads(config.model_dump_json())


def test_modern_metrics_of_recommendations_are_as_run_directly(evaluate, train, tmp_path):
    definition = DataDefinition(ranking=[Recsys(**RANKING)])
    sides = [Dataset.from_pandas(frame, definition) for frame in (CURRENT, REFERENCE)]
    direct = Report(MODERN).run(*sides, additional_data=dict.fromkeys(train, TRAIN))
    evaluate(
        read_json(ReportConfig.from_report(Report(MODERN))),
        CURRENT,
        REFERENCE,
        additional_data=train,
        data_definition={"ranking": [RANKING]},
    )
    ours = Snapshot.load(tmp_path / "snapshot.json")
    assert {key: one.to_dict()["value"] for key, one in ours.metric_results.items()} == {
        key: one.to_dict()["value"] for key, one in direct.metric_results.items()
    }


def test_legacy_metrics_of_recommendations_are_as_run_directly(evaluate, train, tmp_path):
    mapping = {**RANKING, "task": "recsys", "recommendations_type": "rank"}
    direct = LegacyReport([ItemBiasMetric(k=3, column_name="liked")])
    direct.run(
        current_data=CURRENT.copy(),
        reference_data=REFERENCE.copy(),
        column_mapping=ColumnMapping(**mapping),
        additional_data=dict.fromkeys(train, TRAIN),
    )
    config = read_json(ReportConfig.from_report(direct))
    evaluate(config, CURRENT, REFERENCE, additional_data=train, column_mapping=mapping, generation="legacy")
    ours = LegacyReport.load(tmp_path / "snapshot.json")
    assert ours.as_dict()["metrics"] == direct.as_dict()["metrics"]


def test_a_file_that_is_gone_is_told_as_damage_and_not_as_a_mistake_of_the_report(make_job, train):
    Path(train["current_train_data"]).unlink()
    job = make_job(read_json(ReportConfig.from_report(Report(MODERN))), CURRENT, additional_data=train)
    assert worker.evaluate(job) == {"ok": False, "damaged": [train["current_train_data"]]}
