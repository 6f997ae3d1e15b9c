"""Promise 1, of the snapshots of one batch: a kill between two of them loses none and doubles none."""

import json
import signal

import pytest

from collector.fault_points import VARIABLE

from ..conftest import PATIENCE, collector_config, rows_trigger, service_config
from .shelf import Shelf

PROMISE = "1 kill -9"
REPORT = {"metrics": []}
SEGMENTS = {"column": "country", "values": ["de", "fr"], "min_rows": 1}
EVENTS = [{"country": name, "age": 40} for name in ("de", "de", "fr", "de", "it", None)]


@pytest.mark.thorough
def test_each_segment_is_delivered_once_whatever_is_killed_between_two(make_daemon, figures, tmp_path):
    """One life ends after each delivery; a service that makes up ids would show a second one."""
    shelf = Shelf(tmp_path / "shelf")
    place = {"api_url": shelf.url, "project_name": "project"}
    config = {
        "divided": collector_config(rows_trigger(6), REPORT, segments=SEGMENTS, **place),
        "none": collector_config(rows_trigger(6), REPORT, where={"age": {"gt": 99}}, **place),
    }
    daemon = make_daemon(service_config(config))
    daemon.variables[VARIABLE] = "segment delivered"
    daemon.start()
    daemon.http.post("/divided/data", json=EVENTS)
    lives = 0
    while daemon.process.wait(PATIENCE) == -signal.SIGKILL:
        lives += 1
        if len(filed(shelf)) == 4:
            break
        daemon.launch()
    daemon.variables[VARIABLE] = "nothing to report"
    daemon.start()
    daemon.http.post("/none/data", json=EVENTS)
    assert daemon.process.wait(PATIENCE) == -signal.SIGKILL, daemon.log
    daemon.variables[VARIABLE] = ""
    daemon.start()
    daemon.wait_for_logs("divided")
    for name in config:
        daemon.wait_until_delivered(name)
    assert sorted(filed(shelf)) == [("", 6), ("de", 3), ("fr", 1), ("other", 2)]
    told = daemon.http.get("/divided/snapshots").json()
    assert [(one["state"], one["by_segment"]["names"]) for one in told] == [("delivered", ["de", "fr", "other"])]
    [of_segment] = daemon.http.get("/divided/snapshots?segment=fr").json()
    assert (of_segment["segment"], of_segment["state"], of_segment["rows"]) == ("fr", "delivered", 1)
    assert [(one["state"], one["rows"]) for one in daemon.http.get("/none/snapshots").json()] == [("empty", 6)]
    assert daemon.status("divided")["last_snapshot"]["by_segment"]["bad"] == {}
    assert 'segments{collector="divided",outcome="good"} 3' in daemon.http.get("/metrics").text
    figures.faults["kills between two segments"] += lives
    daemon.stop()
    shelf.close()


def filed(shelf):
    """Return the segment of each snapshot that arrived, with its rows."""
    found = [json.loads(path.read_bytes())["metadata"] for path in shelf.directory.glob("*/snapshots/*.json")]
    return [(one.get("segment", ""), int(one.get("matched_rows", one["rows"]))) for one in found]
