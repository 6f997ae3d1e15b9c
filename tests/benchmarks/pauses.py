"""Pauses: how long one large POST keeps all others waiting, and the memory that it takes."""

from __future__ import annotations

import time

from . import events
from .bench import Bench
from .figures import Row, at_most
from .probing import LIVEZ, Prober, Probes
from .processes import run_script
from .services import NEVER, Ours, Service

POSTS = 3
_CALM = "the longest answer without such a POST"


def measure(bench: Bench) -> None:
    ours, original = bench.both()
    arrow_rows = 100_000_000 * 10_000 // len(events.arrow_body(10_000))
    json_request = events.request("/main/data", events.json_body(20_000))
    arrow_request = events.request("/main/data", events.arrow_body(arrow_rows), events.ARROW)
    as_json = Row("longest pause", "10 MB JSON body is posted", "s", at_most(0.005), _CALM)
    as_arrow = Row("longest pause", "100 MB Arrow body is posted", "s", at_most(0.005), _CALM)
    peak = Row("memory", "peak of the daemon while a 100 MB Arrow body is posted", "MB", at_most(200))
    for _ in bench.each_round(as_json, as_arrow, peak):
        pause, calm = _longest(bench, ours, json_request, LIVEZ)
        theirs, _ = _longest(bench, original, json_request, b"GET /main HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        as_json.add(pause, theirs, calm)
        ours.forget_peak()
        pause, calm = _longest(bench, ours, arrow_request, LIVEZ)
        peak.add(ours.peak_memory)
        as_arrow.add(pause, limit=calm)
        ours.reset()
        original.reset()


def _longest(bench: Bench, service: Service, request: bytes, probe: bytes) -> tuple[float, float]:
    """Return the longest answer to a probe every millisecond while a large body is posted, and before."""
    path = bench.directory / "request"
    path.write_bytes(request)
    with Prober(bench, service, "turn", 0.001, probe) as prober:
        time.sleep(1)
        begun = time.monotonic()
        done = run_script("load.py", service.port, 1, NEVER, path, POSTS)
        ended = time.monotonic()
        probes: Probes = prober.stop()
    if set(done["statuses"]) != {"201"}:
        raise RuntimeError(f"{service.name}: {done['statuses']}")
    if isinstance(service, Ours):
        service.wait_calm()
    return probes.within(begun, ended)[-1], probes.within(begun - 1, begun)[-1]
