"""Monitor now what is known now, and the model's quality once the labels are there, in one project.

Predictions go to the collector as they are made, each with a key, and are watched for drift. What came true is sent
later (here: at once) with the same keys; the collector finds the predictions and reports the model's quality.

Beside it runs:  evidently collector   (from this directory, so that both mean the same workspace)
"""

import os
import time

import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from collector.client import CollectorClient
from collector.config import CollectorConfig, Labels, ReportConfig, RowsCountTrigger

PROJECT = "Diabetes with delayed labels"
WORKSPACE = os.environ.get("WORKSPACE", "workspace")
KNOWN = 200  # patients that the model was trained on


def main() -> None:
    patients = load_diabetes(as_frame=True)
    model = LinearRegression().fit(patients.data[:KNOWN], patients.target[:KNOWN])
    keys = [f"patient-{number}" for number in patients.data.index]
    predictions = patients.data.assign(prediction=model.predict(patients.data), patient=keys)
    labels = pd.DataFrame({"patient": keys, "target": patients.target})

    client = CollectorClient(os.environ.get("COLLECTOR_URL", "http://localhost:8001"))
    client.create_collector("delayed", config(batch=len(predictions) - KNOWN))
    client.set_reference("delayed", predictions[:KNOWN].merge(labels).drop(columns="patient"))
    client.send_data("delayed", predictions[KNOWN:])
    client.send_labels("delayed", labels[KNOWN:].sample(frac=0.95, random_state=0))  # some are never known

    for entry in wait_for_snapshots(client, 2):
        print(f"{entry.get('report', 'main')} snapshot of {entry['rows']} rows")
    print(f"both are in '{PROJECT}': evidently ui --workspace {WORKSPACE}")


def config(batch: int) -> CollectorConfig:
    """Report drift at once, and quality when nine of ten predictions have their label, or after a week."""
    return CollectorConfig(
        trigger=RowsCountTrigger(rows_count=batch),
        report_config=ReportConfig(metrics=["DataDriftPreset"]),
        labels=Labels(
            key="patient",
            columns=["target"],
            wait="7d",
            min_share=0.9,
            report_config=ReportConfig(metrics=["RegressionPreset"]),
            data_definition={"regression": [{"target": "target", "prediction": "prediction"}]},
        ),
        project_name=PROJECT,
        api_url=WORKSPACE,
    )


def wait_for_snapshots(client: CollectorClient, count: int) -> list[dict]:
    for _ in range(240):
        made = [entry for entry in client.get_logs("delayed") if entry["type"] == "UploadReport" and entry["ok"]]
        if len(made) >= count:
            return made[::-1]
        time.sleep(0.5)
    raise SystemExit(f"no {count} snapshots came within two minutes")


if __name__ == "__main__":
    main()
