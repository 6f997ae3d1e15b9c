"""One collector's trouble stays its own, and loses nothing."""

import json
import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from .conftest import NEVER, collector_config, rows_trigger, service_config, wait_until

BROKEN = {"metrics": [{"type": "MinValue", "column": "no such column"}]}


def test_a_bad_body_for_one_answers_400_and_the_other_goes_on(daemon, iris):
    daemon.create("bad-a")
    daemon.create("good-b")
    for number in range(3):
        refused = daemon.http.post("/bad-a/data", content=b'{"a": 1}')
        assert refused.status_code == 400
        assert refused.json()["status_code"] == 400
        assert "'a'" in refused.json()["detail"]
        daemon.client.send_data("good-b", iris.head(number + 1))
    daemon.wait_for_snapshots("good-b", 3)
    assert daemon.rows("good-b") == [1, 2, 3]
    assert daemon.status("bad-a")["rows_waiting"] == 0
    daemon.client.send_data("bad-a", iris.head(1))  # and it does no harm to the first one either
    daemon.wait_for_snapshots("bad-a", 1)


def test_a_batch_whose_report_raises_is_kept_with_its_error_and_the_next_goes_on(daemon, iris):
    daemon.create("raises", report={"metrics": [{"type": "MinValue", "column": "petal_width"}]})
    lacking = iris.head(2).drop(columns="petal_width")
    daemon.client.send_data("raises", lacking)
    [entry] = daemon.wait_for_logs("raises", 1, "CreateReport", ok=False)
    assert "petal_width" in entry["error"]
    folder = daemon.data / "failed" / entry["batch_id"]
    [part] = wait_until(lambda: daemon.status("raises")["failed"] and list(folder.glob("*.parquet")))
    pd.testing.assert_frame_equal(pd.read_parquet(part), lacking, check_dtype=False)
    assert entry["error"].removeprefix("Error running report: ") in (folder / "error.txt").read_text()
    assert "Traceback" in (folder / "error.txt").read_text()
    daemon.client.send_data("raises", iris.head(3))
    daemon.wait_for_snapshots("raises", 1)
    assert daemon.rows("raises") == [3]
    assert daemon.status("raises")["failed"] == 1


def test_events_wait_for_a_missing_reference_and_are_evaluated_when_it_comes(daemon, iris):
    daemon.create("early", trigger=rows_trigger(50), reference_path="not-there-yet.parquet")
    daemon.client.send_data("early", iris.tail(50))
    status = daemon.wait_for_status("early", lambda one: one["state"] == "misconfigured" and one["sealed"])
    assert "not-there-yet.parquet" in status["problems"][0]
    iris.head(50).to_parquet(daemon.directory / "not-there-yet.parquet")
    daemon.wait_for_snapshots("early", 1)  # it is looked for every 10 s
    assert daemon.rows("early") == [50]
    assert daemon.status("early")["problems"] == []


def test_a_wrong_report_in_the_file_keeps_its_events_until_it_is_mended_and_nothing_is_imported(make_daemon, iris):
    """The daemon's own process has neither Evidently nor pandas in it, after all of that."""
    wrong = {"metrics": [{"type": "ValueDrift", "colum": "sepal_length"}]}
    config = service_config(
        {
            "wrong": collector_config(report=wrong),
            "right": collector_config(),
            "breaks": collector_config(report=BROKEN),
        },
        spill_rows=10,
    )
    daemon = make_daemon(config).start()
    daemon.client.send_data("wrong", iris.head(20))
    daemon.client.send_data("right", iris.head(30))
    daemon.client.send_data("breaks", iris.head(4))
    status = daemon.wait_for_status("wrong", lambda one: one["state"] == "misconfigured" and one["sealed"] == 1)
    assert "colum" in status["problems"][0]
    assert "report_config.metrics.0" in status["problems"][0]
    daemon.wait_for_snapshots("right", 1)
    daemon.wait_for_logs("breaks", 1, "CreateReport", ok=False)

    in_worker = [(Path("/proc") / str(pid) / "maps").read_text() for pid in daemon.children()]
    assert any("/pandas/_libs" in maps for maps in in_worker)  # so this is where it would show

    daemon.kill()  # the events stay through that too
    daemon.start()
    assert daemon.wait_for_status("wrong", lambda one: one["state"] == "misconfigured")["sealed"] == 1
    daemon.create("wrong")
    daemon.wait_for_snapshots("wrong", 1)
    assert daemon.rows("wrong") == [20]

    daemon.client.set_reference("right", iris)
    daemon.client.send_data("right", iris)
    daemon.wait_for_logs("right", 2)
    daemon.http.get("/schema/openapi.json").raise_for_status()
    maps = (daemon.process_files() / "maps").read_text()
    assert "/pyarrow/" in maps  # which it has
    assert not [name for name in ("/pandas/_libs", "/sklearn/", "/scipy/", "/statsmodels/") if name in maps]
    daemon.stop()


def test_a_worker_that_dies_takes_neither_the_service_nor_a_row_with_it(make_daemon, iris):
    """Whatever kills a worker process, a lack of memory say: the batch is evaluated by the next one."""
    daemon = make_daemon(service_config({"main": collector_config(rows_trigger(NEVER))})).start()
    wait_until(lambda: "evidently is warm" in daemon.log)
    workers = [pid for pid, command in daemon.children().items() if "spawn_main" in command]
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    daemon.client.send_data("main", iris)
    daemon.client.flush("main")
    daemon.wait_for_snapshots("main", 1)
    assert daemon.rows("main") == [150]
    assert json.loads(daemon.http.get("/livez").content) == {"status": "live"}
    daemon.stop()


def test_a_report_that_takes_too_long_is_given_up_and_kept(make_daemon, iris):
    config = service_config({"slow": collector_config(rows_trigger(NEVER))}, evaluation_timeout=0.001)
    daemon = make_daemon(config).start()
    daemon.client.send_data("slow", iris)
    daemon.client.flush("slow")
    entries = daemon.wait_for_logs("slow", 2, "CreateReport", ok=False)  # it is tried twice
    assert all("took longer than 0.001 s" in entry["error"] for entry in entries)
    daemon.wait_for_status("slow", lambda one: one["failed"] == 1)
    assert [len(part) for part in daemon.parts()] == [150]
    daemon.stop()


@pytest.mark.parametrize("change", ["delete", "same"])
def test_what_is_done_to_one_collector_stops_no_other(daemon, change, iris):
    daemon.create(f"stays-{change}", trigger=rows_trigger(NEVER))
    daemon.create(f"changes-{change}", trigger=rows_trigger(NEVER))
    for name in (f"stays-{change}", f"changes-{change}"):
        daemon.client.send_data(name, iris.head(5))
    if change == "delete":
        assert daemon.client.delete_collector(f"changes-{change}")["rows_dropped"] == 5
    else:
        daemon.create(f"changes-{change}", trigger=rows_trigger(NEVER - 1))
        assert daemon.status(f"changes-{change}")["rows_waiting"] == 5
    assert daemon.status(f"stays-{change}")["rows_waiting"] == 5
