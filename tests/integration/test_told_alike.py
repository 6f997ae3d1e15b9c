"""One batch with two drifted columns and three failed tests: whoever tells of it names the same."""

import re

import pandas as pd
import pytest
from worlds import FakeService

from .conftest import ROOT, collector_config, rows_trigger, run_collector, service_config, wait_until

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


@pytest.fixture
def told(make_daemon, modern_ui):
    """Have a service evaluate the batch, and return all that is told of it, by who tells it."""
    same = pd.DataFrame({"age": range(100), "income": range(100), "plan": ["a", "b"] * 50})
    shifted = same.assign(age=same["age"] + 1000, income=same["income"] + 1000)
    receiver = FakeService()
    receiver.answers["POST", "/hook"] = [(200, {}, {})]
    with receiver:
        config = collector_config(
            rows_trigger(100),
            REPORT,
            api_url=modern_ui.url,
            api_secret=modern_ui.secret,
            project_name="Told alike",
            export="all",
        )
        rules = [{"when": when, "to": [f"{receiver.url}/hook"]} for when in ("drift", "tests_failed")]
        daemon = make_daemon(service_config({"main": config}, alerts=rules)).start()
        daemon.client.set_reference("main", same)
        daemon.client.send_data("main", shifted)
        daemon.wait_for_logs("main")
        wait_until(lambda: receiver.requests, "the message")
        [alerts] = [request.json()["alerts"] for request in receiver.requests]
        [project] = modern_ui.projects("Told alike")
        [listed] = modern_ui.list_snapshots(project)
        asked = {"cwd": ROOT, "EVIDENTLY_COLLECTOR_URL": daemon.url, "COLUMNS": "400"}
        yield {
            "log": next(line for line in daemon.log.splitlines() if "report computed" in line),
            "logs": run_collector("logs", **asked).stdout,
            "GET /{id}/logs": daemon.http.get("/main/logs").text,
            "GET /{id}/snapshots": daemon.http.get("/main/snapshots").text,
            "status": run_collector("status", **asked).stdout,
            "page": daemon.http.get("/-/collectors/main", headers={"Accept": "text/html"}).text,
            "webhook": " ".join(str(alert["annotations"]) for alert in alerts),
            "UI": str(listed["metadata"]) + str(listed["tags"]),
            "metrics": daemon.http.get("/metrics").text,
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
