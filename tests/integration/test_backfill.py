"""History from files through the command, beside a running daemon with a real Evidently."""

import json

import pandas as pd
import pytest
from uis import UI_SECRET

from .conftest import UNREHEARSED, collector_config, interval_trigger, run_collector, service_config, wait_until

DRIFT = {"metrics": ["DataDriftPreset"], "include_tests": True}
WITHOUT_TESTS = {"metrics": ["DataDriftPreset"]}
REPORTS = {
    "modern": None,
    "legacy": {
        "metrics": [{"type": "evidently:metric:DatasetSummaryMetric", "options": {}}],
        "tests": [],
        "options": {},
        "metadata": {},
        "tags": [],
    },
}
ROWS = 75  # from midnight on, one each 29 minutes: of a day and a half


def test_a_dashboard_shows_the_past_once_and_anew_after_the_report_has_changed(make_daemon, iris, tmp_path):
    """Also where its batches look bad, no alert is fired for them."""
    rule = {"when": "batch_failed", "to": ["http://127.0.0.1:9/hook"]}
    rules = [rule, {**rule, "when": "drift"}]
    history = collector_config(interval_trigger(), DRIFT)
    daemon = make_daemon(service_config({"history": history}, alerts=rules), evaluates=UNREHEARSED).start()
    daemon.client.set_reference("history", iris)
    times = pd.date_range("2024-03-01", periods=ROWS, freq="29min", tz="UTC")
    shifted = iris.head(ROWS).assign(ts=times, **{iris.columns[0]: 100.0})
    past = tmp_path / "past"
    past.mkdir()
    for number in range(2):
        shifted.iloc[number::2].to_parquet(past / f"{number}.parquet")

    def backfill(*options):
        done = run_collector(
            *("backfill", "history", str(past), "--time", "ts", "--url", daemon.url, *options), cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "2 batches of 75 rows would be made" in backfill("--dry-run")
    assert "2 batches of 75 rows sent to history" in backfill()
    snapshots = wait_for(daemon, 2)
    assert snapshots[0]["timestamp"] == "2024-03-02T00:00:00"
    assert [int(one["metadata"]["rows"]) for one in snapshots] == [50, 25]
    assert "0 batches of 0 rows sent to history\n2 batches had been sent before" in backfill()
    status = daemon.status("history")
    assert (status["snapshots"], status["backfill"], status["last_snapshot"]) == (0, 0, {})
    assert "alert" not in daemon.log
    before = {one["metadata"]["batch_id"] for one in snapshots}

    daemon.client.create_collector("history", daemon.client.get_collector("history") | {"report_config": WITHOUT_TESTS})
    assert "2 batches of 75 rows sent to history" in backfill("--replace")
    daemon.wait_for_status("history", lambda one: not (one["sealed"] or one["outbox"]))
    anew = wait_for(daemon, 2)
    assert {one["metadata"]["batch_id"] for one in anew} == before
    assert [len(one["tests_widgets"]) for one in snapshots] != [0, 0]
    assert [len(one["tests_widgets"]) for one in anew] == [0, 0]


def wait_for(daemon, count):
    """Return the snapshots in the order of their times once there are so many."""
    files = daemon.directory.glob
    wait_until(lambda: len(list(files("workspace/*/snapshots/*.json"))) >= count, f"{count} snapshots")
    daemon.wait_for_status("history", lambda one: not (one["sealed"] or one["outbox"]))
    found = [json.loads(path.read_bytes()) for path in files("workspace/*/snapshots/*.json")]
    return sorted(found, key=lambda one: one["timestamp"])


@pytest.mark.parametrize("kind", ["modern", "legacy"])
def test_a_batch_that_is_replaced_leaves_no_snapshot_in_a_real_service(daemon, request, iris, kind):
    ui = request.getfixturevalue(f"{kind}_ui")
    where = {"api_url": ui.url, "api_secret": UI_SECRET, "project_name": f"replaced {kind}"}
    id_ = daemon.create(f"replaced-{kind}", trigger=interval_trigger(), report=REPORTS[kind], **where)
    query = {"start": "2024-03-01", "end": "2024-03-02", "replace": "true"}

    def send(rows):
        body = iris.head(rows).to_csv(index=False).encode()
        assert daemon.client.send_batch_body(id_, body, "text/csv", query)
        daemon.wait_for_logs(id_, len(sent) + 1)
        daemon.wait_for_status(id_, lambda one: not (one["sealed"] or one["outbox"]))
        [project] = ui.projects(f"replaced {kind}")
        [snapshot] = ui.list_snapshots(project)
        assert snapshot["metadata"]["rows"] == str(rows)
        sent.append(snapshot["metadata"]["batch_id"])

    sent = []
    for rows in (30, 40, 40):
        send(rows)
    assert sent[0] != sent[1] == sent[2]
