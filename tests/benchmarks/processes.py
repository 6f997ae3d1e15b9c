"""Processes that a run starts: each ends with it, however it ends."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 120.0
_CLAIMED = 10**9


class Process:
    """A child process; what it says goes into a file beside it."""

    def __init__(self, arguments: list[str], directory: Path, log: str, *, talks: bool = False) -> None:
        pipe = subprocess.PIPE if talks else subprocess.DEVNULL
        self.log_path = directory / log
        self.begun = time.monotonic()
        with self.log_path.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=directory,
                env=_environment(),
                stdin=pipe,
                stdout=pipe if talks else file,
                stderr=file,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  # started from the one thread there is
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, by force if it doesn't by itself."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._process.send_signal(number)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_ended(self) -> None:
        """Wait until it ends by itself."""
        self._process.wait(_PATIENCE)

    def check_runs(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"it ended: {self.log_path.read_text(encoding='utf-8')[-2000:]}")

    @property
    def memory(self) -> float:
        """Its resident memory in MB."""
        return self._status("VmRSS")

    @property
    def peak_memory(self) -> float:
        """Its largest resident memory in MB since ``forget_peak``."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        (self._files / "clear_refs").write_text("5", encoding="ascii")  # proc(5)

    def cpu_seconds(self, *, with_children: bool = False) -> float:
        """Return the processor time that it took so far."""
        pids = [str(self.pid), *(self._children() if with_children else ())]
        return sum(map(_cpu_seconds, pids))

    @property
    def _files(self) -> Path:
        return Path("/proc") / str(self.pid)

    def _status(self, name: str) -> float:
        lines = (self._files / "status").read_text(encoding="ascii").splitlines()
        [kilobytes] = [line.split()[1] for line in lines if line.startswith(name + ":")]
        return int(kilobytes) * 1024 / 1e6

    def _children(self) -> list[str]:
        return [pid for file in self._files.glob("task/*/children") for pid in file.read_text().split()]

    def wait_calm(self, seconds: float = 60) -> None:
        """Wait until it and its children have nothing left to do, so that what comes next has the machine."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before, begun = self.cpu_seconds(with_children=True), time.monotonic()
            time.sleep(0.3)
            if self.cpu_seconds(with_children=True) - before < 0.1 * (time.monotonic() - begun):
                return


class Talking(Process):
    """A child that takes orders as lines of JSON and answers each by one."""

    def ask(self, **order: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return self.hear()

    def hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"no answer: {self.log_path.read_text(encoding='utf-8')[-2000:]}")
        return json.loads(line)


def run_script(name: str, *arguments: object) -> Any:
    """Run one of the scripts beside this file to its end, and return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(name)), *map(str, arguments)],
        env=_environment(),
        stdout=subprocess.PIPE,
        check=True,
        preexec_fn=_end_with_parent,
    )
    return json.loads(done.stdout)


def wait_for(check: Callable[[], Any], what: str, pause: float = 0.05, seconds: float = _PATIENCE) -> Any:
    """Return the first true value that ``check`` gives."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := check():
            return value
        time.sleep(pause)
    raise TimeoutError(f"{what} didn't come in {seconds:g} s")


def claim_memory() -> None:
    """Have the machine give us some memory, and leave it to whoever comes next.

    A virtual machine gives what nobody uses back to its host in a few seconds, and gets it anew at 13 us a page, where
    one takes 1 us to write: a load that comes to a calm machine would measure that.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    mmap.mmap(-1, _CLAIMED, flags).close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    """Return the environment of a user who has compiled modules and wants no telemetry."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVIDENTLY_COLLECTOR_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {"PYTHONPATH": str(ROOT), "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}


def _end_with_parent() -> None:
    """Have the kernel end this process should the benchmark be killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _cpu_seconds(pid: str) -> float:
    with suppress(OSError):
        fields = (Path("/proc") / pid / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0
