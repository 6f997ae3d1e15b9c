"""Score events one by one, and give each prediction away in microseconds: a thread sends them in batches.

Beside it runs:  evidently collector
"""

import os

from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from collector.client import CollectorClient
from collector.config import CollectorConfig, ReportConfig, RowsCountTrigger

FEATURES = ["bmi", "bp", "s5"]


def main() -> None:
    patients = load_diabetes(as_frame=True)
    model = LinearRegression().fit(patients.data[FEATURES].to_numpy(), patients.target)

    client = CollectorClient(os.environ.get("COLLECTOR_URL", "http://localhost:8001"))
    config = CollectorConfig(
        trigger=RowsCountTrigger(rows_count=1000),
        report_config=ReportConfig(metrics=["DataSummaryPreset"]),
        project_name="Hot path",
        api_url="workspace",
    )
    client.create_collector("hot_path", config)

    # What the service can't take in time is dropped and counted here; without when_full, send would wait for room.
    with client.buffered("hot_path", max_delay=0.5, when_full="drop") as buffer:
        for patient in patients.data[FEATURES].to_dict("records"):
            prediction = float(model.predict([list(patient.values())])[0])
            buffer.send({**patient, "prediction": prediction})
    print(f"{buffer.sent} events sent, {buffer.dropped} dropped, {buffer.refused} refused")


if __name__ == "__main__":
    main()
