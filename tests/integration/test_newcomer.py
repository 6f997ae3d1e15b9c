"""A newcomer's path: from a CSV of one's own to a monitored snapshot, by the commands that the README begins with."""

import json
import re
import shlex
import subprocess
import sys

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from .conftest import PATIENCE, ROOT, environment, free_port, run_collector, wait_until

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAX_COMMANDS = 5


def quick_start():
    """Return the commands for one's own data in the README, without their comments."""
    own_data = README.partition("## Your own data")[2].partition("\n## ")[0]
    blocks = re.findall(r"```bash\n(.*?)```", own_data, re.DOTALL)
    return [line.partition("  #")[0].strip() for line in "".join(blocks).splitlines()]


@pytest.fixture
def own_data(tmp_path):
    """Write a reference, and events that have drifted: a clinic's patients, with an id, a time and a category."""
    cancer = load_breast_cancer(as_frame=True)
    patients = cancer.frame[["mean radius", "mean texture", "mean area"]].assign(
        patient_id=range(1000, 1000 + len(cancer.frame)),
        clinic=["north" if number % 3 else "south" for number in range(len(cancer.frame))],
        seen_at=pd.date_range("2026-01-01", periods=len(cancer.frame), freq="h"),
        target=cancer.target,
    )
    patients[patients.target == 1].to_csv(tmp_path / "reference.csv", index=False)
    patients[patients.target == 0].drop(columns="target").to_csv(tmp_path / "events.csv", index=False)
    return tmp_path


def test_five_commands_lead_from_two_files_to_a_snapshot(own_data):
    commands = quick_start()
    assert len(commands) <= MAX_COMMANDS
    assert commands.pop() == "evidently ui --workspace workspace"
    url = f"http://127.0.0.1:{free_port()}"
    variables = {"EVIDENTLY_COLLECTOR_PORT": url.rpartition(":")[2], "EVIDENTLY_COLLECTOR_URL": url}
    daemon = None
    try:
        for command in commands:
            program, *arguments = command.split()
            assert program == "evidently-collector"
            if not arguments:
                daemon = run_in_background(own_data, arguments, variables)
            elif "--follow" in arguments:
                said = follow_until(own_data, arguments, variables, "delivered")
            else:
                done = run_collector(*arguments, cwd=own_data, **variables)
                assert done.returncode == 0, done.stderr
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE)
    # Malignant tumours are larger and their texture differs; the clinics are the same.
    assert re.search(r" 200  evaluated +3 of 4 columns drifted", said)
    [snapshot] = own_data.glob("workspace/*/snapshots/*.json")
    assert json.loads(snapshot.read_bytes())["metadata"]["rows"] == "200"


def run_in_background(directory, arguments, variables):
    with (directory / "daemon.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "collector", *arguments],
            cwd=directory,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def follow_until(directory, arguments, variables, word):
    """Run a command that goes on until Ctrl-C, and press it once a word has come."""
    path = directory / "follow.txt"
    with path.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "collector", *arguments], cwd=directory, env=environment(**variables), stdout=output
        )
    try:
        wait_until(lambda: word in path.read_text(encoding="utf-8"), "the snapshot")
        process.send_signal(2)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait(PATIENCE)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "options",
    [
        "--reference reference.csv --target target --prediction guess",
        pytest.param("", marks=pytest.mark.slow),
        pytest.param(
            "--reference reference.csv --preset DataSummaryPreset --trigger 'cron:0 9 * * * Europe/Berlin'",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_init_writes_passes_check(own_data, options):
    reference = pd.read_csv(own_data / "reference.csv")
    reference.assign(target=reference.index % 2, guess=reference.index % 3 // 2).to_csv(own_data / "reference.csv")
    done = run_collector("init", "--yes", *shlex.split(options), cwd=own_data)
    assert done.returncode == 0, done.stderr
    checked = run_collector("check", cwd=own_data)
    assert (checked.returncode, "all good" in checked.stdout) == (0, True), checked.stderr


@pytest.mark.slow  # that the config is one, and of which presets, is shown without a service
def test_what_init_proposes_for_labels_runs(own_data):
    """Target and prediction make a report of quality; the events carry both."""
    rows = pd.read_csv(own_data / "reference.csv").assign(guess=1)
    rows.loc[::3, "guess"] = 0
    rows.assign(target=[number % 2 for number in range(len(rows))]).to_csv(own_data / "rows.csv", index=False)
    port = str(free_port())
    variables = {"EVIDENTLY_COLLECTOR_PORT": port, "EVIDENTLY_COLLECTOR_URL": f"http://127.0.0.1:{port}"}
    asked = ["--reference", "rows.csv", "--target", "target", "--prediction", "guess", "--trigger", f"rows:{len(rows)}"]
    assert run_collector("init", "--yes", *asked, cwd=own_data).returncode == 0
    daemon = run_in_background(own_data, [], variables)
    try:
        assert run_collector("send", "rows.csv", cwd=own_data, **variables).returncode == 0
        said = follow_until(own_data, ["logs", "--follow"], variables, "delivered")
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE)
    assert "evaluated" in said
    [snapshot] = own_data.glob("workspace/*/snapshots/*.json")
    assert "Accuracy" in snapshot.read_text(encoding="utf-8")
