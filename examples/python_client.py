"""Make a collector from Python, set its reference, send events, and wait for the snapshot.

Beside it runs:  evidently collector
"""

import os
import time

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
from sklearn.datasets import load_wine

from collector.client import CollectorClient
from collector.config import CollectorConfig, ReportConfig, RowsCountTrigger


def main() -> None:
    wines: pd.DataFrame = load_wine(as_frame=True).data
    reference, events = wines[::2], wines[1::2]

    client = CollectorClient(os.environ.get("COLLECTOR_URL", "http://localhost:8001"))
    client.create_collector(
        "wine",
        CollectorConfig(
            trigger=RowsCountTrigger(rows_count=len(events)),
            report_config=ReportConfig.from_report(Report([DataDriftPreset()])),
            project_name="Wine",
            api_url="workspace",  # a directory beside the service's config; or http://localhost:8000, an `evidently ui`
        ),
    )
    client.set_reference("wine", reference)
    client.send_data("wine", events)

    snapshot = wait_for_snapshot(client)
    print(f"{snapshot['rows']} rows: {snapshot['drifted_columns']} of {snapshot['columns']} columns drifted")


def wait_for_snapshot(client: CollectorClient) -> dict:
    for _ in range(120):
        for entry in client.get_logs("wine"):
            if not entry["ok"]:
                raise SystemExit(entry["error"])
            if entry["type"] == "UploadReport":
                return entry
        time.sleep(0.5)
    raise SystemExit("no snapshot came within a minute")


if __name__ == "__main__":
    main()
