"""An ML service that answers predictions over HTTP and gives each of them to the collector, in microseconds.

It is written for Quart; for FastAPI the client is used in the same way, from its lifespan and its routes.
Beside it runs:  evidently collector
Ask it:          curl -d '{"bmi": 0.06, "bp": 0.02, "s5": 0.02}' http://localhost:5000/predict
"""

import os
from collections.abc import AsyncIterator

from quart import Quart, request
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from collector.client import AsyncCollectorClient
from collector.config import CollectorConfig, ReportConfig, RowsCountTrigger

FEATURES = ["bmi", "bp", "s5"]

app = Quart(__name__)
patients = load_diabetes(as_frame=True)
model = LinearRegression().fit(patients.data[FEATURES].to_numpy(), patients.target)


@app.while_serving
async def lifespan() -> AsyncIterator[None]:
    async with AsyncCollectorClient(os.environ.get("COLLECTOR_URL", "http://localhost:8001")) as client:
        config = CollectorConfig(
            trigger=RowsCountTrigger(rows_count=20),
            report_config=ReportConfig(metrics=["DataDriftPreset"]),
            project_name="Diabetes",
            api_url="workspace",
        )
        await client.create_collector("diabetes", config)
        reference = patients.data[FEATURES]
        await client.set_reference("diabetes", reference.assign(prediction=model.predict(reference.to_numpy())))
        async with client.buffered("diabetes") as app.events:
            yield


@app.post("/predict")
async def predict() -> dict[str, float]:
    asked = await request.get_json(force=True)
    features = {name: float(asked[name]) for name in FEATURES}
    prediction = float(model.predict([list(features.values())])[0])
    app.events.send_nowait({**features, "prediction": prediction})  # what is too much is dropped and counted
    return {"prediction": prediction}


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "5000")))
