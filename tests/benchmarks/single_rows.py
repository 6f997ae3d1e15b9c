"""Single rows: POSTs of one row from wrk, on 1, 16 and 64 connections."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Protocol

from . import events, limits
from .bench import Bench
from .figures import Row, at_least, at_most
from .processes import run_script
from .services import Ours, collector

FASTER = {1: 3, 16: 8, 64: 10}
FOLLOWERS = (0, 1, 5)
_LIMIT = "parsing and an SQLite commit alone, with as many rows in each as there are connections"
_LUA = """
wrk.headers["Content-Type"] = "application/json"
wrk.body = io.open("body.json", "rb"):read("*a")
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nFIGURES {"posts": %d, "seconds": %f, "p99": %f, "errors": %d}\\n', summary.requests,
    summary.duration / 1e6, latency:percentile(99) / 1e6, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def measure(bench: Bench) -> None:
    ours, original = bench.both()
    load = Load(bench)
    for connections, times in FASTER.items():
        name = f"{connections} connection{'s' if connections > 1 else ''}"
        rate = Row("single rows", name, "POSTs/s", at_least(times, "original"), _LIMIT, load.note)
        most = at_most(0.0015) if connections == 1 else at_most(1, "original")
        p99 = Row("single rows", f"{name}, p99", "s", most, note=load.note)
        for _ in bench.each_round(rate, p99):
            mine, theirs = (load.post(service, connections) for service in (ours, original))
            best = 1 / limits.committing(events.json_body(1), bench.directory, connections)
            rate.add(mine["rate"], theirs["rate"], best)
            p99.add(mine["p99"], theirs["p99"])
    bench.end_group()
    _measure_power(bench, load)
    _measure_followers(bench, load)


def _measure_followers(bench: Bench, load: Load) -> None:
    """Measure what it costs to keep each event for those that follow too."""
    for number in FOLLOWERS:
        followers = {f"follower-{one}": collector(events_from="main") for one in range(number)}
        config = {"collectors": {"main": collector(), **followers}}
        ours = bench.start(Ours(bench.new_directory(f"followers-{number}"), config))
        ours.wait_accepting(pause=0.1)
        row = Row("single rows", f"16 connections, followers: {number}", "POSTs/s", note=load.note)
        for _ in bench.each_round(row):
            row.add(load.post(ours, 16, is_reset=False)["rate"])
        bench.end_group()


def _measure_power(bench: Bench, load: Load) -> None:
    """Measure what it costs to fsync before each answer, and what 64 who share each fsync get."""
    config = {"durability": "power", "collectors": {"main": collector()}}
    ours = bench.start(Ours(bench.new_directory("power"), config))
    ours.wait_accepting(pause=0.1)
    row = Row("single rows", "64 connections, durability power", "POSTs/s", limit_is=_LIMIT, note=load.note)
    for _ in bench.each_round(row):
        best = 1 / limits.committing(events.json_body(1), bench.directory, 64, is_power=True)
        row.add(load.post(ours, 64)["rate"], limit=best)


class Loaded(Protocol):
    """What takes rows of single requests."""

    name: str
    port: int
    method: str
    path: str

    def reset(self) -> object:
        """Drop what it has taken."""


class Load:
    """wrk, or where there is none a generator of our own, which is slower."""

    def __init__(self, bench: Bench) -> None:
        self._seconds = max(1.0, bench.seconds(3))
        self._directory = bench.new_directory("wrk")
        self._wrk = shutil.which("wrk")
        self.note = "" if self._wrk else "wrk isn't installed: by the slower generator in load.py"
        if self.note:
            bench.console.print(f"[yellow]{self.note}")
        self._write("body.json", events.json_body(1))

    def post(self, service: Loaded, connections: int, *, is_reset: bool = True) -> dict[str, float]:
        """POST as fast as it answers; give POSTs/s, and the seconds in which 99 of 100 were answered."""
        self._run(service, connections, 1.0)  # warm
        figures = self._run(service, connections, self._seconds)
        if is_reset:  # one that is followed can't be deleted
            service.reset()
        return {"rate": figures["posts"] / figures["seconds"], "p99": figures["p99"]}

    def _run(self, service: Loaded, connections: int, seconds: float) -> Any:
        if self._wrk is None:
            return self._run_own(service, connections, seconds)
        self._write("post.lua", f'wrk.method = "{service.method}"{_LUA}'.encode())
        options = ["-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "30s", "-s", "post.lua"]
        command = [self._wrk, *options, f"http://127.0.0.1:{service.port}{service.path}"]
        done = subprocess.run(command, cwd=self._directory, capture_output=True, text=True, check=True)
        figures = json.loads(done.stdout.rpartition("FIGURES ")[2])
        if figures["errors"]:
            raise RuntimeError(f"{service.name}: {done.stdout}")
        return figures

    def _run_own(self, service: Loaded, connections: int, seconds: float) -> Any:
        request = self._write("request", events.request(service.path, events.json_body(1)))
        done = run_script("load.py", service.port, connections, seconds, request)
        if set(done["statuses"]) != {"201"}:
            raise RuntimeError(f"{service.name}: {done['statuses']}")
        return done | {"p99": sorted(done["each"])[int(len(done["each"]) * 0.99)]}

    def _write(self, name: str, content: bytes) -> Path:
        path = self._directory / name
        path.write_bytes(content)
        return path
