"""Monitor now what is known now, and the model's quality once the labels are there, in one project.

Predictions go to the collector as they are made, which watches them for drift. The labels come later (here: at once),
and are joined to the predictions that the service has kept. This part is a batch job of its own: run it when new
labels have come, from cron or a scheduler. It logs to the same project as the collector.

Beside it runs:  evidently collector   (from this directory, so that both mean the same workspace)
"""

import os
import time

import pandas as pd
from evidently import DataDefinition, Dataset, Regression, Report
from evidently.presets import RegressionPreset
from evidently.ui.workspace import Project, Workspace
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from collector.client import CollectorClient
from collector.config import CollectorConfig, ReportConfig, RowsCountTrigger

PROJECT = "Diabetes with delayed labels"
WORKSPACE = os.environ.get("WORKSPACE", "workspace")


def main() -> None:
    patients = load_diabetes(as_frame=True)
    model = LinearRegression().fit(patients.data[:200], patients.target[:200])
    predictions = patients.data.assign(prediction=model.predict(patients.data), patient=patients.data.index)

    monitor_predictions(predictions[:200], predictions[200:])
    log_quality(predictions[200:], labels=patients.target.rename("target")[200:])
    workspace = Workspace(WORKSPACE)
    runs = workspace.list_runs(open_project(workspace).id)
    print(f"{len(runs)} snapshots in '{PROJECT}': evidently ui --workspace {WORKSPACE}")


def monitor_predictions(reference: pd.DataFrame, predictions: pd.DataFrame) -> None:
    """Send each prediction with its features, as the service does as soon as it is made."""
    client = CollectorClient(os.environ.get("COLLECTOR_URL", "http://localhost:8001"))
    config = CollectorConfig(
        trigger=RowsCountTrigger(rows_count=len(predictions)),
        report_config=ReportConfig(metrics=["DataDriftPreset"]),
        project_name=PROJECT,
        api_url=WORKSPACE,
    )
    client.create_collector("delayed", config)
    client.set_reference("delayed", reference.drop(columns="patient"))
    client.send_data("delayed", predictions.drop(columns="patient"))
    for _ in range(120):
        if any(entry["type"] == "UploadReport" for entry in client.get_logs("delayed")):
            return
        time.sleep(0.5)
    raise SystemExit("no snapshot came within a minute")


def log_quality(predictions: pd.DataFrame, labels: pd.Series) -> None:
    """Log the quality of the predictions whose labels have come, as the batch job does."""
    labelled = predictions.merge(labels, left_on="patient", right_index=True)
    definition = DataDefinition(regression=[Regression(target="target", prediction="prediction")])
    snapshot = Report([RegressionPreset()]).run(Dataset.from_pandas(labelled, data_definition=definition))
    workspace = Workspace(WORKSPACE)
    workspace.add_run(open_project(workspace).id, snapshot)


def open_project(workspace: Workspace) -> Project:
    """Find the project by its name; the collector has made it."""
    return workspace.search_project(PROJECT)[0]


if __name__ == "__main__":
    main()
