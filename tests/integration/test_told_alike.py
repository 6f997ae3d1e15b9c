"""One batch with two drifted columns and three failed tests: whoever tells of it names the same; and one bad report."""

import re

import pandas as pd
import pytest
from worlds import FakeService

from .conftest import ROOT, Daemon, collector_config, rows_trigger, run_collector, service_config, wait_until

COLUMNS = ["age", "income", "plan"]
DRIFTED = ["age", "income"]
# Each by what Evidently calls the metric, with a threshold that only the shifted rows miss.
REPORT = {
    "metrics": [
        {"type": "DriftedColumnsCount", "columns": COLUMNS, "tests": [{"lt": 1}]},
        *({"type": "ValueDrift", "column": name} for name in COLUMNS),
        {"type": "MeanValue", "column": "age", "tests": [{"lt": 500}, {"gt": 0}]},
        {"type": "MaxValue", "column": "income", "tests": [{"lt": 500}]},
    ]
}
FAILED = ["Count of Drifted Columns", "Mean value of 'age'", "Maximum value of 'income'"]


# Of its own reference, which has no such column, it can't be computed.
HOPELESS = {"metrics": ["RowCount", {"type": "MeanValue", "column": "agee"}]}


@pytest.fixture(scope="module")
def receiver():
    made = FakeService()
    made.answers["POST", "/hook"] = [(200, {}, {})]
    with made:
        yield made


@pytest.fixture(scope="module")
def same():
    return pd.DataFrame({"age": range(100), "income": range(100), "plan": ["a", "b"] * 50})


@pytest.fixture(scope="module")
def service(tmp_path_factory, modern_ui, receiver, same):
    """Run a service that has evaluated the batch, and was posted a report that its reference can't do."""
    where = {"api_url": modern_ui.url, "api_secret": modern_ui.secret, "project_name": "Told alike"}
    config = collector_config(rows_trigger(100), REPORT, export="all", **where)
    rules = [{"when": when, "to": [f"{receiver.url}/hook"]} for when in ("drift", "tests_failed")]
    daemon = Daemon(tmp_path_factory.mktemp("told") / "service", service_config({"main": config}, alerts=rules))
    try:
        daemon.start()
        daemon.create("hopeless", report=HOPELESS)
        for name in ("hopeless", "main"):
            daemon.client.set_reference(name, same)
        daemon.client.send_data("main", same.assign(age=same["age"] + 1000, income=same["income"] + 1000))
        daemon.wait_for_logs("main")
        yield daemon
        daemon.stop()
    finally:
        daemon.close()


@pytest.fixture
def told(service, modern_ui, receiver):
    """Return all that is told of the batch, by who tells it."""
    wait_until(lambda: receiver.requests, "the message")
    [alerts] = [request.json()["alerts"] for request in receiver.requests]
    [project] = modern_ui.projects("Told alike")
    [listed] = modern_ui.list_snapshots(project)
    asked = {"cwd": ROOT, "EVIDENTLY_COLLECTOR_URL": service.url, "COLUMNS": "400"}
    return {
        "log": next(line for line in service.log.splitlines() if "report computed" in line),
        "logs": run_collector("logs", "main", **asked).stdout,
        "GET /{id}/logs": service.http.get("/main/logs").text,
        "GET /{id}/snapshots": service.http.get("/main/snapshots").text,
        "status": run_collector("status", **asked).stdout,
        "page": service.http.get("/-/collectors/main", headers={"Accept": "text/html"}).text,
        "webhook": " ".join(str(alert["annotations"]) for alert in alerts),
        "UI": str(listed["metadata"]) + str(listed["tags"]),
        "metrics": service.http.get("/metrics").text,
    }


def test_who_tells_of_a_batch_names_the_same_columns_and_tests(told):
    metrics, listed = told.pop("metrics"), told.pop("UI")
    for who, said in told.items():
        assert all(name in said.replace("&#39;", "'") for name in DRIFTED), (who, said)
        assert not re.search(r"plan [\d.]+ [<>]", said), (who, said)
    for who in told.keys() - {"status"}:  # which has a line for it
        assert all(name in told[who].replace("&#39;", "'") for name in FAILED), (who, told[who])
    assert "'drifted': 'age, income'" in listed or "'drifted': 'income, age'" in listed
    assert "3 of 4 failed" in listed
    assert "'drift'" in listed
    assert "tests-failed" in listed
    assert 'evidently_collector_last_snapshot_drifted_columns{collector="main"} 2.0' in metrics
    assert 'evidently_collector_last_snapshot_tests{collector="main",outcome="failed"} 3.0' in metrics
    for name in DRIFTED:
        assert re.search(rf'metric_value\{{collector="main",column="{name}".*metric="ValueDrift"\}}', metrics)


def test_a_column_that_the_reference_does_not_have_is_told_before_any_batch_comes(service):
    """Its config was taken all the same."""
    (entry,) = wait_until(lambda: service.client.get_logs("hopeless"), "the warning")
    told = "computed over its own reference: MeanValue of 'agee' could not be computed: the reference has no column"
    assert (entry["type"], entry["ok"], told in entry["notes"][0]) == ("CheckReport", False, True)
    assert wait_until(lambda: service.status("hopeless")["warnings"], "the status") == entry["notes"]
    service.wait_for_log(told)
