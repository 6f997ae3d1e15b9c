"""The demo: a real service, real data and an embedded workspace, in a directory of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from collector.client import CollectorClient
from collector.config import CollectorConfig, CollectorServiceConfig, ReportConfig, RowsCountTrigger, Storage
from collector.errors import CollectorError
from collector.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

PROJECT = "Breast cancer (demo)"
BATCH_ROWS = 40
BATCHES = 6
# The last batches hold malignant cases only: a shift of the population, as when a model meets another clinic.
DRIFTED_BATCHES = 3
REFERENCE_ROWS = 200
SECONDS_PER_BATCH = 1.0
DRIFT_SHARE = 0.5  # Evidently's own, of the preset
PATIENCE = 240.0


def run_demo(directory: Path, console: Console) -> None:
    """Send a stream that drifts half-way to a collector, and show its snapshots as they come.

    Raises CollectorError if they don't come.
    """
    reference, stream = _load()
    directory.mkdir(parents=True, exist_ok=True)
    reference.to_parquet(directory / "reference.parquet")
    _config().save(directory / "collector_config.json")
    console.print(f"[bold]Evidently collector[/bold], at work in [cyan]{directory}/[/cyan]")
    console.print(f"  reference   {len(reference)} patients of scikit-learn's breast cancer data")
    console.print(
        f"  stream      {len(stream)} more, the last {DRIFTED_BATCHES * BATCH_ROWS} of them all with malignant tumours"
    )
    console.print(f"  collector   a snapshot with DataDriftPreset every {BATCH_ROWS} events\n")
    with _service(directory) as client, Live(console=console, refresh_per_second=8) as live:
        outcomes = _send_and_watch(client, stream, live)
    _say_goodbye(directory, outcomes, console)


def _load() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return reference and stream: random patients, and at the end of the stream only those with malignant tumours."""
    import pandas as pd
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    measured = data.frame[[name for name in data.feature_names if name.startswith("mean ")]]
    drifted = measured[data.target == 0].sample(DRIFTED_BATCHES * BATCH_ROWS, random_state=0)
    usual_rows = (BATCHES - DRIFTED_BATCHES) * BATCH_ROWS
    rest = measured.drop(drifted.index).sample(REFERENCE_ROWS + usual_rows, random_state=0)
    return rest[:REFERENCE_ROWS], pd.concat([rest[REFERENCE_ROWS:], drifted])


def _config() -> CollectorServiceConfig:
    collector = CollectorConfig(
        trigger=RowsCountTrigger(rows_count=BATCH_ROWS),
        report_config=ReportConfig(metrics=["DataDriftPreset"]),
        reference_path="reference.parquet",
        project_name=PROJECT,
        api_url="workspace",
    )
    return CollectorServiceConfig(collectors={"demo": collector}, storage=Storage(max_log_events=100))


@contextmanager
def _service(directory: Path) -> Iterator[CollectorClient]:
    """Run a collector service in ``directory``; its log is collector.log there."""
    port = _free_port()
    command = [sys.executable, "-P", "-m", "collector", "--config-path", "collector_config.json", "--port", str(port)]
    with (directory / "collector.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=directory, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})  # noqa: S603
        try:
            with CollectorClient(f"http://127.0.0.1:{port}", retries=8) as client:
                yield client
        finally:
            process.terminate()
            process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _send_and_watch(client: CollectorClient, stream: pd.DataFrame, live: Live) -> list[dict[str, Any]]:
    """Send the stream event by event, and give the outcome of each batch, oldest first."""
    given_up = time.monotonic() + PATIENCE
    since = datetime.now(UTC).isoformat(timespec="milliseconds")
    outcomes: list[dict[str, Any]] = []
    for sent in range(1, len(stream) + 1):
        client.send_data("demo", stream.iloc[sent - 1 : sent])
        time.sleep(SECONDS_PER_BATCH / BATCH_ROWS)
        if sent % 10 == 0:
            outcomes = _outcomes(client, since)
        live.update(_screen(sent, outcomes))
    while len(outcomes) < BATCHES:
        if time.monotonic() > given_up:
            raise CollectorError(
                f"only {len(outcomes)} of {BATCHES} snapshots came in {PATIENCE:g} s; see collector.log"
            )
        time.sleep(0.2)
        outcomes = _outcomes(client, since)
        live.update(_screen(len(stream), outcomes))
    return outcomes


def _outcomes(client: CollectorClient, since: str) -> list[dict[str, Any]]:
    this_run = [entry for entry in client.get_logs("demo") if entry["time"] >= since]
    failed = next((entry for entry in this_run if not entry["ok"]), None)
    if failed is not None:
        raise CollectorError(failed["error"])
    return [entry for entry in reversed(this_run) if entry["type"] == "UploadReport"]


def _screen(sent: int, outcomes: list[dict[str, Any]]) -> Group:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("snapshot", "rows", "drifted columns", "", ""):
        table.add_column(name, justify="right" if name in {"rows", "drifted columns"} else "left")
    for number, outcome in enumerate(outcomes, 1):
        share = outcome["drift_share"]
        is_drift = share >= DRIFT_SHARE
        style = "red" if is_drift else "green"
        bar = ProgressBar(total=1, completed=share, width=24, complete_style=style, finished_style=style)
        verdict = Text("drift" if is_drift else "no drift", style=f"bold {style}" if is_drift else style)
        count = f"{outcome['drifted_columns']} of {outcome['columns']}"
        table.add_row(f"{number}", str(outcome["rows"]), count, bar, verdict)
    return Group(Text(_doing(sent, outcomes), style="dim"), Text(""), table)


def _doing(sent: int, outcomes: list[dict[str, Any]]) -> str:
    doing = f"{sent} events sent, each durable before its answer; {counted(len(outcomes), 'snapshot')}"
    return doing if outcomes else f"{doing} (Evidently loads)"


def _say_goodbye(directory: Path, outcomes: list[dict[str, Any]], console: Console) -> None:
    first = next((number for number, outcome in enumerate(outcomes, 1) if outcome["drift_share"] >= DRIFT_SHARE), None)
    if first is not None:
        console.print(f"\nThe population changed; the collector's snapshot {first} was the first to say so.")
    console.print("Look at the snapshots in Evidently's own UI:\n")
    console.print(f"  [bold]evidently ui --workspace {directory}/workspace[/bold]\n  then open http://localhost:8000\n")
    console.print(f"The config that did it is {directory}/collector_config.json. With data of your own:\n")
    console.print("  [bold]evidently-collector init --reference FILE[/bold]   (CSV or parquet)")
