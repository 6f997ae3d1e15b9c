"""Beside reports: how long POSTs wait while a report runs, on the same collector or on another."""

from __future__ import annotations

import time

from . import events
from .bench import Bench
from .evaluation import ROWS, start_ui
from .figures import Row, at_most
from .probing import p99, post_pace
from .processes import wait_for
from .services import Original, Ours, Service, collector

_POSTS = 10
_CALM = "ours when calm"


def measure(bench: Bench) -> None:
    ui, project = start_ui(bench, "legacy_ui")
    main, other = collector(api_url=ui.url, project_id=project), collector()
    ours = bench.start(Ours(bench.new_directory("ours"), {"collectors": {"main": main, "other": other}}))
    # The original counts POSTs, so the first one after the batch begins its report.
    trigger = {"type": "evidently:collector_trigger:RowsCountTrigger", "rows_count": _POSTS + 1}
    config = {"collectors": {"main": main | {"trigger": trigger}, "other": other}}
    original = bench.start(Original(bench.new_directory("original"), config))
    for service in (ours, original):
        service.wait_accepting("other", pause=0.1)
    for service in (ours, original):
        _p99_beside(bench, service, "other")  # warm
    calm = Row("POSTs, p99", "200 a second, calm", "s", at_most(1, "original"))
    own = Row("POSTs, p99", "200 a second, own report runs", "s", at_most(2, "limit"), _CALM)
    others = Row("POSTs, p99", "200 a second, another's report runs", "s", at_most(2, "limit"), _CALM)
    for _ in bench.each_round(calm, own, others):
        calm.add(*(_p99_calm(bench, service) for service in (ours, original)))
        for row, probed in ((own, "main"), (others, "other")):
            mine, theirs = (_p99_beside(bench, service, probed) for service in (ours, original))
            row.add(mine, theirs, calm.ours[-1])


def _p99_calm(bench: Bench, service: Service) -> float:
    service.wait_calm()
    with post_pace(bench, service, "other") as prober:
        time.sleep(0.5)  # its connections are opened
        begun = time.monotonic()
        time.sleep(3)
        return p99(prober.stop().within(begun, time.monotonic()))


def _p99_beside(bench: Bench, service: Service, probed: str) -> float:
    """Return the p99 of POSTs to a collector from a report's trigger until it is delivered."""
    service.reset()
    _gather(service)
    before = _reports(service)
    with post_pace(bench, service, probed) as prober:
        time.sleep(0 if service.name == "original" and probed == "main" else 0.5)  # its first POST begins the report
        begun = time.monotonic()
        if isinstance(service, Ours):
            service.http.post("/main/flush").raise_for_status()
        elif probed != "main":
            service.post(events.json_body(1))
        wait_for(lambda: _reports(service) > before, f"{service.name}: a report", pause=0.1)
        ended = time.monotonic()
        seen = prober.stop().within(begun, ended)
    service.reset()
    return p99(seen)


def _gather(service: Service) -> None:
    for _ in range(_POSTS):
        service.post(events.json_body(ROWS // _POSTS))
    service.wait_calm()


def _reports(service: Service) -> int:
    logs = service.http.get("/main/logs").raise_for_status().json()
    if bad := [entry for entry in logs if not entry["ok"]]:
        raise RuntimeError(f"{service.name}: {bad[0]}")
    return sum(entry["type"] == "UploadReport" for entry in logs)
