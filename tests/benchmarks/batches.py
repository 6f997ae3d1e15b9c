"""Batches: POSTs of many rows, as column JSON and as Arrow, from a generator in another process."""

from __future__ import annotations

from pathlib import Path

from . import events, limits
from .bench import Bench
from .figures import Row, at_least, spaced
from .processes import claim_memory, run_script
from .services import Service

_JSON_LIMIT = "checking the JSON by msgspec and appending it to a file, one after the other"
_ARROW_LIMIT = "reading the Arrow stream and appending it to a file, one after the other"


def measure(bench: Bench) -> None:
    ours, original = bench.both()
    for connections in (1, 4):
        name = f"{connections} connection{'s' if connections > 1 else ''}"
        small, large = (
            Row(
                "column JSON",
                f"{spaced(rows)} rows, {name}",
                "rows/s",
                at_least(times, "original"),
                _JSON_LIMIT,
            )
            for rows, times in ((1_000, 2.5), (10_000, 3))
        )
        arrow, larger_arrow = (
            Row(
                "Arrow",
                f"{spaced(rows)} rows, {name}",
                "rows/s",
                at_least(15, "original"),
                _ARROW_LIMIT,
                "the original's: column JSON, 10 000 rows",
            )
            for rows in (10_000, 100_000)
        )
        for _ in bench.each_round(small, large, arrow, larger_arrow):
            for row, rows in ((small, 1_000), (large, 10_000)):
                mine, theirs = (_post_json(bench, service, rows, connections) for service in (ours, original))
                row.add(mine, theirs, _json_limit(bench, rows))
            for row, rows in ((arrow, 10_000), (larger_arrow, 100_000)):
                row.add(_post_arrow(bench, ours, rows, connections), large.original[-1], _arrow_limit(bench, rows))


def _post_json(bench: Bench, service: Service, rows: int, connections: int) -> float:
    return _post(bench, service, events.request("/main/data", events.json_body(rows)), rows, connections)


def _post_arrow(bench: Bench, service: Service, rows: int, connections: int) -> float:
    request = events.request("/main/data", events.arrow_body(rows), events.ARROW)
    return _post(bench, service, request, rows, connections)


def _post(bench: Bench, service: Service, request: bytes, rows: int, connections: int) -> float:
    """Return the rows a second that a service takes."""
    path = _written(bench.directory / "request", request)
    run_script("load.py", service.port, connections, 0.3, path)  # warm
    claim_memory()
    done = run_script("load.py", service.port, connections, bench.seconds(2), path)
    service.reset()
    if set(done["statuses"]) != {"201"}:
        raise RuntimeError(f"{service.name}: {done['statuses']}")
    return float(done["posts"] * rows / done["seconds"])


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _json_limit(bench: Bench, rows: int) -> float:
    body = events.json_body(rows)
    return rows / (limits.parsing(body)["msgspec"] + limits.appending(body, bench.directory))


def _arrow_limit(bench: Bench, rows: int) -> float:
    body = events.arrow_body(rows)
    return rows / (limits.reading_arrow(body) + limits.appending(body, bench.directory))
