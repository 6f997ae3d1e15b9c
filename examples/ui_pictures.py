"""Take pictures of a project in the Evidently UI: the dashboard that a collector makes, its reports, the projects.

python examples/ui_pictures.py         # writes examples/pictures/{dashboard,reports,projects}.png; needs chromium
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.legacy.utils import NumpyEncoder
from evidently.metrics import DatasetMissingValueCount, RowCount
from evidently.presets import ClassificationPreset, DataDriftPreset

from collector.evaluation.dashboard import tab_of
from collector.evaluation.projects import project_file
from collector.workspaces.directory_files import write_dashboard, write_snapshot

FIRST = datetime(2026, 3, 2, 6, 0)  # noqa: DTZ001  (Evidently's dashboards have no zones)
ABOUT = (
    "Collector 'churn' computes DataDriftPreset, ClassificationPreset, RowCount, DatasetMissingValueCount over batches "
    "of its events, every 500 rows, compared with its reference. Each point is a batch: click it for the report."
)
DEFINITION = DataDefinition(
    numerical_columns=["age", "income"],
    categorical_columns=["plan", "churned", "predicted"],
    classification=[BinaryClassification(target="churned", prediction_labels="predicted")],
)
SIZES = {"projects": (1280, 420), "dashboard": (1280, 1150), "reports": (1280, 900)}
PATIENCE = 240


def events(hour: int, rows: int = 500) -> Dataset:
    """Make the events of an hour, a little further from the reference each time."""
    chance = np.random.default_rng(hour)
    frame = pd.DataFrame(
        {"age": chance.normal(41 + hour, 9, rows), "income": chance.normal(3000 + 40 * hour, 500, rows)}
    )
    frame.loc[chance.random(rows) < hour / 200, "income"] = np.nan
    frame["plan"] = chance.choice(["basic", "plus", "pro"], rows)
    frame["churned"] = chance.integers(0, 2, rows)
    frame["predicted"] = np.where(chance.random(rows) < 0.94 - 0.02 * hour, frame.churned, 1 - frame.churned)
    return Dataset.from_pandas(frame, DEFINITION)


def make_workspace(root: Path) -> str:
    """Make a project with eight snapshots, an hour apart, and its dashboard; return its id."""
    place = {"directory": str(root), "project_id": None, "project_name": "Churn", "collector": "churn"}
    file, project = root.parent / "snapshot.json", ""
    reference = events(0, 2000)
    for hour in range(1, 9):
        report = Report([DataDriftPreset(), ClassificationPreset(), RowCount(), DatasetMissingValueCount()])
        told = {"collector": "churn", "report": "main", "segment": "", "rows": "500"}
        run = report.run(events(hour), reference, timestamp=FIRST + timedelta(hours=hour), metadata=told, name="churn")
        file.write_text(json.dumps(run.dump_dict(), cls=NumpyEncoder), encoding="utf-8")
        batch = {
            "generation": "modern",
            "snapshot_path": str(file),
            "snapshot_id": str(uuid.UUID(int=hour)),
            "replaces": [],
        }
        written = write_snapshot(place | batch)
        project = written if isinstance(written, str) else write_snapshot(place | batch, project_file(written))
    write_dashboard(place, tab_of(str(file), "churn", 12, ABOUT), is_asked=False)
    return project


@contextmanager
def running_ui(root: Path) -> Iterator[str]:
    """Run ``evidently ui`` over a workspace; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "evidently.cli", "ui", "--host", "127.0.0.1", "--workspace", str(root)]
    process = subprocess.Popen(  # noqa: S603  (Evidently's own)
        [*command, "--port", port],
        env=os.environ | {"DO_NOT_TRACK": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://127.0.0.1:{port}/api/version").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def take_picture(url: str, path: Path, size: tuple[int, int], profile: Path) -> None:
    """Write what a browser shows of a page once its scripts have had two minutes of its own time: lines come last."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    given = [f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", "--virtual-time-budget=120000"]
    subprocess.run(  # noqa: S603  (a browser)
        [browser, "--headless", "--no-sandbox", "--hide-scrollbars", *quiet, *given, f"--screenshot={path}", url],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )


def draw_all(directory: Path) -> None:
    """Write the three pictures."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        root = Path(scratch) / "workspace"
        project = make_workspace(root)
        with running_ui(root) as url:
            pages = {"projects": "", "dashboard": f"/projects/{project}", "reports": f"/projects/{project}/reports"}
            for name, page in pages.items():
                take_picture(url + page, directory / f"{name}.png", SIZES[name], Path(scratch) / "profile")


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
