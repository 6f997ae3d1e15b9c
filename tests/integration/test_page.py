"""The page of a real daemon: what Evidently found is on it, and who looks on doesn't hold up its end."""

import time

import httpx
import pandas as pd

from .conftest import PATIENCE, collector_config, rows_trigger, service_config, wait_until

BROWSER = {"Accept": "text/html"}
DRIFT = {"metrics": ["RowCount", {"type": "ValueDrift", "column": "age"}, {"type": "ValueDrift", "column": "plan"}]}


def test_what_a_report_found_is_on_the_page(daemon):
    same = pd.DataFrame({"age": range(100), "plan": ["a", "b"] * 50})
    drifted = same.assign(age=same["age"] + 1000)
    daemon.create("shown", collector_config(rows_trigger(100), DRIFT))
    daemon.client.set_reference("shown", same)
    for frame in (same, drifted):
        daemon.client.send_data("shown", frame)
        daemon.wait_for_logs("shown", 1 if frame is same else 2)

    def page(path):
        return daemon.http.get(path, headers=BROWSER).text

    wait_until(lambda: "drifted:</span> age " in page("/?q=shown"), "the drifted column")
    own = page("/-/collectors/shown")
    assert "1 of 2 columns drifted" in own
    assert "0 of 2 columns drifted" in own
    assert "All is well" not in own
    assert "ValueDrift" in own  # of its config


def test_who_looks_on_does_not_hold_up_the_end(make_daemon):
    daemon = make_daemon(service_config({"main": collector_config()}), evaluates=False).start()
    with httpx.stream("GET", f"{daemon.url}/-/events", timeout=PATIENCE) as stream:
        assert next(stream.iter_raw()).startswith(b"data: ")
        began = time.monotonic()
        daemon.stop()
    assert time.monotonic() - began < PATIENCE / 2
