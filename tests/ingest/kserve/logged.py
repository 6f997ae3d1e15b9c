"""What model servers log, as their loggers send it."""

import base64
import json
from pathlib import Path

REQUEST = "org.kubeflow.serving.inference.request"
RESPONSE = "org.kubeflow.serving.inference.response"
INSTANCES = b'{"instances": [[6.8, 2.8]]}'
PREDICTIONS = b'{"predictions": [1]}'


def kserve_headers(type_=REQUEST, id_="one", **others):
    """Return the headers that KServe's agent sends (pkg/logger/worker.go, with CloudEvents' SDK for Go)."""
    return {
        "User-Agent": "Go-http-client/1.1",
        "Ce-Id": id_,
        "Ce-Source": "http://localhost:9081/",
        "Ce-Specversion": "1.0",
        "Ce-Time": "2026-03-01T12:00:00.123456789Z",
        "Ce-Type": type_,
        "Ce-Component": "predictor",
        "Ce-Endpoint": "",
        "Ce-Inferenceservicename": "iris",
        "Ce-Metadata": "%7B%7D",
        "Ce-Namespace": "default",
        "Content-Type": "application/json",
        **others,
    }


def seldon_headers(kind, id_, request, model="classifier"):
    """Return the headers that Seldon Core's executor sends (executor/logger/worker.go)."""
    return {
        "Ce-Id": id_,
        "Ce-Source": "http://:8000/",
        "Ce-Specversion": "1.0",
        "Ce-Time": "2026-03-01T12:00:00Z",
        "Ce-Type": f"io.seldon.serving.{kind}",
        "Ce-Requestid": request,
        "Ce-Modelid": model,
        "Ce-Inferenceservicename": "iris",
        "Ce-Namespace": "default",
        "Ce-Endpoint": "default",
        "Ce-Protocol": "seldon",
        "Content-Type": "application/json",
    }


def recorded():
    """Yield what was recorded of real servers, by record.py.

    Of each exchange: its name, the request and the response, each with the length of its JSON.
    """
    for file in sorted((Path(__file__).parent / "recorded").glob("*.json")):
        made = json.loads(file.read_bytes())
        for one in made["exchanges"]:
            request, response = (base64.b64decode(one[part]) for part in ("request", "response"))
            yield (
                f"{made['package']} {one['name']}",
                (request, one["request_length"]),
                (response, one["response_length"]),
            )
