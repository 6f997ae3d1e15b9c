"""Evaluation: from trigger to a snapshot that a running Evidently UI lists, beside the bare run on the same rows."""

from __future__ import annotations

import time
from pathlib import Path

from . import events
from .bench import Bench
from .figures import Row, at_most
from .processes import Talking, wait_for
from .services import MODERN_DRIFT, UI, Original, Ours, collector

ROWS = 100_000
_POSTS = 10  # what the original takes in one body ends at 10 MB
_BARE = "the bare Report.run and its dump in a warm process"


def measure(bench: Bench) -> None:
    _measure_modern(bench)
    bench.end_group()
    _measure_legacy(bench)


def _measure_modern(bench: Bench) -> None:
    bare = start_bare(bench, "modern")
    ui, project = start_ui(bench, "ui")
    config = collector(report_config=MODERN_DRIFT, api_url=ui.url, project_id=project)
    ours = _start(bench, Ours(bench.new_directory("ours"), {"collectors": {"main": config}}))
    name = "100 000 x 20 DataDriftPreset, trigger to visible"
    row = Row("evaluation", f"{name}, modern", "s", at_most(1.1, "limit"), _BARE)
    aim = Row("evaluation", f"{name}, modern: the aim", "s", at_most(0.55, "limit"), _BARE)
    evaluate_ours(ours, ui, project)  # warm
    for _ in bench.each_round(row, aim):
        taken, alone = evaluate_ours(ours, ui, project), bare.ask(do="time", times=1)
        row.add(taken, limit=alone)
        aim.add(taken, limit=alone)


def _measure_legacy(bench: Bench) -> None:
    bare = start_bare(bench, "legacy")
    ui, project = start_ui(bench, "legacy_ui")
    config = collector(api_url=ui.url, project_id=project)
    ours = _start(bench, Ours(bench.new_directory("ours"), {"collectors": {"main": config}}))
    trigger = {"type": "evidently:collector_trigger:RowsCountTrigger", "rows_count": _POSTS}
    theirs = {"collectors": {"main": config | {"trigger": trigger}}}
    original = _start(bench, Original(bench.new_directory("original"), theirs))
    name = "100 000 x 20 DataDriftPreset, trigger to visible, legacy"
    row = Row("evaluation", name, "s", at_most(1.1, "limit"), _BARE)
    evaluate_ours(ours, ui, project)  # warm
    evaluate_original(original, ui, project)
    for _ in bench.each_round(row):
        taken = evaluate_ours(ours, ui, project)
        row.add(taken, evaluate_original(original, ui, project), bare.ask(do="time", times=1))


def _start(bench: Bench, service: Ours | Original) -> Ours | Original:
    bench.start(service)
    service.wait_accepting(pause=0.1)
    service.reset()
    return service


def evaluate_ours(ours: Ours | Original, ui: UI, project: str) -> float:
    """Return the seconds from the order to evaluate what waits to a snapshot that is listed."""
    ours.post(events.arrow_body(ROWS), events.ARROW)
    ours.wait_calm()
    before, begun = ui.snapshots(project), time.monotonic()
    ours.http.post("/main/flush").raise_for_status()
    return _visible(ui, project, before, begun)


def evaluate_original(original: Ours | Original, ui: UI, project: str) -> float:
    """Return the seconds from the POST that its trigger waits for to a snapshot that is listed."""
    body = events.json_body(ROWS // _POSTS)
    original.reset()
    before = ui.snapshots(project)
    for _ in range(_POSTS):
        original.post(body)
    return _visible(ui, project, before, time.monotonic())


def _visible(ui: UI, project: str, before: int, begun: float) -> float:
    wait_for(lambda: ui.snapshots(project) > before, "the snapshot")
    return time.monotonic() - begun


def start_bare(bench: Bench, generation: str) -> Talking:
    """Start a process that times the bare run."""
    directory = bench.new_directory("bare")
    events.frame(ROWS).to_parquet(directory / "current.parquet")
    events.frame(ROWS, seed=1).to_parquet(directory / "reference.parquet")
    script = str(Path(__file__).with_name("warm.py"))
    bare = bench.start(Talking([script], directory, "bare.log", talks=True))
    bare.ask(do="bare_run", arguments=[generation, "current.parquet", "reference.parquet"])
    return bare


def start_ui(bench: Bench, command: str) -> tuple[UI, str]:
    ui = bench.start(UI(bench.new_directory(command), command))
    ui.wait_up()
    return ui, ui.make_project("benchmark")
