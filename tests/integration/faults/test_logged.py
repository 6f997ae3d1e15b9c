"""What a model server logs: each request and its response are one event, whenever the service is killed."""

import contextlib
import json
import signal
import threading

import httpx
import pyarrow.parquet as pq
import pytest
from machine import PATIENCE

from collector.fault_points import VARIABLE

from ..conftest import BY_TALLY, collector_config, rows_trigger, service_config, wait_until

PROMISE = "33 logged pairs"
SENDERS = 4
PAIRS = 25  # of each sender in each life, twice


@pytest.mark.thorough
def test_each_request_and_its_response_are_one_event_whatever_is_killed(make_daemon, figures, rng, is_long):
    """Four connections send the halves in any order, some twice, each until it is answered 200; kills come between."""
    lives = 40 if is_long else 2
    main = collector_config(rows_trigger(30), {"metrics": ["RowCount"]}) | {"dashboard": False}
    main["input"] = {"kserve": {"features": ["a", "b"], "prediction": "y", "wait": "1h"}}
    kept = {"batches": 10**6, "max_bytes": 10**12}
    config = service_config({"main": main}, spill_rows=7, retention=kept)
    daemon = make_daemon(config, evaluates=BY_TALLY).start()
    halves, sent = [], 0
    for life in range(lives):
        fresh = [half for number in range(sent, sent + SENDERS * PAIRS) for half in both(number)]
        sent += SENDERS * PAIRS
        halves += fresh + rng.sample(fresh, len(fresh) // 4)
        rng.shuffle(halves)
        left, enough = Sending(daemon.url, halves), rng.randint(10, 200)
        with left.running():
            left.wait_answered(enough)
            daemon.kill()
        halves = left.unanswered()
        if life % 2:  # it dies by itself once it has kept something, before it answers
            halves = [*both(sent), *halves]  # so that there is something, though all was answered before the kill
            sent += 1
            daemon.variables[VARIABLE] = "accepted"
            daemon.start()
            again = Sending(daemon.url, halves)
            with again.running():
                assert daemon.process.wait(PATIENCE) == -signal.SIGKILL
            halves = again.unanswered()
            daemon.variables[VARIABLE] = ""
        daemon.start()
        figures.faults["kills between halves"] += 1 + life % 2
    last = Sending(daemon.url, halves)
    with last.running():
        pass
    assert not last.unanswered()
    assert daemon.status("main")["logged"]["halves"] == 0
    daemon.client.flush("main")
    daemon.wait_for_status("main", lambda one: (one["rows_waiting"], one["sealed"], one["outbox"]) == (0, 0, 0))
    daemon.stop()
    rows = [row for path in sorted(daemon.data.glob("parts/*.parquet")) for row in pq.read_table(path).to_pylist()]
    found = sorted((row["request_id"], row["a"], row["b"], row["y"]) for row in rows)
    assert found == sorted((f"r{number}", number, number + 0.5, number % 2) for number in range(sent))
    figures.rows.update(acknowledged=sent, found=len(rows), lost=0, doubled=0)


def both(number):
    """Return the halves of an event: the kind, the id and the body of each."""
    request, response = {"instances": [[number, number + 0.5]]}, {"predictions": [number % 2]}
    return ("request", f"r{number}", request), ("response", f"r{number}", response)


class Sending:
    """Connections that send halves until each is answered 200, or the service is gone."""

    def __init__(self, url, halves):
        self.halves = list(halves)
        self.answered = 0
        self._url = url
        self._taken = {}  # by thread
        self._failed = []
        self._lock = threading.Lock()

    def unanswered(self):
        """Return what wasn't answered, though it may have been kept."""
        with self._lock:
            return self.halves + list(self._taken.values())

    def wait_answered(self, number):
        """Return once so many were answered, or all."""
        wait_until(lambda: self.answered >= number or not self.unanswered(), f"{number} answers")

    @contextlib.contextmanager
    def running(self):
        threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for thread in threads:
                thread.join(PATIENCE)
        assert not self._failed

    def _send(self):
        name = threading.current_thread().name
        with httpx.Client(base_url=self._url, timeout=PATIENCE, verify=False) as http:
            while True:
                with self._lock:
                    self._taken.pop(name, None)
                    if not self.halves:
                        return
                    self._taken[name] = kind, id_, body = self.halves.pop()
                headers = {"Ce-Id": id_, "Ce-Type": f"org.kubeflow.serving.inference.{kind}", "Ce-Specversion": "1.0"}
                try:
                    answer = http.post("/main/data", content=json.dumps(body), headers=headers)
                except httpx.TransportError:
                    return  # the service is gone; what was sent is sent again
                if answer.status_code != 200:
                    self._failed.append(answer.text)
                    return
                with self._lock:
                    self.answered += 1
