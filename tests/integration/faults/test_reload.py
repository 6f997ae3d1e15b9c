"""An operator edits the config file while rows stream in, while clients change it too, and gets things wrong."""

import json
import signal
import time

import pytest
from machine import Stopwatch

from ..conftest import BY_TALLY, NEVER, rows_trigger, service_config, wait_until
from .conftest import numbered, wait_for_delivery
from .ledger import Load

PROMISE = "14 edits of the config file"
EDITED = ["main", "other"]
CONFIG = service_config({name: numbered(rows_trigger(NEVER)) for name in [*EDITED, "still"]})


@pytest.fixture
def daemon(make_daemon):
    return make_daemon(CONFIG, evaluates=False).start()


def config_in(daemon):
    return json.loads(daemon.config_path.read_text(encoding="utf-8"))


def edit(daemon, change):
    """Save an edit in place, as a careless editor does."""
    config = config_in(daemon)
    change(config["collectors"])
    daemon.config_path.write_text(json.dumps(config, indent=4), encoding="utf-8")


def set_rows(name, rows):
    return lambda collectors: collectors[name].update(trigger=rows_trigger(rows))


def config_state(daemon):
    return daemon.http.get("/").raise_for_status().json()["config"]


def seconds_of_an_edit(daemon, rows):
    with Stopwatch() as stopwatch:
        edit(daemon, set_rows("main", rows))
        wait_until(lambda: daemon.status("main")["rows_needed"] == rows, "the edit")
    return stopwatch.seconds


def test_a_good_edit_is_taken_within_a_second_and_a_bad_one_is_told(daemon):
    assert min(seconds_of_an_edit(daemon, rows) for rows in (5, 6, 7)) < 1
    good = daemon.config_path.read_text(encoding="utf-8")
    daemon.config_path.write_text(good.replace('"rows_count": 7', '"rows_count": "seven"'), encoding="utf-8")
    told = "collectors.main.trigger.rows_count (line "  # half of an edit may be read first, which is none
    wait_until(lambda: told in config_state(daemon)["error"], "the error")
    daemon.wait_for_log(config_state(daemon)["error"])
    refused = daemon.http.post("/-/reload")
    assert (refused.status_code, refused.json()["extra"][0]["key"]) == (400, "collectors.main.trigger.rows_count")
    assert daemon.http.delete("/main").status_code == 409
    assert daemon.status("main")["rows_needed"] == 7
    daemon.config_path.write_text(good.replace('"rows_count": 7', '"rows_count": 8'), encoding="utf-8")
    wait_until(lambda: daemon.status("main")["rows_needed"] == 8, "the mended edit")
    assert config_state(daemon)["error"] == ""
    daemon.stop()


def test_a_signal_has_it_reload_and_a_restart_is_asked_for_where_it_is_needed(daemon):
    config = config_in(daemon)
    daemon.config_path.write_text(json.dumps({**config, "durability": "power"}), encoding="utf-8")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: config_state(daemon)["needs_restart"] == ["durability"], "the signal")
    daemon.wait_for_log("needs_restart=('durability',)")
    daemon.stop()


def test_edits_and_changes_by_clients_while_rows_stream_in_lose_none(make_daemon, ledger, audit, figures, is_long, rng):
    daemon = make_daemon(CONFIG).start()
    count = 200 if is_long else 8
    with Load(daemon.url, ledger, [*EDITED, "still"], rows=3, pause=0.1) as load:
        for number in range(count):
            by_hand, by_client = rng.sample(EDITED, 2)
            edit(daemon, set_rows(by_hand, 10 + number))
            daemon.create(by_client, numbered(rows_trigger(30 + number)))  # after the edit, on top of it
            wait_until(lambda name=by_hand, rows=10 + number: daemon.status(name)["rows_needed"] == rows, "the edit")
            load.wait_for_posts(len(load.posts) + 2)
    assert {post.status for post in load.posts} == {201}
    assert list(config_in(daemon)["collectors"]) == [*EDITED, "still"]
    wait_for_delivery(daemon, [*EDITED, "still"])
    figures.take(audit(daemon))
    figures.faults["edits"] += count
    figures.faults["changes by clients beside them"] += count
    daemon.stop()


def test_a_thousand_saves_in_ten_seconds_end_in_the_last_one(daemon, figures, is_long):
    saves = 1000 if is_long else 100
    started = time.monotonic()
    for number in range(saves):
        edit(daemon, set_rows("main", 10 + number))
        time.sleep(max(0.0, started + (number + 1) * 0.01 - time.monotonic()))
    wait_until(lambda: daemon.status("main")["rows_needed"] == 9 + saves, "the last edit")
    figures.faults["saves in a row"] += saves
    daemon.stop()


def test_a_retired_collector_keeps_its_rows_until_it_comes_back(daemon, ledger, audit, figures):
    with Load(daemon.url, ledger, ["main"], rows=3) as load:
        load.wait_for_posts(5)
    whole = config_in(daemon)
    edit(daemon, lambda collectors: collectors.pop("main"))
    wait_until(lambda: daemon.status("main")["state"] == "retired", "retirement")
    assert daemon.http.post("/main/data", json={"number": ["lost?"]}).status_code == 404
    daemon.kill()
    daemon.evaluates = BY_TALLY
    daemon.start()
    assert daemon.status("main")["state"] == "retired"
    daemon.config_path.write_text(json.dumps(whole), encoding="utf-8")
    wait_until(lambda: daemon.status("main")["state"] != "retired", "its return")
    wait_for_delivery(daemon, ["main"])
    figures.take(audit(daemon))
    daemon.stop()
