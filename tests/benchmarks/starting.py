"""Starting: from exec to the first POST that is accepted, with nothing to recover and with a gigabyte of rows."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from . import events
from .bench import Bench
from .figures import Row, at_most
from .processes import run_script
from .services import NEVER, Original, Ours, Service, collector

_CONFIG = {"collectors": {"main": collector()}}
_BODY_ROWS = 100_000


def measure(bench: Bench) -> None:
    _start(Ours, bench.new_directory("ours"))  # warm
    _start(Original, bench.new_directory("original"))
    fresh = Row("start", "exec to first accepted POST", "s", at_most(0.6))
    for _ in bench.each_round(fresh):
        fresh.add(*(_start(kind, bench.new_directory(kind.name)) for kind in (Ours, Original)))
    gigabytes = 0.2 if bench.is_quick else 1
    full = bench.new_directory("full")
    _fill(bench, full, gigabytes)
    recovery = Row("start", f"what {gigabytes:g} GB of open rows add to it, after kill -9", "s", at_most(1.0))
    for _ in bench.each_round(recovery):
        empty = _start(Ours, bench.new_directory("empty"))
        recovery.add(_start(Ours, full) - empty)


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
