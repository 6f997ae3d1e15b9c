"""A real daemon, scraped."""

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from .conftest import collector_config

PREFIX = "evidently_collector_"


def scrape(daemon):
    """Return what a scrape tells: values by name and labels."""
    answer = daemon.http.get("/metrics").raise_for_status()
    found = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {(one.name.removeprefix(PREFIX), *one.labels.values()): one.value for one in found}


def test_rows_are_followed_from_their_acceptance_to_their_workspace_and_gone_with_their_collector(daemon, iris):
    id_ = daemon.create("scraped", collector_config(report={"metrics": ["RowCount"], "include_tests": True}))
    daemon.client.send_data(id_, iris)
    daemon.wait_for_snapshots(id_)
    daemon.wait_until_delivered(id_)
    found = scrape(daemon)
    assert found["accepted_rows_total", id_] == found["delivered_rows_total", id_] == len(iris)
    assert found["accepted_requests_total", id_] == found["evaluation_duration_seconds_count", id_] == 1
    assert found["evaluations_total", id_, "ok"] == found["deliveries_total", id_, "ok"] == 1
    assert found["last_snapshot_rows", id_] == len(iris)
    assert found["last_snapshot_tests", id_, "passed"] + found["last_snapshot_tests", id_, "failed"] == 1
    assert found["undelivered_bytes", id_] == 0
    daemon.client.delete_collector(id_)
    assert [key for key in scrape(daemon) if id_ in key] == []


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool isn't installed (Debian: prometheus)")
def test_promtool_finds_nothing_to_say_of_a_scrape(daemon):
    text = daemon.http.get("/metrics").text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
