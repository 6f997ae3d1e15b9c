"""Many small reports: what each takes in all, and whether 500 collectors with a batch a minute are kept up with."""

from __future__ import annotations

import math
import re
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Sequence

from . import events
from .bench import Bench
from .figures import Row, at_most, spaced
from .processes import wait_for
from .services import MODERN_DRIFT, NEVER, Ours, collector

_ROWS = 1_000
_INTERVAL = 60.0
_COLLECTORS = 500
_CORES = 2
_AFFORDED = _CORES * _INTERVAL / _COLLECTORS  # seconds of processor time for a snapshot
_LATE = 5
_LATENESS = "evidently_collector_trigger_lateness_seconds"


def measure(bench: Bench) -> None:
    _measure_one(bench)
    bench.end_group()
    if not bench.is_quick:
        _measure_minutes(bench, 30 if bench.is_long else 5)


def _measure_one(bench: Bench) -> None:
    """Measure the processor time of daemon and workers for a snapshot, with collectors that are all due at once."""
    ids = _ids(10 if bench.is_quick else 40)
    ours = _start(bench, ids, NEVER)
    name = f"{spaced(_ROWS)} x 20 DataDriftPreset, processor time from POST to workspace"
    row = Row("many reports", name, "s", at_most(_AFFORDED))
    for _ in range(3):  # until each worker has most references
        _evaluate(ours, ids)
    for _ in bench.each_round(row):
        before = ours.cpu_seconds(with_children=True)
        _evaluate(ours, ids)
        row.add((ours.cpu_seconds(with_children=True) - before) / len(ids))


def _measure_minutes(bench: Bench, minutes: int) -> None:
    """Measure how late triggers are, and whether batches pile up, where each collector is due each minute."""
    ids = _ids(_COLLECTORS)
    ours = _start(bench, ids, _INTERVAL)
    _evaluate(ours, ids)  # the first report of each makes its dashboard, too
    what = f"{_COLLECTORS} collectors with {spaced(_ROWS)} rows a minute, {minutes} minutes"
    late = Row("many reports", f"{what}: trigger lateness, p99 is at most", "s", at_most(_LATE))
    name = f"{what}: batches that are sealed, mean of the last third of the minutes"
    growth = Row("many reports", name, "", at_most(1.1, "limit"), "that of as many after the first minute")
    begun, before, sealed = time.monotonic(), _lateness(ours), []
    for minute in range(minutes):
        for number, one in enumerate(ids):
            time.sleep(max(0.0, begun + (minute + number / len(ids)) * _INTERVAL - time.monotonic()))
            ours.post(events.arrow_body(_ROWS), events.ARROW, one)
        waiting = _sealed(ours)
        sealed.append(sum(waiting))
        told = f"minute {minute + 1}: {sealed[-1]} batches sealed, of one collector {min(waiting)} to {max(waiting)}"
        bench.console.print(f"[dim]{told}; the daemon holds {ours.memory:.0f} MB", highlight=False)
    fired = {bound: count - before[bound] for bound, count in _lateness(ours).items()}
    late.add(min(bound for bound, count in fired.items() if count >= 0.99 * fired[math.inf]))
    third = minutes // 3
    growth.add(statistics.mean(sealed[-third:]), limit=max(statistics.mean(sealed[1 : third + 1]), 1))
    bench.take(late)
    bench.take(growth)


def _ids(count: int) -> list[str]:
    return [f"collector-{number}" for number in range(count)]


def _start(bench: Bench, ids: Sequence[str], interval: float) -> Ours:
    trigger = {"type": "IntervalTrigger", "interval": interval}
    config = {"collectors": {one: collector(report_config=MODERN_DRIFT, trigger=trigger) for one in ids}}
    directory = bench.new_directory("ours")
    events.frame(_ROWS, seed=1).to_parquet(directory / "reference.parquet")
    for one in ids:
        path = f"reference-{one}.parquet"
        shutil.copy(directory / "reference.parquet", directory / path)
        config["collectors"][one]["reference_path"] = path
    ours = bench.start(Ours(directory, config))
    ours.wait_accepting(ids[0], pause=0.1)
    _evaluate(ours, ids[:1])  # Evidently is loaded then
    ours.wait_calm(len(ids) + 60)  # each report is computed over its own reference first
    return ours


def _evaluate(ours: Ours, ids: Sequence[str]) -> None:
    """Have each collector report on a batch of its own, and wait for the last to be delivered."""
    for one in ids:
        ours.post(events.arrow_body(_ROWS), events.ARROW, one)
        ours.http.post(f"/{one}/flush").raise_for_status()
    wait_for(lambda: _is_idle(ours), "the snapshots", pause=0.5, seconds=len(ids) + 300)


def _is_idle(ours: Ours) -> bool:
    found = ours.http.get("/").raise_for_status().json()["collectors"]
    return not any(one["rows_waiting"] or one["sealed"] or one["outbox"] or one["failed"] for one in found)


def _sealed(ours: Ours) -> list[int]:
    return [one["sealed"] for one in ours.http.get("/").raise_for_status().json()["collectors"]]


def _lateness(ours: Ours) -> dict[float, float]:
    """Return how many triggers fired at most so many seconds late, of all collectors."""
    counts: Counter[float] = Counter()
    told = ours.http.get("/metrics").raise_for_status().text
    for bound, count in re.findall(rf'^{_LATENESS}_bucket{{[^}}]*le="([^"]+)"[^}}]*}} (\S+)', told, re.MULTILINE):
        counts[float(bound)] += float(count)
    return dict(counts)
