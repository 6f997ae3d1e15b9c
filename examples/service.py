"""An ML service that answers predictions over HTTP and sends each of them to the collector.

It is written for Quart; for FastAPI the client is used in the same way, from its lifespan and its routes.
Beside it runs:  evidently collector
Ask it:          curl -d '{"bmi": 0.06, "bp": 0.02, "s5": 0.02}' http://localhost:5000/predict
"""

import os

import pandas as pd
from quart import Quart, request
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from collector.client import AsyncCollectorClient
from collector.config import CollectorConfig, ReportConfig, RowsCountTrigger

FEATURES = ["bmi", "bp", "s5"]

app = Quart(__name__)
patients = load_diabetes(as_frame=True)
model = LinearRegression().fit(patients.data[FEATURES], patients.target)


@app.before_serving
async def start() -> None:
    app.collector = AsyncCollectorClient(os.environ.get("COLLECTOR_URL", "http://localhost:8001"))
    config = CollectorConfig(
        trigger=RowsCountTrigger(rows_count=20),
        report_config=ReportConfig(metrics=["DataDriftPreset"]),
        project_name="Diabetes",
        api_url="workspace",
    )
    await app.collector.create_collector("diabetes", config)
    await app.collector.set_reference("diabetes", with_predictions(patients.data[FEATURES]))


@app.after_serving
async def stop() -> None:
    await app.collector.aclose()


@app.post("/predict")
async def predict() -> dict[str, float]:
    event = with_predictions(pd.DataFrame([await request.get_json(force=True)], columns=FEATURES))
    await app.collector.send_data("diabetes", event)
    return {"prediction": float(event["prediction"].iloc[0])}


def with_predictions(features: pd.DataFrame) -> pd.DataFrame:
    return features.assign(prediction=model.predict(features))


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "5000")))
