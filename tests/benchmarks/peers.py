"""Peers: what a user could take instead, beside ours in the same run; each is left out where it isn't installed."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from . import events
from .bench import Bench
from .figures import Row, spaced
from .processes import ROOT, Process, Talking, free_port, wait_for
from .single_rows import Load

_EXEC = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
_NOTE = "under original: {}"
_REDIS = "apt-get install redis-server webdis wrk"
# Their pins clash with ours.
_PYTHON = ROOT / ".peers" / "bin" / "python"
_PYTHON_PACKAGES = (
    'python3 -m venv .peers && .peers/bin/pip install "numpy<2" "pandas<2.3" "pyarrow<20" whylogs nannyml statsmodels'
)
_STATISTICS = {
    "whylogs": ("DataSummaryPreset", "a profile by whylogs"),
    "nannyml": ("DataDriftPreset", "UnivariateDriftCalculator of NannyML, by the same statistics"),
}


def measure(bench: Bench) -> None:
    if all(map(shutil.which, ("redis-server", "webdis", "wrk"))):
        _measure_rows(bench)
    else:
        bench.console.print(f"[yellow]webdis and Redis are left out: {_REDIS}")
    if _PYTHON.exists():
        _measure_batches(bench)
    else:
        bench.console.print(f"[yellow]whylogs and NannyML are left out: {_PYTHON_PACKAGES}", highlight=False)


def _measure_rows(bench: Bench) -> None:
    ours, _ = bench.both()
    directory = bench.new_directory("webdis")
    redis = bench.start(_redis(directory))
    webdis = bench.start(_Webdis(directory, redis.port))
    webdis.wait_up()
    load = Load(bench)
    note = _NOTE.format("webdis with Redis, appendfsync everysec")
    for connections in (1, 16, 64):
        row = Row("beside webdis", f"single rows: {connections} connections", "POSTs/s", note=note)
        for _ in bench.each_round(row):
            row.add(*(load.post(one, connections)["rate"] for one in (ours, webdis)))
    bench.end_group()
    bench.end_both()


class _Listening(Process):
    """A program that isn't Python's, and the port that it listens on."""

    def __init__(self, program: list[str], directory: Path, port: int) -> None:
        self.port = port
        super().__init__(["-c", _EXEC, *program], directory, f"{program[0]}.log")


def _redis(directory: Path) -> _Listening:
    port = free_port()
    options = {"port": port, "bind": "127.0.0.1", "appendonly": "yes", "appendfsync": "everysec", "save": ""}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return _Listening(["redis-server", *words], directory, port)


class _Webdis(_Listening):
    """webdis, which has Redis append each row to a list."""

    name = "webdis"
    method = "PUT"
    path = "/RPUSH/main"

    def __init__(self, directory: Path, redis_port: int) -> None:
        port = free_port()
        config = {"redis_host": "127.0.0.1", "redis_port": redis_port, "http_host": "127.0.0.1", "http_port": port}
        config |= {"threads": 2, "pool_size": 8, "daemonize": False, "acl": [{"enabled": ["*"]}]}
        (directory / "webdis.json").write_text(json.dumps(config | {"logfile": "webdis.log"}), encoding="utf-8")
        super().__init__(["webdis", "webdis.json"], directory, port)

    def wait_up(self) -> None:
        def is_up() -> bool:
            self.check_runs()
            with suppress(httpx.TransportError):
                return self._get("/PING").status_code == 200
            return False

        wait_for(is_up, "webdis")

    def reset(self) -> None:
        self._get("/DEL/main").raise_for_status()

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=60)


def _measure_batches(bench: Bench) -> None:
    ours, theirs = (
        bench.start(Talking(arguments, bench.new_directory(name), f"{name}.log", talks=True))
        for name, arguments in (
            ("reports", [str(Path(__file__).with_name("in_turn.py"))]),
            ("peers", ["-c", _EXEC, str(_PYTHON), str(Path(__file__).with_name("peer.py"))]),
        )
    )
    rows = 10_000 if bench.is_quick else 100_000
    for peer, (preset, note) in _STATISTICS.items():
        name = f"{spaced(rows)} x {len(events.frame(1).columns)} {preset}, of a second of processor time"
        limit_is = "Report.run and its dump alone"
        row = Row(f"beside {peer}", name, "rows/s", limit_is=limit_is, note=_NOTE.format(note))
        theirs.ask(peer=peer, rows=rows)  # warm
        for _ in bench.each_round(row):
            mine = ours.ask(generation="modern", preset=preset, rows=rows)
            row.add(rows / mine["ours"], rows / _seconds(theirs.ask(peer=peer, rows=rows)), rows / mine["limit"])


def _seconds(answer: Any) -> float:
    return float(answer["seconds"])
