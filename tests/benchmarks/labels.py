"""Labels: what it costs to accept them beside events, to join them, and to wait for them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from . import events
from .bench import Bench
from .figures import Row, at_least, at_most, spaced
from .processes import run_script, wait_for
from .services import NEVER, ROW_COUNT, Ours, collector

_KEY, _LABEL = "request_id", "churned"
_SAME = "the same bodies as events, to the same service; of both, in a second of the daemon's processor time"
_BATCHES = 10
_BODY_ROWS = 100_000


def measure(bench: Bench) -> None:
    _measure_accepting(bench)
    _measure_joining(bench)
    _measure_waiting(bench)


def _config(rows_count: int) -> dict[str, Any]:
    labels = {"key": _KEY, "columns": [_LABEL], "wait": "7d", "report_config": ROW_COUNT}
    trigger = {"type": "RowsCountTrigger", "rows_count": rows_count}
    main = collector(report_config=ROW_COUNT, reference_path=None, trigger=trigger, dashboard=False, labels=labels)
    return {"collectors": {"main": main}, "retention": {"batches": 0}}


def _rows(count: int, first: int = 0) -> dict[str, list[Any]]:
    return {_KEY: [f"request-{number:09}" for number in range(first, first + count)], _LABEL: [0, 1] * (count // 2)}


def _measure_accepting(bench: Bench) -> None:
    """Measure in turn, on one service: a label costs no more than its key's check, and what it is kept by."""
    ours = bench.start(Ours(bench.new_directory("labels"), _config(NEVER)))
    ours.wait_accepting(pause=0.1)
    columns = _rows(10_000)
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    cases = [
        ("16 connections, one each", "POSTs/s", 16, 1, json.dumps(records[:1]), 0.87),
        ("10 000 in a body of records", "rows/s", 1, 10_000, json.dumps(records), 0.95),
        ("10 000 in a body of columns", "rows/s", 1, 10_000, json.dumps(columns), 0.95),
    ]
    rows = [Row("labels", name, unit, at_least(bound, "limit"), _SAME) for name, unit, *_, bound in cases]
    for _ in bench.each_round(*rows):
        for row, (_, _, connections, count, body, _) in zip(rows, cases, strict=True):
            rates = [_rate(bench, ours, what, connections, body) * count for what in ("labels", "data")]
            row.add(rates[0], limit=rates[1])
    bench.end_group()


def _rate(bench: Bench, ours: Ours, what: str, connections: int, body: str) -> float:
    """Return the POSTs that are answered in a second of the daemon's own time, as others have the processors too."""
    path = _written(bench, events.request(f"/main/{what}", body.encode()))
    run_script("load.py", ours.port, connections, 0.5, path)  # warm
    ours.wait_calm()
    before = ours.cpu_seconds()
    done = run_script("load.py", ours.port, connections, max(1.0, bench.seconds(3)), path)
    _check(done)
    return float(done["posts"] / (ours.cpu_seconds() - before))


def _measure_joining(bench: Bench) -> None:
    rows, labels = (1_000_000, 100_000) if bench.is_quick else (10_000_000, 1_000_000)
    what, scale = f"{spaced(labels)} joined to {spaced(rows)} rows of 11 columns", rows / 10_000_000
    seconds = Row("labels", f"{what}, processor time", "s", at_most(10 * scale))
    keys = Row("labels", f"{what}: the keys of these rows, once", "s")
    peak = Row("labels", f"{what}, memory", "MB", at_most(1_000))
    for _ in bench.each_round(seconds, keys, peak):
        directory = bench.new_directory("join")
        run_script("join.py", "make", directory, rows, labels)
        done = run_script("join.py", "join", directory)
        if done["rows"] != labels:
            raise RuntimeError(f"{done['rows']} rows have labels")
        seconds.add(done["join"])
        keys.add(done["index"])
        peak.add(done["peak"])


def _measure_waiting(bench: Bench) -> None:
    """Measure the daemon's peak from the first row on, until a tenth of all rows has labels."""
    rows = 1_000_000 if bench.is_quick else 10_000_000
    ours = bench.start(Ours(bench.new_directory("waiting"), _config(rows // _BATCHES)))
    ours.wait_accepting(pause=0.1)
    ours.wait_calm()
    row = Row(
        "memory", f"peak of the daemon, {spaced(rows)} rows wait for labels", "MB", at_most(200), "when it is empty"
    )
    empty = ours.memory
    ours.forget_peak()
    for first in range(0, rows, _BODY_ROWS):
        _post(bench, ours, "data", _rows(_BODY_ROWS, first))
    for first in range(0, rows // 10, _BODY_ROWS // 10):
        _post(bench, ours, "labels", _rows(_BODY_ROWS // 10, first * 10))
    wait_for(lambda: _labelled(ours) >= rows // 10, "labels to be found", seconds=900)
    row.add(ours.peak_memory, limit=empty)
    bench.take(row)


def _labelled(ours: Ours) -> int:
    [found] = ours.http.get("/").json()["collectors"]
    return int(found["labels"]["labelled_rows"])


def _post(bench: Bench, ours: Ours, what: str, columns: dict[str, list[Any]]) -> None:
    table = pa.table({name: values for name, values in columns.items() if what == "labels" or name == _KEY})
    if what == "data":
        table = table.append_column("score", pa.array(np.linspace(0, 1, len(table))))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    path = _written(bench, events.request(f"/main/{what}", sink.getvalue(), events.ARROW))
    _check(run_script("load.py", ours.port, 1, NEVER, path, 1))


def _written(bench: Bench, request: bytes) -> Path:
    path = bench.directory / "request"
    path.write_bytes(request)
    return path


def _check(done: dict[str, Any]) -> None:
    if set(done["statuses"]) != {"201"}:
        raise RuntimeError(f"labels: {done['statuses']}")
