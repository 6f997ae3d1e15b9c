"""One collector's trouble stays its own, and loses nothing."""

import contextlib
from pathlib import Path

import pytest

from .conftest import NEVER, UNREHEARSED, collector_config, rows_trigger, service_config

BROKEN = {"metrics": [{"type": "MinValue", "column": "no such column"}]}


@pytest.fixture(scope="module")
def early(daemon, iris):
    """A collector whose reference came after its events, which is looked for every 10 s: while other tests run."""
    daemon.create("early", trigger=rows_trigger(50), reference_path="not-there-yet.parquet")
    daemon.client.send_data("early", iris.tail(50))
    status = daemon.wait_for_status("early", lambda one: one["state"] == "misconfigured" and one["sealed"])
    assert "not-there-yet.parquet" in status["problems"][0]
    iris.head(50).to_parquet(daemon.directory / "not-there-yet.parquet")
    return "early"


def test_a_bad_body_for_one_answers_400_and_the_other_goes_on(daemon, early, iris):
    daemon.create("bad-a")
    daemon.create("good-b")
    for number in range(3):
        refused = daemon.http.post("/bad-a/data", content=b"[1]")
        assert refused.status_code == 400
        assert refused.json()["status_code"] == 400
        assert "object" in refused.json()["detail"]
        daemon.client.send_data("good-b", iris.head(number + 1))
    daemon.wait_for_snapshots("good-b", 3)
    assert daemon.rows("good-b") == [1, 2, 3]
    assert daemon.status("bad-a")["rows_waiting"] == 0
    daemon.client.send_data("bad-a", iris.head(1))  # and it does no harm to the first one either
    daemon.wait_for_snapshots("bad-a", 1)


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
    daemon = make_daemon(config, evaluates=UNREHEARSED).start()
    daemon.client.send_data("wrong", iris.head(20))
    daemon.client.send_data("right", iris.head(30))
    daemon.client.send_data("breaks", iris.head(4))
    # Where processors are short, the first check may be cut off; then that is the problem, and it's tried again.
    status = daemon.wait_for_status(
        "wrong", lambda one: one["state"] == "misconfigured" and one["sealed"] == 1 and "colum" in one["problems"][0]
    )
    assert "report_config.metrics.0" in status["problems"][0]
    daemon.wait_for_snapshots("right", 1)
    daemon.wait_for_logs("breaks", 1, "CreateReport", ok=False)

    assert any("/pandas/_libs" in maps_of(pid) for pid in daemon.children())  # so this is where it would show

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


def maps_of(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        return (Path("/proc") / str(pid) / "maps").read_text()
    return ""


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


def test_events_wait_for_a_missing_reference_and_are_evaluated_when_it_comes(daemon, early):
    daemon.wait_for_snapshots(early, 1)
    assert daemon.rows(early) == [50]
    assert daemon.status(early)["problems"] == []
