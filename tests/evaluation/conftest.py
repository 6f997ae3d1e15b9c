"""Real data, real jobs, and real Evidently services for the tests of the worker's side."""

import contextlib
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from disks import small_disk  # noqa: F401  (a fixture)

with warnings.catch_warnings():  # Evidently and what it imports warn on import, which is theirs
    warnings.simplefilter("ignore")
    import evidently.cli.report  # noqa: F401  # for the tests that import from it

    from collector.evaluation import worker

from machine import PATIENCE, free_port
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


class Service:
    """A running Evidently service over a directory."""

    def __init__(self, command, directory):
        self.command = command
        self.directory = Path(directory)
        port = free_port()
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--workspace", str(directory)]
        with (self.directory.parent / f"{command}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "evidently.cli", command, *arguments],
                env=os.environ | {"DO_NOT_TRACK": "1"},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE)

    def get(self, path):
        """Return the JSON of an answer that must be 200."""
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_for(self, path, fits, seconds=PATIENCE):
        """Return the JSON at ``path`` once it fits; fail when it doesn't in time."""
        deadline = time.monotonic() + seconds
        seen = None
        while time.monotonic() < deadline:
            try:
                answer = self.http.get(path)
                seen = answer.text
                if answer.status_code == 200 and fits(answer.json()):
                    return answer.json()
            except httpx.TransportError as error:
                seen = repr(error)
            time.sleep(0.05)
        pytest.fail(f"{path} after {seconds} s: {seen}")

    def close(self):
        self.http.close()
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE)


@pytest.fixture(scope="session")
def modern_ui(tmp_path_factory):
    """``evidently ui`` over a directory, for the whole run."""
    with serve("ui", tmp_path_factory.mktemp("modern") / "workspace") as service:
        yield service


@pytest.fixture(scope="session")
def legacy_ui(tmp_path_factory):
    """``evidently legacy_ui`` over a directory, for the whole run."""
    with serve("legacy_ui", tmp_path_factory.mktemp("legacy") / "workspace") as service:
        yield service


@contextlib.contextmanager
def serve(command, directory):
    """Run a service over a new directory."""
    directory.mkdir()
    service = Service(command, directory)
    try:
        service.wait_for("/api/version", lambda _: True)
        yield service
    finally:
        service.close()


def _listed(value):
    return value if isinstance(value, list) else [value]


def _kept(frame, path):
    if isinstance(frame, pd.DataFrame):
        frame.to_parquet(path)
        return str(path)
    return str(frame)
