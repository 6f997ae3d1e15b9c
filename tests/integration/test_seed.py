"""The seed's walk through, step by step: what its users type works."""

import json
import shlex
import subprocess
import time
from datetime import UTC, datetime

import pytest
from evidently import Report
from evidently.legacy.test_preset import DataDriftTestPreset
from evidently.legacy.test_suite import TestSuite as LegacySuite
from evidently.presets import DataDriftPreset
from uis import UI_SECRET

from collector.client import CollectorClient
from collector.config import CollectorConfig, CollectorServiceConfig, IntervalTrigger, ReportConfig, RowsCountTrigger

from .conftest import PATIENCE, PROJECT, UNREHEARSED, Daemon, collector_config, interval_trigger

# Evidently warns when it is called directly, as the seed has its users do.
pytestmark = pytest.mark.filterwarnings("ignore")

# As they stand in the documentation of Evidently's collector.
CURL = """curl -d '{"column1": {"0": 7.0, "1": 5.0}, "column2": {"0": "a", "1": "b"}}' -H 'Content-Type: application/json' http://0.0.0.0:8001/default/data"""  # noqa: E501
CURL_BODY = '{"column1": {"0": 7.0, "1": 5.0}, "column2": {"0": "a", "1": "b"}}'
PARAMETERS = {
    "trigger",
    "report_config",
    "reference_path",
    "cache_reference",
    "api_url",
    "api_secret",
    "project_id",
}


@pytest.fixture(scope="module")
def project(modern_ui):
    return modern_ui.make_project("the seed's")


@pytest.fixture(scope="module")
def reference(iris):
    return iris.head(90)


@pytest.fixture(scope="module")
def report(iris, reference):
    """Return a report that has been run, as the seed says."""
    made = Report([DataDriftPreset()])
    made.run(iris.tail(60), reference)
    return made


@pytest.fixture(scope="module")
def config(report, modern_ui, project):
    """Return the seed's ``CollectorConfig``, with the addresses of here."""
    return CollectorConfig(
        trigger=IntervalTrigger(interval=60 * 60),
        report_config=ReportConfig.from_report(report),
        reference_path="reference_data.parquet",
        project_id=project,
        api_url=modern_ui.url,
        api_secret=UI_SECRET,
    )


@pytest.fixture(scope="module")
def from_file(config, reference, tmp_path_factory):
    """Run the daemon on a file that was made in Python and saved."""
    directory = tmp_path_factory.mktemp("seed") / "service"
    made = Daemon(directory, None, "--config-path", "collector_config.json", evaluates=UNREHEARSED)
    reference.to_parquet(directory / "reference_data.parquet")
    CollectorServiceConfig(collectors={"main": config}, evaluation_workers=1).save(directory / "collector_config.json")
    try:
        yield made.start()
        made.stop()
    finally:
        made.close()


def test_every_parameter_of_the_table_is_there_and_kept(tmp_path):
    assert set(CollectorConfig.model_fields) >= PARAMETERS
    given = collector_config(interval_trigger(60), reference_path="reference.parquet", cache_reference=False)
    given |= {"api_url": "http://localhost:8000", "api_secret": "s", "project_id": PROJECT}
    CollectorServiceConfig.parse({"collectors": {"main": given}}).save(tmp_path / "config.json")
    saved = json.loads((tmp_path / "config.json").read_text())["collectors"]["main"]
    assert given.keys() == PARAMETERS
    for name in PARAMETERS - {"trigger", "report_config"}:
        assert saved[name] == given[name]
    assert saved["trigger"]["interval"] == 60
    assert saved["report_config"] == given["report_config"]


def test_a_saved_file_runs_and_its_interval_is_an_hour(from_file, modern_ui, project, iris):
    started = time.time()
    due = from_file.wait_for_status("main", lambda one: one["next_time"])["next_time"]
    assert 3600 - 30 < due - started <= 3600
    from_file.client.send_data("main", iris.tail(60))
    assert from_file.status("main")["rows_waiting"] == 60
    from_file.client.flush("main")  # instead of an hour
    [entry] = from_file.wait_for_logs("main", 1)
    assert entry["drift_share"] == 1  # versicolor's and virginica's flowers have no like among setosa's
    batches = [one["metadata"].get("batch_id") for one in modern_ui.list_snapshots(project)]
    assert entry["batch_id"] in batches


def test_a_collector_that_a_client_created_takes_reference_and_data(daemon, config, modern_ui, project, iris):
    """The seed's other way, with the angle brackets that its documentation puts around addresses."""
    own = config.model_copy(update={"api_url": f"<{modern_ui.url}>", "reference_path": None})
    with CollectorClient(f"<{daemon.url}>") as client:
        client.create_collector("seed-main", own)
        client.set_reference("seed-main", iris.tail(50))
        client.send_data("seed-main", iris.tail(50))
        client.flush("seed-main")
    [entry] = daemon.wait_for_logs("seed-main", 1)
    assert entry["drift_share"] == 0  # the reference is what was sent
    batches = [one["metadata"].get("batch_id") for one in modern_ui.list_snapshots(project)]
    assert entry["batch_id"] in batches


def test_a_test_suite_becomes_a_collector(daemon, iris):
    suite = LegacySuite([DataDriftTestPreset()])
    suite.run(current_data=iris.tail(50), reference_data=iris.tail(50))
    config = CollectorConfig(
        trigger=RowsCountTrigger(rows_count=50),
        report_config=ReportConfig.from_test_suite(suite),
        project_id=PROJECT,
        api_url="suite-workspace",
    )
    daemon.client.create_collector("seed-suite", config)
    daemon.client.set_reference("seed-suite", iris.tail(50))
    daemon.client.send_data("seed-suite", iris.tail(50))
    [entry] = daemon.wait_for_logs("seed-suite", 1)
    assert entry["tests"]["passed"] == 1 + iris.shape[1]  # one for the share of drifted columns, and one for each


@pytest.mark.parametrize(
    "arguments",
    [
        shlex.split(CURL)[1:-1],
        ["-d", CURL_BODY],  # curl sends the type of a form then
        ["-X", "POST", "-H", "evidently-secret: any", "-H", "Content-Type: application/json", "--data", CURL_BODY],
    ],
    ids=["as-it-stands", "without-type", "with-secret"],
)
def test_the_curl_line_gives_2xx_and_its_rows_reach_a_snapshot(daemon, arguments):
    report = {"metrics": [{"type": f"{name}Value", "column": "column1"} for name in ("Min", "Max")]}
    report["metrics"].append({"type": "UniqueValueCount", "column": "column2"})
    kinds = {"numerical_columns": ["column1"], "categorical_columns": ["column2"]}  # two texts alone look like prose
    daemon.create("default", trigger=interval_trigger(), report=report, data_definition=kinds)
    before = len(daemon.logs("default"))
    url = shlex.split(CURL)[-1].replace(":8001", f":{daemon.port}")
    command = ["curl", "-sS", "-o", "-", "-w", "\n%{http_code}", *arguments, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    answer, _, code = done.stdout.rpartition("\n")
    assert (code, json.loads(answer)) == ("201", {})
    flushing = time.time()
    daemon.client.flush("default")
    flushed = time.time()
    snapshot = daemon.wait_for_snapshots("default", before + 1)[-1]
    found = {result["display_name"]: result for result in snapshot["metric_results"].values()}
    assert snapshot["metadata"]["rows"] == "2"
    numbers = {name: result["value"] for name, result in found.items() if "value" in result}
    assert sorted(numbers.values()) == [5.0, 7.0]
    counts = [result for result in found.values() if "counts" in result]
    assert json.dumps(counts).count('"a"') == json.dumps(counts).count('"b"') > 0
    made = datetime.fromisoformat(snapshot["timestamp"]).replace(tzinfo=UTC).timestamp()
    assert flushing - 1 < made < flushed + 1  # it is rounded
