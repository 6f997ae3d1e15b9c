"""Records what real model servers are asked and answer, byte for byte, for the tests; run by hand, seldom.

    python -m venv scratch && scratch/bin/pip install kserve && scratch/bin/python record.py kserve
    python -m venv other && other/bin/pip install mlserver && other/bin/python record.py mlserver

Each server is a process of its own on loopback. Its request and its response are what its logger would send on.
"""

import base64
import json
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
PORT = 18_123

KSERVE_SERVER = """
import kserve
import numpy as np
from kserve import InferOutput, InferRequest, InferResponse


class Iris(kserve.Model):
    def load(self):
        self.ready = True
        return True

    def predict(self, payload, headers=None, response_headers=None):
        if not isinstance(payload, InferRequest):
            return {"predictions": [round(sum(row)) for row in payload["instances"]]}
        table = np.concatenate([one.as_numpy().reshape(one.shape[0], -1).astype(float) for one in payload.inputs], 1)
        score = InferOutput("score", [len(table)], "FP32")
        score.set_data_from_numpy(table.sum(1).astype(np.float32), binary_data=bool(payload.use_binary_outputs))
        label = InferOutput("label", [len(table)], "INT64")
        label.set_data_from_numpy(table.sum(1).round().astype(np.int64), binary_data=bool(payload.use_binary_outputs))
        return InferResponse(payload.id, self.name, [score, label])


model = Iris("iris")
model.load()
kserve.ModelServer(http_port=PORT, enable_grpc=False, workers=1).start([model])
"""

MLSERVER_MODEL = """
import pandas as pd
from mlserver import MLModel
from mlserver.codecs import PandasCodec
from mlserver.types import InferenceRequest, InferenceResponse


class People(MLModel):
    async def load(self):
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        people = PandasCodec.decode_request(payload)
        why = pd.Series([f"{plan}!" for plan in people["plan"]], dtype=object)
        answer = pd.DataFrame({"churned": people["age"] > 40, "why": why, "p": people["age"] / 100})
        return PandasCodec.encode_response(self.name, answer, id=payload.id)
"""


def record_kserve():
    import numpy as np
    from kserve import InferInput, InferRequest

    def request(*inputs, binary):
        made = []
        for name, values in inputs:
            one = InferInput(name, list(values.shape), {"float32": "FP32", "int64": "INT64"}[str(values.dtype)])
            one.set_data_from_numpy(values, binary_data=binary)
            made.append(one)
        parameters = {"binary_data_output": True} if binary else {}
        body, length = InferRequest("iris", made, "one", parameters=parameters).to_rest()
        return (body, length) if binary else (json.dumps(body).encode(), None)

    table = np.array([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]], np.float32)
    ages = np.array([41, 37])
    v1 = json.dumps({"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}).encode()
    process = subprocess.Popen([sys.executable, "-c", KSERVE_SERVER.replace("PORT", str(PORT))])
    asked = {
        "v1": ("/v1/models/iris:predict", v1, None),
        "v2": ("/v2/models/iris/infer", *request(("x", table), binary=False)),
        "v2 of two inputs": ("/v2/models/iris/infer", *request(("x", table), ("age", ages), binary=False)),
        "v2 binary": ("/v2/models/iris/infer", *request(("x", table), ("age", ages), binary=True)),
    }
    return process, "/v2/health/ready", asked


def record_mlserver():
    import pandas as pd
    from mlserver.codecs import PandasCodec

    directory = Path(tempfile.mkdtemp())
    (directory / "people.py").write_text(MLSERVER_MODEL)
    (directory / "model-settings.json").write_text(json.dumps({"name": "people", "implementation": "people.People"}))
    settings = {"http_port": PORT, "grpc_port": PORT + 1, "metrics_port": PORT + 2, "host": "127.0.0.1"}
    settings |= {"parallel_workers": 0}
    (directory / "settings.json").write_text(json.dumps(settings))
    plans = pd.Series(["pro", "téam"], dtype=object)  # MLServer 1.7 knows no other texts
    people = pd.DataFrame({"age": [41, 37], "plan": plans, "income": [1.5, float("nan")]})
    body = PandasCodec.encode_request(people, use_bytes=False)
    body.id = "one"
    process = subprocess.Popen([str(Path(sys.executable).parent / "mlserver"), "start", str(directory)], cwd=directory)
    asked = {"v2 of pandas": ("/v2/models/people/infer", body.model_dump_json(exclude_none=True).encode(), None)}
    return process, "/v2/health/ready", asked


def main(package):
    import httpx

    process, ready, asked = {"kserve": record_kserve, "mlserver": record_mlserver}[package]()
    found = []
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60, trust_env=False) as http:
            wait_ready(http, ready)
            for name, (path, body, length) in asked.items():
                headers = {"Content-Type": "application/json" if length is None else "application/octet-stream"}
                headers |= {} if length is None else {"Inference-Header-Content-Length": str(length)}
                answer = http.post(path, content=body, headers=headers)
                answer.raise_for_status()
                told = answer.headers.get("Inference-Header-Content-Length")
                found.append(
                    {
                        "name": name,
                        "request": base64.b64encode(body).decode(),
                        "request_length": length,
                        "response": base64.b64encode(answer.content).decode(),
                        "response_length": told and int(told),
                    }
                )
    finally:
        process.terminate()
        process.wait()
    made = {"package": package, "version": version(package), "exchanges": found}
    (HERE / "recorded" / f"{package}.json").write_text(json.dumps(made, indent=1) + "\n")


def wait_ready(http, path):
    import httpx

    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            if http.get(path).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise TimeoutError("the server isn't ready")


if __name__ == "__main__":
    main(sys.argv[1])
