"""Memory: of the daemon with millions of rows open, and the longest wait for an answer then."""

from __future__ import annotations

import time

from . import events
from .bench import Bench
from .figures import Row, at_most, spaced
from .probing import Prober
from .processes import run_script
from .services import NEVER, ROW_COUNT, Original, Ours, Service, collector

_BODY_ROWS = 100_000


def measure(bench: Bench) -> None:
    rows = 1_000_000 if bench.is_quick else 10_000_000
    _measure_open_rows(bench, 1, rows)
    _measure_open_rows(bench, 100, rows)
    _measure_beside_the_original(bench, 200_000 if bench.is_quick else 1_000_000)


def _measure_open_rows(bench: Bench, collectors: int, rows: int) -> None:
    """Measure the peak: from the first row on, not only once all are there."""
    ids = [f"collector-{number}" for number in range(collectors)]
    config = {"collectors": {one: collector(report_config=ROW_COUNT) for one in ids}}
    ours = bench.start(Ours(bench.new_directory("ours"), config))
    ours.wait_accepting(ids[0], pause=0.1)
    ours.wait_calm()
    name = f"peak of the daemon, {spaced(rows)} rows open in {collectors} collector{'s' if collectors > 1 else ''}"
    row = Row("memory", name, "MB", at_most(200), "the daemon when it is empty")
    body_rows = min(_BODY_ROWS, rows // collectors)
    for _ in range(1):  # memory is the same in each round
        empty = ours.memory
        ours.forget_peak()
        for one in ids:
            _fill(bench, ours, one, rows // collectors, events.arrow_body(body_rows), body_rows, events.ARROW)
        ours.wait_calm()
        row.add(ours.peak_memory, limit=empty)
    bench.take(row)
    bench.end_group()


def _measure_beside_the_original(bench: Bench, rows: int) -> None:
    ours, original = bench.both()
    each = Row("memory", f"of an open row ({spaced(rows)} in posts of 1 000)", "bytes", at_most(1, "original"))
    pause = Row("longest pause", f"{spaced(rows)} rows open, POSTs of a row", "s", at_most(0.020))
    memory = [_memory_each(bench, service, rows) for service in (ours, original)]
    each.add(*memory)
    bench.take(each)
    for _ in bench.each_round(pause):
        pause.add(*(_longest_answer(bench, service) for service in (ours, original)))


def _memory_each(bench: Bench, service: Service, rows: int) -> float:
    before = service.memory
    _fill(bench, service, "main", rows, events.json_body(1_000), 1_000)
    service.wait_calm()
    return (service.memory - before) * 1e6 / rows


def _longest_answer(bench: Bench, service: Ours | Original) -> float:
    """Return the longest answer to POSTs on one connection, the next after the last, over some seconds."""
    request = events.request("/main/data", events.json_body(1))
    begun = time.monotonic()
    with Prober(bench, service, "turn", 0, request) as prober:
        time.sleep(3 if bench.is_quick else 10)
        return prober.stop().within(begun, time.monotonic())[-1]


def _fill(
    bench: Bench, service: Service, collector_id: str, rows: int, body: bytes, body_rows: int, kind: str = events.JSON
) -> None:
    path = bench.directory / "request"
    path.write_bytes(events.request(f"/{collector_id}/data", body, kind))
    done = run_script("load.py", service.port, 1, NEVER, path, rows // body_rows)
    if set(done["statuses"]) != {"201"}:
        raise RuntimeError(f"{service.name}: {done['statuses']}")
