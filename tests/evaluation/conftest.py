"""Real data, real jobs, and real Evidently services for the tests of the worker's side."""

import warnings

import numpy as np
import pandas as pd
import pytest
from disks import small_disk  # noqa: F401  (a fixture)

with warnings.catch_warnings():  # Evidently and what it imports warn on import, which is theirs
    warnings.simplefilter("ignore")
    import evidently.cli.report  # noqa: F401  # for the tests that import from it

    from collector.evaluation import worker

from sklearn.datasets import load_iris

LEGACY_DRIFT = {
    "metrics": [
        {"type": "evidently:metric:DatasetDriftMetric", "options": {"color": None, "render": None}, "drift_share": 0.5},
        {"type": "evidently:metric:DataDriftTable", "feature_importance": False},
    ],
    "tests": [],
    "options": {"color": None, "render": None, "data_definition": None},
    "metadata": {},
    "tags": [],
}
MODERN_DRIFT = {"metrics": ["DataDriftPreset"]}
PROJECT = "018f0000-0000-7000-8000-00000000000a"


@pytest.fixture(scope="session")
def iris():
    """150 rows: four numbers, a category, and a whole number of many values."""
    bunch = load_iris(as_frame=True)
    frame = bunch.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_"))
    return frame.assign(species=bunch.target_names[bunch.target], number=np.arange(150))


@pytest.fixture
def make_job(tmp_path):
    """Make a job of frames (or Arrow tables' paths), with what a test wants otherwise."""

    def make(report_config, current, reference=None, **others):
        parts = [_kept(frame, tmp_path / f"part{number}.parquet") for number, frame in enumerate(_listed(current))]
        return {
            "collector": "main",
            "batch_id": "018f0000-0000-7000-8000-000000000001",
            "report_config": report_config,
            "data_definition": None,
            "column_mapping": None,
            "parts": parts,
            "reference": None if reference is None else _kept(reference, tmp_path / "reference.parquet"),
            "additional_data": {},
            "cache_reference": False,
            "sample": None,
            "cast": "untyped",
            "reuse_drift": True,
            "fast_reports": True,
            "report": "main",
            "opened": "2026-03-01T10:00:00+00:00",
            "sealed": "2026-03-01T11:00:00+00:00",
            "snapshot_path": str(tmp_path / "snapshot.json"),
            "save_datasets": False,
        } | others

    return make


@pytest.fixture
def evaluate(make_job):
    """Evaluate a job, which must succeed, and return its outcome."""

    def run(*args, **others):
        outcome = worker.evaluate(make_job(*args, **others))
        assert outcome["ok"], outcome["traceback"]
        return outcome

    return run


def _listed(value):
    return value if isinstance(value, list) else [value]


def _kept(frame, path):
    if isinstance(frame, pd.DataFrame):
        frame.to_parquet(path)
        return str(path)
    return str(frame)
