"""Promise 1: kill -9 at any moment loses no acknowledged row, doubles none, and leaves no process behind."""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pandas as pd
import pytest
from machine import PATIENCE

import collector
from collector.fault_points import VARIABLE

from ..conftest import collector_config, rows_trigger, service_config, wait_until
from .conftest import numbered, wait_for_delivery
from .ledger import Load, json_body, large_body, post, table

PROMISE = "1 kill -9"
LACKING = {"metrics": [{"type": "MinValue", "column": "no such column"}]}
# Where a kill comes: before anything needs Evidently, after it, and in a batch whose report raises.
EARLY = ["body written", "accepted", "sealed", "part written", "moved", "swept", "spilled", "synced"]
WITH_REPORT = ["snapshot written", "evaluated", "delivered", "finished"]
OF_FAILURE = ["parts linked", "failed"]
OF_ALERTS = ["alert posted", "alert sent"]  # tried by test_alerts.py
OF_WHOLE = ["taken whole"]
OF_SEGMENTS = ["segment delivered", "nothing to report"]  # tried by test_segments.py
# Tried by test_labels.py.
OF_LABELS = ["keys written", "keys entered", "marks written", "marks entered", "labels joined", "labels closed"]
OF_LABELS += ["labels sorted out", "labels retired"]
OF_WINDOWS = ["window closed"]
OF_REFERENCES = ["reference written", "reference entered"]  # tried by test_references.py
OF_RENAMING = ["renaming marked", "renaming saved", "renamed"]
OF_KAFKA = ["taken over", "restored", "fetched", "published"]  # tried by test_kafka.py
LOADING = 20  # more processor seconds than a new process takes to load Evidently
PACKAGE = Path(collector.__file__).parent
# One kill in so many waits until Evidently is loaded, so that it comes while snapshots are made and delivered.
LATE = 10


def test_no_acknowledged_row_is_lost_or_doubled_by_kills_at_random_moments(
    make_daemon, ledger, audit, figures, rng, is_long
):
    kills = 200 if is_long else 2
    collectors = {name: numbered(rows_trigger(rows)) for name, rows in [("small", 20), ("large", 60)]}
    follower = {"follower": numbered(rows_trigger(45), events_from="small")}
    ledger.followers["small"] = ("follower",)
    daemon = make_daemon(service_config(collectors | follower, spill_rows=25)).start()
    with Load(daemon.url, ledger, collectors, plain=1, clients=1, is_large=True):
        for kill in range(kills):
            daemon.kill()
            verdict = audit(daemon)
            assert verdict.is_sound, str(verdict)
            daemon.launch()
            if kill % LATE == 0:
                daemon.wait_ready()
                wait_for_snapshots(daemon, 1 + len(snapshots(daemon)))
            time.sleep(rng.uniform(0, 1.5))
        daemon.kill()
        daemon.start()
    wait_for_delivery(daemon, [*collectors, *follower])
    figures.take(audit(daemon))
    figures.faults["kills"] += kills
    of_follower = sum(rows for (collector, _), rows in ledger.sent.items() if collector == "follower")
    figures.others["rows of a follower among them"] = of_follower
    daemon.stop()


def snapshots(daemon):
    return list(daemon.directory.glob("workspace/*/snapshots/*.json"))


def wait_for_snapshots(daemon, count):
    wait_until(lambda: len(snapshots(daemon)) >= count, f"{count} snapshots")


def test_every_fault_point_of_the_code_is_tried():
    found = {point for path in PACKAGE.rglob("*.py") for point in re.findall(r'reach\("([^"]+)"\)', path.read_text())}
    others = {*OF_FAILURE, *OF_ALERTS, *OF_RENAMING, *OF_WHOLE, *OF_LABELS, *OF_WINDOWS, *OF_KAFKA, *OF_SEGMENTS}
    others |= {*OF_REFERENCES}
    assert found == {*EARLY, *WITH_REPORT} | others


def test_no_acknowledged_row_is_lost_or_doubled_by_a_kill_between_two_stages(
    make_daemon, ledger, audit, figures, rng, is_long
):
    """One life after the other ends at the next point, with what those before it left half-done."""
    points = [rng.choice(EARLY), rng.choice(WITH_REPORT), rng.choice(OF_FAILURE)]
    if is_long:
        points = EARLY + WITH_REPORT + OF_FAILURE
    collectors = {"good": numbered(rows_trigger(12)), "bad": numbered(rows_trigger(12)) | {"report_config": LACKING}}
    collectors["follower"] = numbered(rows_trigger(16), events_from="good")
    ledger.followers["good"] = ("follower",)
    daemon = make_daemon(service_config(collectors, spill_rows=5))
    for point in points:
        daemon.variables[VARIABLE] = point
        daemon.launch()
        post_until_death(daemon, ledger, "bad" if point in OF_FAILURE else "good")
        assert daemon.process.returncode == -signal.SIGKILL, daemon.log
        verdict = audit(daemon)
        assert verdict.is_sound, (point, str(verdict))
    daemon.variables[VARIABLE] = ""
    daemon.start()
    wait_for_delivery(daemon, ["good", "follower"])
    daemon.wait_for_status("bad", lambda one: one["sealed"] == 0)
    verdict = audit(daemon)
    assert verdict.stages["failed"] > 0
    figures.take(verdict)
    figures.faults["fault points"] += len(points)
    daemon.stop()


@pytest.mark.thorough
def test_a_collector_is_renamed_whole_or_not_at_all_by_a_kill_between_two_stages(
    make_daemon, ledger, audit, figures, rng, is_long
):
    """Its rows are those of the id that its config file names, whichever that is."""
    daemon = make_daemon(service_config({"id-0": numbered(rows_trigger(1000))}, spill_rows=10), evaluates=False)
    *early, last = OF_RENAMING
    points = OF_RENAMING * 3 if is_long else [rng.choice(early), last]
    for number, point in enumerate(points):
        daemon.variables[VARIABLE] = point
        daemon.start()
        [old] = [one["id"] for one in daemon.client.status()["collectors"]]
        with httpx.Client(base_url=daemon.url, timeout=PATIENCE) as http:
            for encode in (json_body, large_body):
                post(http, ledger, old, 7, encode)
            with contextlib.suppress(httpx.TransportError):
                http.post(f"/{old}/rename", json={"id": f"id-{number + 1}"}, timeout=PATIENCE)
        assert daemon.process.wait(PATIENCE) == -signal.SIGKILL, daemon.log
        daemon.variables[VARIABLE] = ""
        daemon.start()
        [now] = daemon.client.status()["collectors"]
        assert now["id"] in {old, f"id-{number + 1}"}
        assert now["rows_waiting"] == sum(ledger.sent.values())
        ledger.rename(old, now["id"])
        daemon.stop()
        verdict = audit(daemon)
        assert verdict.is_sound, (point, str(verdict))
    assert now["id"] == f"id-{len(points)}"  # the last was cut off after it was done
    figures.take(verdict)
    figures.faults["renamings cut off"] += len(points)


@pytest.mark.thorough
def test_a_whole_batch_is_one_batch_however_often_its_sender_is_cut_off(make_daemon, ledger, audit, figures, is_long):
    """It sends the same again until it has an answer, as a job would that is tried again."""
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(1000))}))
    points = OF_WHOLE * 2 + (["part written", "moved", *WITH_REPORT] * 2 if is_long else [])
    bodies = []
    for number, point in enumerate(points):
        daemon.evaluates = point not in OF_WHOLE
        key = ledger.begin("main", 5)
        body, content_type = (large_body if number % 2 else json_body)(key[1], 5)
        bodies.append((f"/main/batches?start=2024-01-{number + 1:02}&end=2024-01-{number + 2:02}", body, content_type))
        daemon.variables[VARIABLE] = point
        daemon.start()
        with httpx.Client(base_url=daemon.url, timeout=PATIENCE) as http:
            post(http, ledger, "main", 3)
            with contextlib.suppress(httpx.TransportError):
                answer = send_whole(http, bodies[-1])
                ledger.answer(key, answer.status_code)
        assert daemon.process.wait(PATIENCE) == -signal.SIGKILL, daemon.log
        daemon.variables[VARIABLE] = ""
        daemon.start()
        with httpx.Client(base_url=daemon.url, timeout=PATIENCE) as http:
            answers = [send_whole(http, one) for one in bodies]
        ledger.answer(key, answers[-1].status_code)
        assert [answer.status_code for answer in answers] == [200] * len(bodies)
        assert len({answer.json()["batch_id"] for answer in answers}) == len(bodies)
        daemon.stop()
        verdict = audit(daemon)
        assert verdict.is_sound, (point, str(verdict))
    figures.take(verdict)
    figures.faults["whole batches cut off"] += len(bodies)


@pytest.mark.thorough
def test_no_row_is_lost_or_doubled_by_a_kill_while_windows_of_event_time_are_closed(
    make_daemon, ledger, audit, figures, rng, is_long
):
    """Rows of three windows are there at each kill; a flush makes a batch of each."""
    trigger = {"type": "EventTimeTrigger", "period": "1d"}
    daemon = make_daemon(service_config({"main": numbered(trigger) | {"timestamp_column": "ts"}}, spill_rows=7))
    daemon.evaluates = False
    of_spilling = ["part written", "moved", "spilled"]
    points = [*OF_WINDOWS, *(of_spilling if is_long else [rng.choice(of_spilling)]), *OF_WINDOWS]
    for number, point in enumerate(points * 5 if is_long else points):
        daemon.variables[VARIABLE] = "" if number == 0 else point
        daemon.start()
        with httpx.Client(base_url=daemon.url, timeout=PATIENCE) as http:
            for _ in range(2):
                post(http, ledger, "main", 4, timed_body)
            with contextlib.suppress(httpx.TransportError):
                http.post("/main/flush")
        if number == 0:
            daemon.kill()
        assert daemon.process.wait(PATIENCE) == -signal.SIGKILL, daemon.log
        verdict = audit(daemon)
        assert verdict.is_sound, (point, str(verdict))
    daemon.variables[VARIABLE] = ""
    daemon.start()
    daemon.client.flush("main")
    assert daemon.status("main")["rows_waiting"] == 0
    daemon.stop()
    verdict = audit(daemon)
    assert verdict.is_sound, str(verdict)
    figures.take(verdict)
    figures.faults["windows cut off"] += number


def timed_body(label, rows):
    """Make a body whose rows are of now, of tomorrow, and late."""
    columns = table(label, rows).to_pydict()
    columns["ts"] = [time.time() + (row % 3 - 1) * 80_000 for row in range(rows)]
    return json.dumps(columns).encode(), "application/json"


def send_whole(http, batch):
    path, body, content_type = batch
    return http.post(path, content=body, headers={"Content-Type": content_type})


def post_until_death(daemon, ledger, collector):
    try:
        daemon.wait_ready()
    except AssertionError:
        return  # its start went on with what the life before it left half-done, as far as to the point
    encode = itertools.cycle([json_body, large_body])
    with httpx.Client(base_url=daemon.url, timeout=PATIENCE) as http:

        def is_dead():
            post(http, ledger, collector, 4, next(encode))
            with contextlib.suppress(subprocess.TimeoutExpired):
                return daemon.process.wait(0.3)

        wait_until(is_dead, "the fault point")


def test_workers_of_a_killed_daemon_end_too(make_daemon, figures, is_long):
    """Also one that is in the midst of a report, which would go on to its end, or for ever."""
    rows = 20_000 if is_long else 20
    large = pd.DataFrame({f"c{column}": [float(row * column % 997) for row in range(rows)] for column in range(60)})
    collectors = {"large": collector_config(rows_trigger(rows), {"metrics": ["DataDriftPreset"]})}
    daemon = make_daemon(service_config(collectors)).start()
    wait_until(lambda: "evidently is loaded" in daemon.log)
    busy = {pid: seconds_of(pid) for pid in daemon.children()}
    daemon.client.set_reference("large", large)
    daemon.client.send_data("large", large)
    daemon.wait_for_status("large", lambda one: one["state"] == "evaluating")
    wait_until(
        lambda: any(seconds_of(pid) > busy.get(pid, LOADING * is_long) + 1 for pid in daemon.children()), "the report"
    )
    children = daemon.children()
    assert len(children) > 1
    daemon.kill()
    wait_until(lambda: not [pid for pid in children if is_running(pid)], "the end of the workers")
    figures.faults["orphaned reports"] += 1


def seconds_of(pid):
    """Return the processor time that a process has taken; 0 for one that has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        ticks = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return 0


def is_running(pid):
    """Tell whether a process runs; one that has ended and waits for its parent to notice doesn't."""
    with contextlib.suppress(FileNotFoundError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
