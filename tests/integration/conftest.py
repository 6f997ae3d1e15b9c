"""Real daemons, real Evidently services, and a proxy that loses answers, for tests on the real clock."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import httpx
import pandas as pd
import pytest
from answering import Answering
from machine import PATIENCE, free_port, wait_until
from sklearn.datasets import load_iris

from collector.client import CollectorClient

with warnings.catch_warnings():  # Evidently and what it imports warn on import, which is theirs
    warnings.simplefilter("ignore")
    import evidently
    import evidently.legacy.collector.client
    import evidently.presets  # noqa: F401  # for the tests that import from it

ROOT = Path(__file__).parents[2]
ROW_COUNT = {"metrics": ["RowCount"]}  # of Evidently's reports, one that takes no time
PROJECT = "018f0000-0000-7000-8000-00000000000a"
NEVER = 10**9
READY = re.compile(r"ready .* url=(http://\S+)")
# Ways in which a daemon ``evaluates``, by what stands in for a part of it; without any, Evidently can't be loaded.
BY_TALLY, UNREHEARSED = "tally", "unrehearsed"


def rows_trigger(rows=1):
    return {"type": "RowsCountTrigger", "rows_count": rows}


def interval_trigger(seconds=3600):
    return {"type": "IntervalTrigger", "interval": seconds}


def collector_config(trigger=None, report=None, **others):
    """Make a collector's config: each event into a snapshot in the directory ``workspace``, unless told otherwise."""
    where = {} if "project_name" in others else {"project_id": PROJECT}
    made = {"trigger": trigger or rows_trigger(), "report_config": report or ROW_COUNT, "api_url": "workspace"}
    return made | where | others


def service_config(collectors=None, **others):
    """Make a service's config whose logs keep everything; a second worker that loads Evidently would be for nothing."""
    return {"collectors": collectors or {}, "storage": {"max_log_events": 0}, "evaluation_workers": 1} | others


def environment(**variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVIDENTLY_COLLECTOR_")}
    return kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200", "DO_NOT_TRACK": "1"} | variables


def stand_in(evaluates):
    """Return the variables of a process that evaluates so."""
    if evaluates is True:
        return {}
    folder = Path(__file__).parent / ("stand_ins" if evaluates else "unloaded")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "STAND_IN": evaluates or ""}


def run_collector(*arguments, cwd, seconds=PATIENCE, **variables):
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "collector", *map(str, arguments)],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


class Daemon:
    """``python -m collector`` in a directory of its own: started, stopped, killed, and started again on its port.

    To load Evidently takes a processor some 4 s, several times over if a report, a delivery and a check meet. One that
    ``evaluates`` nothing is spared that: it keeps and seals events, and configs that are posted wait for their check.
    One that evaluates ``BY_TALLY`` makes snapshots of what is counted, for tests that ask what becomes of rows. One
    that evaluates ``UNREHEARSED`` does so by Evidently, but tries no report over its own reference.
    """

    def __init__(self, directory, config=None, *options, evaluates=True, **variables):
        self.directory = Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.config_path = self.directory / "collector_config.json"
        self.data = self.directory / "collector_data"
        self.log_path = self.directory / "daemon.log"
        self.options = options
        self.evaluates = evaluates
        self.variables = variables
        self.port = 0
        self.url = ""
        self.process = None
        self._open = contextlib.ExitStack()
        if isinstance(config, dict):
            self.config_path.write_text(json.dumps(config), encoding="utf-8")
        elif config is not None:
            config.save(self.config_path)

    @property
    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    def start(self, secret=None):
        """Start it, and return once it says that it is ready."""
        self.launch()
        self.wait_ready()
        self.client = self._open.enter_context(CollectorClient(self.url, secret))
        headers = {"evidently-secret": secret} if secret else {}
        self.http = self._open.enter_context(httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE))
        return self

    def launch(self):
        """Start its process, and wait for nothing."""
        self.port = self.port or free_port()
        self._log_start = len(self.log) if self.log_path.exists() else 0
        command = [sys.executable, "-m", "collector", "--port", str(self.port), *self.options]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment(**stand_in(self.evaluates) | self.variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self):
        """Return once a launched process says that it is ready."""
        self.url = wait_until(self._ready, f"the daemon's readiness: {self.log[self._log_start :]}")

    def _ready(self):
        assert self.process.poll() is None, self.log[self._log_start :]
        found = READY.search(self.log, self._log_start)
        return found and found[1]

    def end(self, number=signal.SIGTERM):
        """Send it a signal and return its exit code."""
        self._open.close()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def stop(self):
        """Stop it as a service manager would; it must end well."""
        assert self.end() == 0, self.log

    def kill(self):
        """Kill it where it stands."""
        self.end(signal.SIGKILL)

    def close(self):
        """End it however it stands, if it runs."""
        self._open.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def process_files(self):
        """Where the kernel tells of its process."""
        return Path("/proc") / str(self.process.pid)

    def children(self):
        """Return the process ids of its children, by their command lines."""
        found = {}
        for file in self.process_files().glob("task/*/children"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread, or a child, has just ended
                for pid in file.read_text().split():
                    found[int(pid)] = (Path("/proc") / pid / "cmdline").read_text().replace("\0", " ")
        return found

    def create(self, collector_id, config=None, **others):
        """Add a collector; its id is returned."""
        self.client.create_collector(collector_id, config or collector_config(**others))
        return collector_id

    def status(self, collector_id):
        [found] = [
            one for one in self.http.get("/").raise_for_status().json()["collectors"] if one["id"] == collector_id
        ]
        return found

    def wait_for_status(self, collector_id, fits, seconds=PATIENCE):
        """Return a collector's status once it fits."""
        return wait_until(lambda: [one for one in [self.status(collector_id)] if fits(one)], self.log, seconds)[0]

    def logs(self, collector_id, type_="UploadReport", *, ok=True):
        """Return a collector's log entries of one kind, oldest first."""
        entries = reversed(self.client.get_logs(collector_id))
        return [entry for entry in entries if entry["type"] == type_ and entry["ok"] == ok]

    def wait_for_logs(self, collector_id, count=1, type_="UploadReport", *, ok=True, seconds=PATIENCE):
        """Return the log entries of one kind once there are so many."""

        def enough():
            found = self.logs(collector_id, type_, ok=ok)
            return found if len(found) >= count else None

        return wait_until(enough, f"{count} {type_} of {collector_id}: {self.log}", seconds)

    def wait_for_log(self, text):
        """Return once a text stands in what it has written, which is a moment after others see what it is about."""
        wait_until(lambda: text in self.log, f"{text!r} in {self.log}")

    def wait_until_delivered(self, collector_id):
        """Return once no batch of a collector is on its way; its log tells of a delivery before that is entered.

        At a start, how many there are isn't known yet.
        """
        self.wait_for_status(
            collector_id, lambda one: one["state"] != "starting" and one["sealed"] + one["outbox"] == 0
        )

    def snapshots(self, collector_id, workspace="workspace"):
        """Read a collector's snapshots from the workspace directory, oldest first."""
        found = [json.loads(path.read_bytes()) for path in self.directory.glob(f"{workspace}/*/snapshots/*.json")]
        mine = [one for one in found if one["metadata"].get("collector") == collector_id]
        return sorted(mine, key=lambda one: one["metadata"]["batch_id"])

    def wait_for_snapshots(self, collector_id, count=1):
        """Return a collector's snapshots once its log tells of so many; there must be exactly so many then."""
        self.wait_for_logs(collector_id, count)
        found = self.snapshots(collector_id)
        assert len(found) == count
        return found

    def rows(self, collector_id):
        """Return the rows of each snapshot of a collector."""
        return [int(one["metadata"]["rows"]) for one in self.snapshots(collector_id)]

    def parts(self):
        """Read all parts, waiting and failed ones, as one frame."""
        paths = sorted([*self.data.glob("parts/*.parquet"), *self.data.glob("failed/*/*.parquet")])
        return [pd.read_parquet(path) for path in paths]


class Proxy:
    """Stands before a service and does what ``fault`` says of each request, given its method, path, and body.

    ``None``: pass it on. ``"lose"``: pass it on and cut the connection instead of answering. A number: answer that
    status without passing it on. What was asked is kept in ``seen``, as (method, path, body, status or fault).
    """

    def __init__(self, target, fault, port=0):
        self.seen = []
        self.target = httpx.Client(base_url=target, timeout=PATIENCE)
        proxy = self

        class Handler(Answering):
            def _pass(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy.answer(self, body, fault(self.command, self.path, body))

            do_GET = do_POST = do_DELETE = _pass  # noqa: N815  # the library's names

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def answer(self, handler, body, fault):
        if isinstance(fault, int):
            self.seen.append((handler.command, handler.path, body, fault))
            self._reply(handler, fault, b"{}")
            return
        left_out = {"host", "content-length", "connection", "accept-encoding"}
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in left_out}
        answer = self.target.request(handler.command, handler.path, content=body, headers=headers)
        self.seen.append((handler.command, handler.path, body, fault or answer.status_code))
        if fault == "lose":
            handler.close_connection = True
            with contextlib.suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._reply(handler, answer.status_code, answer.content, answer.headers.get("Content-Type", "text/plain"))

    @staticmethod
    def _reply(handler, status, body, content_type="application/json"):
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.target.close()


@pytest.fixture(scope="session")
def iris():
    """Return the 150 flowers of scikit-learn's iris set: four numbers, and the species as a category's text."""
    bunch = load_iris(as_frame=True)
    frame = bunch.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_"))
    return frame.assign(species=bunch.target_names[bunch.target])


@pytest.fixture(scope="session")
def daemon(tmp_path_factory) -> Iterator[Daemon]:
    """Run one daemon for all tests that only add collectors to it."""
    running = Daemon(tmp_path_factory.mktemp("daemon") / "service", service_config(), evaluates=UNREHEARSED)
    try:
        yield running.start()
        running.stop()
    finally:
        running.close()


@pytest.fixture
def make_daemon(tmp_path) -> Iterator:
    """Make daemons that a test starts, stops and kills itself; those that still run afterwards are killed."""
    made = []

    def make(config=None, *options, directory="service", evaluates=True, **variables):
        made.append(Daemon(tmp_path / directory, config, *options, evaluates=evaluates, **variables))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def make_proxy() -> Iterator:
    """Make proxies that end with the test."""
    with contextlib.ExitStack() as stack:

        def make(target, fault):
            proxy = Proxy(target, fault)
            stack.callback(proxy.close)
            return proxy

        yield make
