"""One stream to several reports, with private columns: a real daemon, and all that is on the disk."""

import hashlib
import hmac
import json

import pandas as pd
import pytest

from .conftest import BY_TALLY, collector_config, rows_trigger, service_config, wait_until

SALT = "a long random text"
COUNTED = {"metrics": [{"type": "UniqueValueCount", "column": "email"}]}
DEFINITION = {"categorical_columns": ["email"], "numerical_columns": ["age"]}
ROWS = [{"email": f"{name}@raw.example", "name": f"raw {name}", "age": 40} for name in ("ann", "bob", "ann", "eve")]


def hashed(text):
    return "hmac:" + hmac.new(SALT.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def counts_of(daemon, collector):
    """Return the rows by email of each snapshot of a collector."""
    found = []
    for path in daemon.directory.glob("workspace/*/snapshots/*.json"):
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["metadata"]["collector"] == collector:
            [counts] = [one["counts"] for one in body["metric_results"].values() if "counts" in one]
            found.append({email: int(one["value"]) for email, one in counts.items()})
    return found


@pytest.mark.thorough
def test_a_stream_with_private_columns_has_two_reports_and_no_file_has_what_is_private(make_daemon, monkeypatch):
    """A follower that comes while the service runs begins with what comes next."""
    monkeypatch.setenv("SALT", SALT)
    reported = collector_config(rows_trigger(4), COUNTED, data_definition=DEFINITION)
    main = reported | {"columns": {"drop": ["name"], "hash": {"email": "${SALT}"}}}
    config = service_config({"main": main})
    daemon = make_daemon(config, evaluates=BY_TALLY).start()
    daemon.client.send_data("main", pd.DataFrame(ROWS))
    config["collectors"]["late"] = reported | {"events_from": "main", "trigger": rows_trigger(8)}
    daemon.config_path.write_text(json.dumps(config), encoding="utf-8")
    daemon.http.post("/-/reload").raise_for_status()
    daemon.wait_for_status("late", lambda one: one["events_from"] == "main")
    for _ in range(2):
        assert daemon.http.post("/main/data", json=ROWS).status_code == 201
    refused = daemon.http.post("/late/data", json=ROWS)
    assert (refused.status_code, "'main'" in refused.json()["detail"]) == (409, True)
    wait_until(lambda: len(counts_of(daemon, "main")) == 3, "the snapshots of main")
    wait_until(lambda: len(counts_of(daemon, "late")) == 1, "the snapshot of its follower")
    of_one = {hashed("ann@raw.example"): 2, hashed("bob@raw.example"): 1, hashed("eve@raw.example"): 1}
    assert counts_of(daemon, "main") == [of_one] * 3
    assert counts_of(daemon, "late") == [{email: 2 * rows for email, rows in of_one.items()}]
    daemon.stop()
    for path in daemon.directory.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"@raw" not in content, path
            assert b"raw ann" not in content, path
