"""The commands of each guide, typed as they stand there, one after the other, in a fresh directory, at a real service.

What is in a block of shell is typed, and what a sentence names as a command with its arguments.
"""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from alerts.receivers import receiving

from .conftest import (
    BY_TALLY,
    NEVER,
    PATIENCE,
    READY,
    ROOT,
    collector_config,
    environment,
    free_port,
    rows_trigger,
    service_config,
    stand_in,
    wait_until,
)

# What can't be typed here, by how it begins, and why.
NOT_HERE = {
    "python3 -m venv": "test_install.py makes environments, and installs into them",
    "source": "test_install.py",
    "pip": "test_install.py",
    "python examples/": "test_examples.py runs each example",
    "sudo": "changes the machine; test_deployment.py looks at the unit",
    "(umask": "changes the machine",
    "docker": "needs a daemon of Docker's; test_deployment.py looks at the image",
    "EVIDENTLY_COLLECTOR_SECRET=... docker": "likewise",
    "kubectl": "needs a cluster; test_deployment.py looks at the objects",
}
# Pages whose commands another test runs, or none can.
ELSEWHERE = {
    "README.md": "test_newcomer.py, test_examples.py",
    "configs/kafka.md": "kafka/test_apache.py makes topics at real brokers, sources/test_checking.py asks mock ones",
    "configs/promises.md": "its one command is one of configs/operations.md",
    "configs/senders.md": "test_senders.py",
    "configs/settings.md": "says only that init proposes a file: test_newcomer.py",
}
SHELL = re.compile(
    r"```bash\n(?P<block>.*?)```|(?<!\[)`(?P<said>(?:evidently[- ]collector [a-z-]|curl )[^`]*)`", re.DOTALL
)
SERVICE = re.compile(r"evidently[- ]collector(?: --config-path \S+)?")
RESULT = collector_config(rows_trigger(NEVER), {"metrics": [{"type": "UniqueValueCount", "column": "number"}]})


def commands(page):
    """Return what a page has a reader type, in its order."""
    for found in SHELL.finditer((ROOT / page).read_text(encoding="utf-8")):
        lines = (found["block"] or found["said"]).replace("\\\n", "").splitlines()
        yield from filter(None, (line.partition("  #")[0].strip() for line in lines))


class Reader:
    """Someone who types what a guide says, in a directory, with the programs of this environment."""

    def __init__(self, directory):
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.shell = environment(
            EVIDENTLY_COLLECTOR_PORT=str(self.port),
            EVIDENTLY_COLLECTOR_URL=self.url,
            HOME=str(directory),
            PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        )
        self._left_running = []
        # curl calls it well when it is refused, unless told otherwise.
        self.write(".curlrc", "fail-with-body\nsilent\nshow-error\n")

    def write(self, name, content):
        text = content if isinstance(content, str) else json.dumps(content)
        (self.directory / name).write_text(text, encoding="utf-8")

    def write_config(self, collectors, **others):
        self.write("collector_config.json", service_config(collectors, **others))

    def read(self, page, exits=(), before=()):
        """Type all that a page says, and return what came back.

        ``exits`` has the codes other than 0, one after the other; ``before`` has what is done first.
        """
        exits, before, said = {name: list(codes) for name, codes in dict(exits).items()}, dict(before), []
        for command in commands(page):
            if command.startswith(tuple(NOT_HERE)):
                continue
            before.get(command, lambda: None)()
            said.append(self.type(command, exits[command].pop(0) if exits.get(command) else 0))
        assert said
        return said

    def type(self, command, code=0):
        """Type a command, and return what it said; one that goes on is left running once it is seen to work."""
        here = command.replace("localhost:8001", f"127.0.0.1:{self.port}").replace(" ID", " main")
        if SERVICE.fullmatch(here):
            self.start(here, READY.search)
        elif here.startswith("evidently ui"):
            url = f"http://127.0.0.1:{free_port()}"
            self.start(f"{here} --port {url.rpartition(':')[2]}", lambda _: answers(f"{url}/api/projects"))
        elif here.endswith("--follow"):
            process = self.start(here, lambda said: "delivered" in said)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0, command
        else:
            done = subprocess.run(
                ["bash", "-c", here],
                cwd=self.directory,
                env=self.shell,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
            return done.stdout
        return None

    def start(self, command, works):
        """Type what goes on until it is stopped, and return it once what it said shows that it works."""
        path = self.directory / f"said-{len(self._left_running)}.txt"
        with path.open("wb") as said:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=self.directory, env=self.shell, stdout=said, stderr=said
            )
        self._left_running.append(process)

        def is_working():
            assert process.poll() is None, path.read_text(encoding="utf-8")
            return works(path.read_text(encoding="utf-8"))

        wait_until(is_working, command)
        return process

    def post(self, path, **options):
        return httpx.post(f"{self.url}/{path}", timeout=PATIENCE, **options).raise_for_status()

    def get(self, path):
        return httpx.get(f"{self.url}/{path}", timeout=PATIENCE).raise_for_status().json()

    def wait_for_snapshots(self, count):
        """Return the snapshots' metadata, oldest first, once there are so many."""

        def enough():
            found = [json.loads(path.read_bytes()) for path in self.directory.glob("workspace/*/snapshots/*.json")]
            return found if len(found) >= count else None

        return sorted((one["metadata"] for one in wait_until(enough, f"{count} snapshots")), key=str)

    def leave(self):
        """End what still runs."""
        for process in self._left_running:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(PATIENCE)


def answers(url):
    with suppress(httpx.TransportError):
        return httpx.get(url).json()
    return None


@pytest.fixture
def reader(tmp_path):
    """Someone whose service evaluates by the tally, as what Evidently says isn't the point."""
    one = Reader(tmp_path)
    one.shell |= stand_in(BY_TALLY)
    yield one
    one.leave()


@pytest.fixture
def whole_reader(tmp_path):
    """Someone with all that is installed, and two files of their own whose ages and incomes differ."""
    one = Reader(tmp_path)
    draw = np.random.default_rng(7)
    for name, rows, years in ("reference", 2000, 0), ("events", 600, 30):
        table = {"age": draw.normal(40 + years, 9, rows).round(), "income": draw.normal(52_000, 9_000, rows).round()}
        pd.DataFrame(table | {"plan": draw.choice(["free", "pro"], rows)}).to_csv(tmp_path / f"{name}.csv", index=False)
    yield one
    one.leave()


def test_no_page_with_commands_is_left_out():
    paths = [ROOT / "README.md", *ROOT.glob("configs/*.md"), *ROOT.glob("examples/*.md")]
    pages = {page for page in (str(path.relative_to(ROOT)) for path in paths) if list(commands(page))}
    read = set(re.findall(r'reader\.read\(\s*"([^"]+)"', Path(__file__).read_text(encoding="utf-8")))
    assert pages == read | ELSEWHERE.keys()


def test_backfill_makes_a_snapshot_of_each_day(reader):
    (reader.directory / "2025").mkdir()
    for day in ("2025-03-01", "2025-03-02"):
        frame = pd.DataFrame({"ts": pd.date_range(day, periods=3, freq="h"), "number": range(3)})
        frame.to_parquet(reader.directory / "2025" / f"{day}.parquet")
    reader.write_config({"main": RESULT})
    reader.type("evidently-collector")
    reader.read("examples/backfill.md")
    assert [one["rows"] for one in reader.wait_for_snapshots(2)] == ["3", "3"]


def test_delayed_labels_are_taken_by_both_ways(reader):
    [settings] = re.findall(r"```json\n(.*?)```", (ROOT / "examples/delayed_labels.md").read_text(), re.DOTALL)
    reader.write_config({"churn": RESULT | json.loads(settings) | {"trigger": rows_trigger(2)}})
    reader.write("labels.csv", "request_id,churned\na8,0\n")
    reader.type("evidently-collector")
    reader.post("churn/data", json=[{"request_id": name, "number": 1} for name in ("a7", "a8")])
    reader.read("examples/delayed_labels.md")
    assert [one["rows"] for one in reader.wait_for_snapshots(2)] == ["2", "2"]  # at once, and with the labels


def test_a_whole_batch_is_taken(reader):
    reader.write_config({"main": RESULT})
    reader.write("day.csv", "number\n1\n2\n")
    reader.type("evidently-collector")
    reader.read("configs/http_api.md")
    assert [one["rows"] for one in reader.wait_for_snapshots(1)] == ["2"]


def test_operations_leads_from_a_failed_batch_to_its_snapshot(reader):
    reader.write_config({"main": RESULT})
    reader.type("evidently-collector")
    reader.post("main/data", json={"nummer": 1})

    def mend():
        mended = RESULT["report_config"]["metrics"][0] | {"column": "nummer"}
        reader.write_config({"main": RESULT | {"report_config": {"metrics": [mended]}}})
        reader.post("-/reload")

    reader.read(
        "configs/operations.md",
        exits={"evidently-collector status": [0, 1, 1]},
        before={
            "evidently-collector status": lambda: wait_until(lambda: reader.get("")["collectors"][0]["sealed"] == 0),
            "evidently-collector retry ID": mend,
            "evidently-collector dashboard ID": lambda: (
                reader.wait_for_snapshots(1),
                wait_until(lambda: reader.get("")["collectors"][0]["outbox"] == 0),
            ),
        },
    )
    reader.read("configs/dashboards.md")


def test_alerts_reach_who_they_are_for(reader):
    [rules] = re.findall(r"```json\n(.*?)```", (ROOT / "configs/alerts.md").read_text(), re.DOTALL)
    with receiving() as receiver:
        rules = json.loads(f"{{{rules}}}")["alerts"]
        for rule in rules:
            rule["to"] = [receiver.hook]
        reader.write_config({"main": RESULT}, alerts=rules)
        reader.read("configs/alerts.md")
        assert receiver.told() == [["Test"]]


def test_an_old_file_is_checked_and_served(reader):
    old = ROOT / "tests/compat/configs/0.6.7/no_reference.json"
    reader.write("collector_config.json", old.read_text(encoding="utf-8"))
    reader.read("examples/moving_from_the_original.md")
    assert [one["id"] for one in reader.get("")["collectors"]] == ["main"]


@pytest.mark.slow
def test_the_first_dashboard_has_a_project_in_the_ui(whole_reader):
    whole_reader.read("examples/first_dashboard.md")
    assert len(whole_reader.wait_for_snapshots(3)) == 3


@pytest.mark.slow
def test_batches_of_30_rows_are_warned_of(whole_reader):
    said, _ = whole_reader.read("examples/batch_size.md")
    assert "Batches this small don't tell drift from chance." in " ".join(said.split())


@pytest.mark.slow
def test_tests_and_thresholds_of_the_guide_pass_the_check(whole_reader):
    text = (ROOT / "examples/tests_and_thresholds.md").read_text(encoding="utf-8")
    [report] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    main = collector_config(rows_trigger(200), json.loads(report), reference_path="reference.parquet")
    pd.read_csv(whole_reader.directory / "reference.csv").to_parquet(whole_reader.directory / "reference.parquet")
    whole_reader.write_config({"main": main})
    whole_reader.type("evidently-collector")
    whole_reader.read("examples/tests_and_thresholds.md")
