"""Promise 25: kills between firing and sending lose no change and make none up; one that is away misses none."""

import contextlib
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby

import httpx
import pytest

from collector.fault_points import VARIABLE

from ..conftest import BY_TALLY, PATIENCE, collector_config, rows_trigger, service_config, wait_until

PROMISE = "25 alerts"
REPORT = {"metrics": [{"type": "MaxValue", "column": "x", "tests": [{"lt": 10}]}], "include_tests": True}
GOOD, BAD = 1.0, 100.0
SENT_SOON = 5.0  # seconds in which a message that is left is sent at a start
# How lives end: with a message in the outbox, with one that is sent and still there, or whenever it may be.
SHORT = ["alert posted", "alert sent", ""]
LONG = [*["alert posted"] * 5, "alert sent", "", "alert sent", ""]


class Receiver:
    """A hook that takes Alertmanager's bodies; while it is away it answers as a test says."""

    def __init__(self):
        self.bodies = []
        self.refusals = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with contextlib.suppress(IndexError):
                    status, headers, pause = receiver.refusals.pop(0)
                    time.sleep(pause)
                    self.answer(status, headers)
                    return
                receiver.bodies.append(json.loads(body))
                self.answer(200, {})

            def answer(self, status, headers):
                with contextlib.suppress(OSError):  # who asked was killed
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": "0"}.items():
                        self.send_header(name, value)
                    self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?token=SecretToken"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def changes(self):
        """Tell what each message was of, and of a batch of how many rows; one that came twice in a row counts once."""
        told = [(one["status"], int(one["annotations"]["rows"])) for body in self.bodies for one in body["alerts"]]
        return [change for change, _ in groupby(told)]


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


class Batches:
    """Batches that a test has posted, the nth of n rows, so that a message says of which one it is."""

    def __init__(self):
        self.values = []
        self._doubtful = None  # its answer didn't come

    def post(self, daemon, value):
        self._doubtful = value = self._doubtful or value
        rows = len(self.values) + 1
        with httpx.Client(base_url=daemon.url, timeout=PATIENCE) as http:
            headers = {"Idempotency-Key": f"batch {rows}"}
            http.post("/main/data", json=[{"x": value}] * rows, headers=headers).raise_for_status()
        self.values.append(value)
        self._doubtful = None

    def post_change(self, daemon):
        """Post one that differs from the one before, after one that may."""
        if self._doubtful:
            self.post(daemon, self._doubtful)
        self.post(daemon, BAD if self.values[-1:] in ([], [GOOD]) else GOOD)

    def changes(self):
        """Tell which of them changes how things stand."""
        found, before = [], GOOD
        for rows, value in enumerate(self.values, start=1):
            if value != before:
                found.append(("firing" if value == BAD else "resolved", rows))
            before = value
        return found


def config(receiver, **others):
    rule = {"when": "tests_failed", "to": [receiver.url]}
    return service_config(
        {"main": collector_config(rows_trigger(1), REPORT, dashboard=False)},
        alerts=[rule],
        **others,
    )


@pytest.mark.thorough
def test_each_change_is_told_at_least_once_and_none_is_made_up(make_daemon, receiver, figures, rng, is_long):
    """A stand-in plays Evidently's part, which isn't tried here and would have to be loaded in each of 360 lives."""
    daemon, batches = make_daemon(config(receiver), evaluates=BY_TALLY), Batches()
    for point in LONG * 40 if is_long else SHORT:
        daemon.variables[VARIABLE] = point
        daemon.launch()
        live(daemon, batches, rng, point)
        figures.faults[f"kills, {point or 'at random'}"] += 1
    daemon.variables[VARIABLE] = ""
    daemon.start()
    batches.post_change(daemon)  # which is told after all others
    wait_until(lambda: receiver.changes()[-1:] == batches.changes()[-1:], "the last change")
    assert daemon.http.get("/main/failed").json() == []  # one whose report failed has no tests, and changes nothing
    assert receiver.changes() == batches.changes()
    assert "SecretToken" not in daemon.log
    figures.others["changes"] = len(batches.changes())
    figures.others["messages"] = len(receiver.bodies)
    daemon.stop()


def live(daemon, batches, rng, point):
    """Have a life end at a point, or by a kill at random."""
    with contextlib.suppress(AssertionError):  # what was left to do may end it before it is ready
        daemon.wait_ready()
    with contextlib.suppress(httpx.HTTPError):  # whether it was kept is known when it is sent again
        if point == "alert posted":
            batches.post_change(daemon)
        elif not point:
            for _ in range(rng.randrange(3)):
                batches.post(daemon, rng.choice([GOOD, BAD]))
            time.sleep(rng.uniform(0, 1))
    with contextlib.suppress(subprocess.TimeoutExpired):  # nothing may be left to send
        daemon.process.wait({"alert posted": PATIENCE, "alert sent": SENT_SOON}.get(point, 0))
    daemon.close()


@pytest.mark.thorough
def test_an_address_that_is_away_slow_or_busy_misses_nothing_across_restarts(make_daemon, receiver, figures):
    receiver.refusals = [
        *((500, {}, 0), (429, {"Retry-After": "1"}, 0), (503, {"Retry-After": "1"}, 0), (500, {}, 1)),
    ]
    daemon, batches = make_daemon(config(receiver)).start(), Batches()
    for number in (1, 2):
        batches.post_change(daemon)
        daemon.wait_for_snapshots("main", number)
    daemon.stop()
    daemon.start()
    wait_until(lambda: receiver.changes() == batches.changes(), "all changes")
    assert receiver.refusals == []
    assert "Max" in receiver.bodies[0]["alerts"][0]["annotations"]["failed_tests"]
    assert "address=http://127.0.0.1" in daemon.log
    assert "SecretToken" not in daemon.log
    figures.faults["refusals"] += 4
    daemon.stop()
