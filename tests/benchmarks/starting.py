"""Starting: from exec to the first POST that is accepted, with nothing to recover and with a gigabyte of rows."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from . import events
from .bench import Bench
from .figures import Row, at_most
from .processes import Process, run_script, wait_for
from .services import MODERN_DRIFT, NEVER, Original, Ours, Service, collector

_CONFIG = {"collectors": {"main": collector()}}
_BODY_ROWS = 100_000


def measure(bench: Bench) -> None:
    _start(Ours, bench.new_directory("ours"))  # warm
    _start(Original, bench.new_directory("original"))
    fresh = Row("start", "exec to first accepted POST", "s", at_most(0.4))
    for _ in bench.each_round(fresh):
        fresh.add(*(_start(kind, bench.new_directory(kind.name)) for kind in (Ours, Original)))
    if not bench.is_quick:  # to load Evidently takes half of its time
        _measure_snapshot(bench)
    gigabytes = 0.2 if bench.is_quick else 1
    full = bench.new_directory("full")
    _fill(bench, full, gigabytes)
    recovery = Row("start", f"what {gigabytes:g} GB of open rows add to it, after kill -9", "s", at_most(1.0))
    for _ in bench.each_round(recovery):
        empty = _start(Ours, bench.new_directory("empty"))
        recovery.add(_start(Ours, full) - empty)


def _measure_snapshot(bench: Bench) -> None:
    """Measure the start to the first snapshot, for which Evidently must be loaded, as it must by whoever runs it."""
    name = "exec to first snapshot, beyond the bare import of Evidently"
    row = Row("start", name, "s", at_most(1.0), "the bare import of Evidently")
    for _ in bench.each_round(row):
        bare = _import_evidently(bench)
        row.add(_first_snapshot(bench.new_directory("first")) - bare, limit=bare)


def _import_evidently(bench: Bench) -> float:
    statement = "from evidently import Report; from evidently.presets import DataDriftPreset"
    with Process(["-c", statement], bench.directory, "import.log") as process:
        process.wait_ended()
        return time.monotonic() - process.begun


def _first_snapshot(directory: Path) -> float:
    with Ours(directory, {"collectors": {"main": collector(report_config=MODERN_DRIFT)}}) as ours:
        ours.wait_accepting()
        ours.post(events.json_body(1_000))
        ours.http.post("/main/flush").raise_for_status()
        wait_for(lambda: list(directory.glob("workspace/*/snapshots/*.json")), "the snapshot", 0.01)
        return time.monotonic() - ours.begun


def _start(kind: type[Ours | Original], directory: Path) -> float:
    """Start a service, give the seconds to its first accepted POST, and kill it."""
    service: Service = kind(directory, _CONFIG)
    try:
        service.wait_accepting()
        return time.monotonic() - service.begun
    finally:
        service.end(signal.SIGKILL)


def _fill(bench: Bench, directory: Path, gigabytes: float) -> None:
    """Leave a killed daemon's open rows, so many bytes of Arrow."""
    body = events.arrow_body(_BODY_ROWS)
    path = bench.directory / "request"
    path.write_bytes(events.request("/main/data", body, events.ARROW))
    ours = Ours(directory, _CONFIG)
    try:
        ours.wait_accepting()
        done = run_script("load.py", ours.port, 1, NEVER, path, int(gigabytes * 1e9 / len(body)))
        if set(done["statuses"]) != {"201"}:
            raise RuntimeError(done["statuses"])
        ours.wait_calm()
    finally:
        ours.end(signal.SIGKILL)
