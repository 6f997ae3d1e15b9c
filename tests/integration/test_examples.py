"""Each example, each config that ships, the demo, and the README's walk through, run as a user would."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sklearn.datasets import load_diabetes, load_wine

from collector.client import CollectorClient

from .conftest import PATIENCE, ROOT, UNREHEARSED, Daemon, environment, free_port, wait_until

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon with configs/quickstart.json, as the examples say."""
    directory = tmp_path_factory.mktemp("examples")
    config = json.loads((ROOT / "configs" / "quickstart.json").read_text(encoding="utf-8"))
    daemon = Daemon(directory, config | {"evaluation_workers": 1}, evaluates=UNREHEARSED).start()
    yield daemon
    daemon.close()


def run(command, daemon, **variables):
    """Run an example to its end and return what it printed."""
    ended = subprocess.run(
        command,
        cwd=daemon.directory,
        env=environment(COLLECTOR_URL=daemon.url, PYTHONWARNINGS="ignore", **variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_quickstart_delivers_what_its_trigger_and_its_flush_sealed(daemon):
    printed = run(["bash", ROOT / "examples" / "quickstart.sh"], daemon)
    assert '"type":"UploadReport"' in printed
    assert daemon.rows("default") == [4, 1]  # two columns' rows and two lines; then the CSV's one


def test_python_client_makes_a_snapshot_of_half_the_wines(daemon):
    printed = run([sys.executable, ROOT / "examples" / "python_client.py"], daemon)
    assert printed.startswith(f"{len(load_wine().data) // 2} rows: 0 of 13 columns drifted")


def test_delayed_labels_puts_drift_and_quality_into_one_project(daemon):
    printed = run([sys.executable, ROOT / "examples" / "delayed_labels.py"], daemon)
    predicted = len(load_diabetes().data) - 200
    assert printed.startswith(f"main snapshot of {predicted} rows\nlabels snapshot of {round(0.95 * predicted)} rows\n")


def test_hot_path_sends_each_patient_once(daemon):
    rows = len(load_diabetes().data)
    assert (
        run([sys.executable, ROOT / "examples" / "hot_path.py"], daemon)
        == f"{rows} events sent, 0 dropped, 0 refused\n"
    )
    assert daemon.status("hot_path")["rows_waiting"] == rows


def test_service_answers_predictions_whose_events_reach_a_snapshot(daemon):
    port = free_port()
    service = subprocess.Popen(
        [sys.executable, ROOT / "examples" / "service.py"],
        cwd=daemon.directory,
        env=environment(COLLECTOR_URL=daemon.url, PORT=str(port), PYTHONWARNINGS="ignore"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            wait_until(lambda: answers(client), "the service")
            for bmi in range(20):  # the example's rows_count
                assert client.post("/predict", json={"bmi": bmi / 100, "bp": 0.02, "s5": 0.02}).status_code == 200
        daemon.wait_for_logs("diabetes")
        assert daemon.rows("diabetes") == [20]
    finally:
        service.terminate()
        service.wait(PATIENCE)


def answers(client):
    try:
        return client.get("/").status_code
    except httpx.TransportError:
        return None


def test_the_demo_finds_the_drift_that_it_sends(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "collector", "demo"],
        cwd=tmp_path,
        env=environment(COLUMNS="100"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    verdicts = re.findall(r"^\d +40 .*?(no drift|drift) *$", ended.stdout.rpartition("snapshot  rows")[2], re.MULTILINE)
    assert verdicts == ["no drift"] * 3 + ["drift"] * 3
    assert "evidently ui --workspace collector_demo/workspace" in ended.stdout
    assert len(list(tmp_path.glob("collector_demo/workspace/*/snapshots/*.json"))) == 6


def test_the_readmes_walk_through_runs_as_it_stands(tmp_path, daemon):
    """The first block makes a config file that the service takes; the second works against a running service."""
    settings = (ROOT / "configs" / "settings.md").read_text(encoding="utf-8")
    _hash, first, second = re.findall(r"```python\n(.*?)```", settings, re.DOTALL)
    [third] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    told = {"reference": load_wine(as_frame=True).data[::2], "events": load_wine(as_frame=True).data[1::2]}
    second, third = (block.replace("http://localhost:8001", daemon.url) for block in (second, third))
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        exec(first + second, told)
        told["client"].close()
        daemon.wait_for_logs("main", 1, "CreateReport")
        exec(third, told)
        told["client"].close()
    finally:
        os.chdir(here)
    assert (tmp_path / "collector_config.json").exists()
    daemon.wait_for_logs("main", 1, "CreateReport")
    with CollectorClient(daemon.url) as client:
        [report] = [entry for entry in client.get_logs("main") if entry["type"] == "CreateReport"]
    assert report["rows"] == len(told["events"])
    daemon.client.delete_collector("main")
