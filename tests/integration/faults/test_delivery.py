"""Promise 5: whatever a workspace does, nothing else notices, and each batch is there once when it is back."""

import contextlib
import itertools
import json
import threading
import time

import pytest
from machine import slowness
from uis import UI

from ..conftest import Proxy, free_port, rows_trigger, service_config, wait_until
from .conftest import numbered, percentile
from .ledger import post
from .shelf import Shelf

PROMISE = "5 delivery"
ROWS = 5  # of a batch
BODY_LIMIT = 12_000  # a snapshot here weighs some 20 kB, without its picture 4 kB
RETRY_AFTER = 2  # seconds; of its own, the first pauses are shorter
TRY_SECONDS = 2
# What can't succeed by waiting, so that it is said plainly and tried slowly.
REFUSED = ("answers 401", "answers 404")


class FaultyProxy(Proxy):
    """A proxy with more faults: ``"hole"`` never answers, ``"drip"`` answers a byte a second, until it is closed."""

    def __init__(self, target, fault, port=0):
        self.times = []
        self._is_over = threading.Event()
        super().__init__(target, lambda *request: self.fault and self._choose(*request), port)
        self.fault = fault

    def _choose(self, method, path, body):
        self.times.append(time.monotonic())
        if self.fault == 413:
            return 413 if len(body) > BODY_LIMIT else None
        if self.fault == "lose":
            return "lose" if method == "POST" and "snapshots" in path else None
        return self.fault

    def answer(self, handler, body, fault):
        if fault == "hole":
            self._is_over.wait(60)
        elif fault == "drip":
            self._drip(handler)
        elif fault == 429:
            self._ask_to_wait(handler)
        else:
            super().answer(handler, body, fault)

    def _drip(self, handler):
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n" * 10:
                handler.wfile.write(bytes([byte]))
                if self._is_over.wait(1):
                    break
        handler.close_connection = True

    @staticmethod
    def _ask_to_wait(handler):
        handler.send_response(429)
        handler.send_header("Retry-After", str(RETRY_AFTER))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def close(self):
        self._is_over.set()
        super().close()


FAULTS = {
    "is a black hole": "hole",
    "drips": "drip",
    "answers 401": 401,
    "answers 404": 404,
    "answers 413": 413,
    "answers 429": 429,
    "answers 500": 500,
    "cuts after the request": "lose",
}


@pytest.fixture
def ui(tmp_path, is_long):
    directory = tmp_path / "ui" / "workspace"
    running = UI("ui", directory) if is_long else Shelf(directory)
    try:
        yield running.wait_up()
    finally:
        running.close()


@pytest.fixture
def proxies(ui):
    with contextlib.ExitStack() as stack:
        made = {name: FaultyProxy(ui.url, fault) for name, fault in FAULTS.items()}
        for proxy in made.values():
            stack.callback(proxy.close)
        yield made


def test_snapshots_wait_for_faulty_workspaces_and_arrive_once_in_order_when_they_are_back(
    make_daemon, ledger, audit, figures, ui, proxies, is_long
):
    refusing = free_port()
    urls = {name: proxy.url for name, proxy in proxies.items()}
    urls |= {"refuses": f"http://127.0.0.1:{refusing}", "is sound": ui.url}
    collectors = {
        name: numbered(rows_trigger(ROWS), api_url=url, project_id=ui.make_project(name)) for name, url in urls.items()
    }
    daemon = make_daemon(service_config(collectors, delivery_timeout=TRY_SECONDS)).start()
    batches = 4 if is_long else 2
    seconds = [post_batch(daemon, ledger, name) for _ in range(batches) for name in urls]
    assert max(seconds) < TRY_SECONDS * slowness()  # none of them waits for a try
    daemon.wait_for_logs("is sound", batches)
    faulty = urls.keys() - {"is sound", "answers 413", "cuts after the request"}
    for name in faulty:
        daemon.wait_for_status(name, lambda one: (one["outbox"], one["state"]) == (batches, "undelivered"))
    for name, said in {"answers 401": "api_secret", "answers 404": "no project"}.items():
        assert said in daemon.status(name)["last_error"]
    daemon.kill()
    verdict = audit(daemon, ui.directory)
    assert verdict.is_sound, str(verdict)
    daemon.start()
    for name in faulty - {"is a black hole", "drips"}:
        daemon.wait_for_status(name, lambda one: one["state"] == "undelivered")
    check_pauses(proxies)

    for proxy in proxies.values():
        proxy.fault = None
    with contextlib.closing(FaultyProxy(ui.url, None, refusing)):
        for name in urls.keys() - REFUSED:  # without new data, and soon: the pauses double from half a second
            daemon.wait_until_delivered(name)
        if not is_long:
            daemon.kill()  # else these two are tried again after a minute
            daemon.start()
        for name in REFUSED:
            daemon.wait_until_delivered(name)
    verdict = audit(daemon, ui.directory)
    assert verdict.stages["delivered"] == len(urls) * batches * ROWS
    for name in urls:
        assert in_order_of_arrival(ui, name) == sorted(in_order_of_arrival(ui, name)), name
    figures.take(verdict)
    figures.faults["faulty workspaces"] += len(FAULTS) + 1
    figures.others["POST p99"] = f"{percentile(seconds, 99) * 1000:.0f} ms"
    daemon.stop()


def post_batch(daemon, ledger, name):
    started = time.monotonic()
    assert post(daemon.http, ledger, name, ROWS) == 201
    return time.monotonic() - started


def check_pauses(proxies):
    """What is refused is tried slowly, and what asks for a pause gets it."""
    wait_until(lambda: len(proxies["answers 429"].times) > 2, "a repetition")
    times = proxies["answers 429"].times
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert sorted(pauses)[1] >= RETRY_AFTER  # but for the one that the daemon's end cut short
    for name in REFUSED:
        assert len(proxies[name].times) <= 2 * 2  # a try at each start, of at most two requests


def in_order_of_arrival(ui, collector):
    """Return the ids of a collector's batches in the order in which their snapshots came."""
    paths = sorted(ui.directory.glob("*/snapshots/*.json"), key=lambda path: path.stat().st_mtime_ns)
    metadata = [json.loads(path.read_bytes())["metadata"] for path in paths]
    return [one["batch_id"] for one in metadata if one["collector"] == collector]
