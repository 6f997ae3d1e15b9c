"""Promise 13: under a steady load with a fault a minute no row is lost, and memory, threads, files and disk stay flat.

Two daemons soak at once: one that is killed and restarted as well, and one that lives throughout, so that what it
leaks adds up.
"""

import contextlib
import os
import re
import signal
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from uis import UI

from ..conftest import BY_TALLY, interval_trigger, rows_trigger, service_config, wait_until
from .audit import Auditor
from .conftest import numbered, wait_for_delivery
from .ledger import Ledger, Load
from .shelf import Shelf

PROMISE = "13 soak"
SHORT = 10  # seconds, if none are given
EVERY = 60  # seconds from fault to fault
ROWS = 3  # of a POST
COLLECTORS = {"by time": interval_trigger(5), "by rows": rows_trigger(60)}
PAUSE = 0.3  # of two threads, of which one is our client: some 6 POSTs a second
SAMPLING = 0.5  # seconds
# The client's POSTs carry a key that is kept for a day: it, a digest, and an entry in an index.
KEY_BYTES, WITH_KEY = 300, 1 / 2
MB = 10**6


@dataclass(frozen=True)
class Curve:
    """How much the median of the last quarter may exceed that of the second: by a share, and by so much more."""

    share: float
    slack: float
    unit: float = 1


CURVES = {
    "disk, MB": Curve(0.1, 2 * MB, MB),
    "memory, MB": Curve(0.1, 5 * MB, MB),
    "largest worker, MB": Curve(0.1, 40 * MB, MB),
    # One more comes, and stays, when a report, a delivery to a directory and a check first meet; each has 4 open files.
    "workers": Curve(0, 2),
    "open files": Curve(0, 10),
    "threads": Curve(0, 5),
}
# A short run is nearly all warm-up: it shows that this works, and would show no leak but a large one.
MORE_SLACK = 10


def sample(daemon, posts):
    """Measure a daemon; ``posts`` is the number of POSTs so far."""
    me, workers = status_of(daemon.process.pid), workers_of(daemon)
    return {
        "disk, MB": sum(size_of(path) for path in daemon.data.rglob("*")),
        "memory, MB": me["VmRSS"] * 1024,
        "largest worker, MB": max((status_of(pid).get("VmRSS", 0) * 1024 for pid in workers), default=0),
        "workers": len(workers),
        "open files": len(list((daemon.process_files() / "fd").iterdir())),
        "threads": me["Threads"],
        "posts": posts,
    }


def size_of(path):
    with contextlib.suppress(FileNotFoundError):  # moved or removed meanwhile
        return path.stat().st_blocks * 512
    return 0


def status_of(pid):
    text = (Path("/proc") / str(pid) / "status").read_text()
    return {name: int(value) for name, value in re.findall(r"^(VmRSS|Threads):\s+(\d+)", text, re.MULTILINE)}


def workers_of(daemon):
    return [pid for pid, command in daemon.children().items() if "spawn_main" in command]


class Directory:
    """A workspace directory, reached by a link that can be made to lead nowhere."""

    def __init__(self, link):
        self.path = link.with_name("kept")
        self.path.mkdir(parents=True)
        self._link = link
        self.set_down(is_down=False)

    def set_down(self, *, is_down):
        scratch = self._link.with_name("scratch")
        scratch.symlink_to("nowhere" if is_down else self.path.name)
        scratch.replace(self._link)


class Service:
    """An ``evidently ui`` behind a proxy that can be made to answer 503."""

    def __init__(self, ui, make_proxy):
        self.path = ui.directory
        self._is_down = False
        self.url = make_proxy(ui.url, lambda *_: 503 if self._is_down else None).url

    def set_down(self, *, is_down):
        self._is_down = is_down


class Soak:
    """A daemon under load, the faults that it is given in turn, and what is measured meanwhile."""

    def __init__(self, name, daemon, workspace, faults, rng):
        self.name = name
        self.daemon = daemon
        self.workspace = workspace
        self.rng = rng
        self.faults = faults
        self.made = []
        self.samples = []
        self.ledger = Ledger()

    def run(self, seconds, every=None):
        """Soak for so long, by default with each fault once; returns what an auditor finds at the end."""
        every = every or seconds / len(self.faults)
        self.daemon.start()
        with Load(self.daemon.url, self.ledger, COLLECTORS, rows=ROWS, plain=1, clients=1, pause=PAUSE, is_large=True):
            begun = time.monotonic()
            while (at := (len(self.made) + 1 / 2) * every) < seconds:
                self.watch_until(begun + at)
                name, fault = list(self.faults.items())[len(self.made) % len(self.faults)]
                fault(self, every)
                self.made.append(name)
            self.watch_until(begun + seconds)
        wait_for_delivery(self.daemon, COLLECTORS)
        verdict = Auditor(self.daemon.data, self.workspace.path).judge(self.ledger)
        self.daemon.stop()
        return verdict

    def watch_until(self, end):
        while time.monotonic() < end:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a worker ended meanwhile
                self.samples.append(sample(self.daemon, len(self.ledger.sent)))
            time.sleep(SAMPLING)

    def compare(self, more_slack):
        """Give for each curve the medians of its second and last quarter, its maximum, and what the last may be."""
        quarter = len(self.samples) // 4
        second, last = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        keys = (median(last, "posts") - median(second, "posts")) * WITH_KEY * KEY_BYTES
        for name, curve in CURVES.items():
            before, after = median(second, name), median(last, name)
            allowed = before * (1 + curve.share) + curve.slack * more_slack + (keys if name.startswith("disk") else 0)
            yield name, before, after, max(one[name] for one in self.samples), allowed


def median(samples, name):
    return statistics.median(one[name] for one in samples)


def kill(soak, every):
    soak.daemon.kill()
    soak.daemon.start()


def kill_worker(soak, every):
    [worker] = soak.rng.sample(wait_until(lambda: workers_of(soak.daemon), "a worker"), 1)
    os.kill(worker, signal.SIGKILL)


def take_workspace_down(soak, every):
    """Have it away for 20 s of a minute."""
    soak.workspace.set_down(is_down=True)
    soak.watch_until(time.monotonic() + every / 3)
    soak.workspace.set_down(is_down=False)


def stall(soak, every):
    """Have the daemon stand still for 5 s of a minute."""
    soak.daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(every / 12)
    soak.daemon.process.send_signal(signal.SIGCONT)


def restart(soak, every):
    soak.daemon.stop()
    soak.daemon.start()


LASTING = {"worker kills": kill_worker, "outages": take_workspace_down, "stalls": stall}
ENDING = {"kills": kill, **LASTING, "restarts": restart}


def config(**where):
    """Keep little of what is delivered, so that a curve that rises does so for another reason."""
    collectors = {name: numbered(trigger) | where for name, trigger in COLLECTORS.items()}
    kept = {"retention": {"batches": 2}, "storage": {"max_log_events": 10}}
    return service_config(collectors, spill_rows=25) | kept


def tell(soaks, figures, more_slack):
    """Enter the curves into the figures' table; returns the lines of those that have risen too far."""
    risen = []
    figures.table.append(f"{'medians of quarters':32}{'second':>10}{'last':>10}{'allowed':>10}{'maximum':>10}")
    for soak in soaks:
        for name, before, after, most, allowed in soak.compare(more_slack):
            numbers = [f"{value / CURVES[name].unit:10.1f}" for value in (before, after, allowed, most)]
            figures.table.append(f"{f'{soak.name}: {name}':32}{''.join(numbers)}")
            risen += [figures.table[-1]] if after > allowed else []
    return risen


@pytest.mark.slow  # each of its faults has a test of its own, and ten seconds show no leak
def test_a_steady_load_with_a_fault_a_minute_loses_no_row_and_leaves_nothing_behind(
    make_daemon, make_proxy, figures, rng, tmp_path, request
):
    """Asked for by its seconds, it is of Evidently and its UI; in its short form, of what stands in their places."""
    asked = request.config.option.soak
    seconds, every, more_slack = (asked, EVERY, 1) if asked else (SHORT, None, MORE_SLACK)
    where = tmp_path / "ui" / "workspace"
    evaluates = bool(asked) or BY_TALLY
    with contextlib.closing(UI("ui", where) if asked else Shelf(where)) as ui, ThreadPoolExecutor() as pool:
        link = tmp_path / "directory" / "workspace"
        directory, service = Directory(link), Service(ui, make_proxy)
        restarted = make_daemon(config(api_url=str(link)), directory="restarted", evaluates=evaluates)
        by_name = {"api_url": service.url, "project_id": None, "project_name": "soak"}
        lasting = make_daemon(config(**by_name), directory="lasting", evaluates=evaluates)
        soaks = [
            Soak("restarted", restarted, directory, ENDING, rng),
            Soak("lasting", lasting, service, LASTING, rng),
        ]
        verdicts = list(pool.map(lambda one: one.run(seconds, every), soaks))
    for soak, verdict in zip(soaks, verdicts, strict=True):
        figures.take(verdict)
        figures.faults.update(soak.made)
    figures.others["minutes"] = round(seconds / 60, 1)
    assert tell(soaks, figures, more_slack) == []


def test_a_curve_that_rises_is_told():
    soak = Soak("leaking", None, None, {}, None)
    soak.samples = [dict.fromkeys([*CURVES, "posts"], MB) | {"memory, MB": (100 + at) * MB} for at in range(40)]
    assert [name for name, _, after, _, allowed in soak.compare(1) if after > allowed] == ["memory, MB"]
