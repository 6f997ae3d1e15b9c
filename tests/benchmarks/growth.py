"""Growth: the cost of a row as rows grow, and of a collector as collectors grow; both should be flat."""

from __future__ import annotations

import re
import statistics
import time

from . import events
from .bench import Bench
from .figures import Row, at_most, spaced
from .processes import run_script, wait_for
from .services import NEVER, ROW_COUNT, Ours, collector

_LATENESS = "evidently_collector_trigger_lateness_seconds"
_INTERVAL = 5.0
_MEASURED_POSTS = 200


def measure(bench: Bench) -> None:
    _measure_rows(bench)
    bench.end_group()
    _measure_collectors(bench)


def _measure_rows(bench: Bench) -> None:
    """Measure what a row costs when so many are open already."""
    ours = bench.start(Ours(bench.new_directory("ours"), {"collectors": {"main": collector()}}))
    ours.wait_accepting(pause=0.1)
    ours.reset()
    most = 100_000 if bench.is_quick else 10_000_000 if bench.is_long else 1_000_000
    counts = [10**power for power in range(3, 8) if 10**power <= most]
    points = []
    for rows, before in zip(counts, [0, *counts], strict=False):
        _post(bench, ours, "main", (rows - before) // 1_000)
        ours.wait_calm()
        done = _post(bench, ours, "main", _MEASURED_POSTS)
        ours.wait_calm()
        points.append({"rows": rows, "seconds": statistics.median(done) / 1_000, "megabytes": ours.memory})
    bench.growth["rows"] = points
    name = f"a row with {spaced(most)} open, beside one with 1 000"
    row = Row("growth", name, "s", at_most(1.25, "limit"), "the same with 1 000 open")
    row.add(points[-1]["seconds"], limit=points[0]["seconds"])
    bench.take(row)


def _post(bench: Bench, ours: Ours, collector_id: str, posts: int) -> list[float]:
    path = bench.directory / "request"
    path.write_bytes(events.request(f"/{collector_id}/data", events.json_body(1_000)))
    done = run_script("load.py", ours.port, 1, NEVER, path, posts)
    if set(done["statuses"]) != {"201"}:
        raise RuntimeError(done["statuses"])
    return list(done["each"])


def _measure_collectors(bench: Bench) -> None:
    counts = (1, 10, 100) if bench.is_quick else (1, 10, 100, 1_000)
    _with_collectors(bench, 1)  # warm
    points: list[dict[str, float]] = []
    for count in counts:
        bench.console.print(f"[dim]growth: {spaced(count)} collectors", highlight=False)
        points.append({"collectors": count} | _with_collectors(bench, count))
    bench.growth["collectors"] = points
    fewer, most = points[-2:]
    for name, unit, what in (
        ("start to first accepted POST", "s", "start"),
        ("memory of the daemon", "MB", "megabytes"),
        ("idle processor time", "% of a core", "idle"),
        ("trigger lateness, all due at once", "s", "lateness"),
    ):
        title = f"{name}, for each of {spaced(most['collectors'])} collectors"
        limit_is = f"the same for each of {spaced(fewer['collectors'])}"
        row = Row("growth", title, unit, at_most(1.25, "limit"), limit_is)
        row.add(most[what] / most["collectors"], limit=fewer[what] / fewer["collectors"])
        bench.take(row)


def _with_collectors(bench: Bench, count: int) -> dict[str, float]:
    """Measure a daemon with so many collectors, each with an interval that ends for all at the same time."""
    trigger = {"type": "IntervalTrigger", "interval": _INTERVAL}
    ids = [f"collector-{number}" for number in range(count)]
    config = {"collectors": {one: collector(report_config=ROW_COUNT, trigger=trigger) for one in ids}}
    ours = bench.start(Ours(bench.new_directory("ours"), config))
    ours.wait_accepting(ids[0])
    start = time.monotonic() - ours.begun
    ours.wait_calm(120)
    megabytes, idle = ours.memory, _idle(ours)
    lateness = _lateness(ours, ids)
    bench.end_group()
    return {"start": start, "megabytes": megabytes, "idle": idle, "lateness": lateness}


def _idle(ours: Ours) -> float:
    """Return the percentage of a core that it takes with nothing to do but look, once for each collector."""
    before = ours.cpu_seconds()
    time.sleep(_INTERVAL)
    return 100 * (ours.cpu_seconds() - before) / _INTERVAL


def _lateness(ours: Ours, ids: list[str]) -> float:
    """Return the mean lateness of the next trigger of each collector, all with a row."""
    before, seconds = _late(ours)
    for one in ids:
        ours.post(events.json_body(1), collector_id=one)
    wait_for(lambda: _are_sealed(ours), "the triggers", pause=0.25)
    count, sum_ = _late(ours)
    return (sum_ - seconds) / (count - before)


def _are_sealed(ours: Ours) -> bool:
    """Tell whether no row is open; to ask for the metrics of a thousand collectors would hold the triggers up."""
    status = ours.http.get("/").raise_for_status().json()
    return not any(one["rows_waiting"] for one in status["collectors"])


def _late(ours: Ours) -> tuple[float, float]:
    """Give how often triggers fired, and their lateness added up."""
    told = ours.http.get("/metrics").raise_for_status().text
    return tuple(  # type: ignore[return-value]  # two
        sum(float(value) for value in re.findall(rf"^{_LATENESS}_{kind}\S* (\S+)", told, re.MULTILINE))
        for kind in ("count", "sum")
    )
