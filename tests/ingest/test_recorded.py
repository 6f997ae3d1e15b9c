"""What the original answered, replayed.

Its 2xx must be ours, status and body; its 4xx must be ours, status and keys; none of its 500s is.
"""

import json
from pathlib import Path
from urllib.parse import unquote

import pytest
from fakes import REFERENCE

from collector.config.masking import MASK
from collector.errors import Problem

RECORDINGS = Path(__file__).parent.parent / "compat" / "http"
SECRET = "s3cr3t"  # in the setup of F_secret
PLACEHOLDERS = {"__UI__": "http://localhost:8000", "__PROJECT__": "018f0000-0000-7000-8000-00000000000a"}

OWN_ROUTE = "a route of ours, which the original has not"
UNKNOWN_FIRST = "an unknown collector is told whatever the body"
SCHEMA = "its OpenAPI pages; ours is at /schema/openapi.json, with other content"
IDS = "ids with control characters or over 128 characters are refused"

NOT_SENT = 0  # our DELETE would take away what the steps behind it need

# By group, method, path and perhaps the step's name: what we answer, and why.
EXCEPTIONS = {
    ("A_fresh_routing", "GET", "/"): (200, OWN_ROUTE),
    ("A_fresh_routing", "DELETE", "/main"): (404, OWN_ROUTE),
    ("A_fresh_routing", "POST", "/main/data", "unknown id + malformed JSON"): (404, UNKNOWN_FIRST),
    ("A_fresh_routing", "POST", "/main/reference", "unknown id + malformed JSON"): (404, UNKNOWN_FIRST),
    ("A_fresh_routing", "GET", "/schema"): (404, SCHEMA),
    ("A_fresh_routing", "GET", "/schema/openapi.json"): (200, SCHEMA),
    ("A_fresh_routing", "POST", "/schema"): (400, SCHEMA),
    ("B_create_get", "POST", "/extra"): (400, "unknown keys are refused"),
    ("B_create_get", "GET", "/extra"): (404, "unknown keys are refused"),
    ("B_create_get", "POST", "/bad", "malformed JSON"): (400, "its 500"),
    ("B_create_get", "POST", "/bad", "empty body"): (400, "its 500"),
    ("B_create_get", "POST", "/bad", "no body at all"): (400, "its 500"),
    ("B_create_get", "POST", "/%00nul"): (400, IDS),
    ("B_create_get", "GET", "/%00nul"): (404, IDS),
    ("B_create_get", "POST", f"/{'x' * 300}"): (400, IDS),
    ("B_create_get", "GET", f"/{'x' * 300}"): (404, IDS),
    ("F_secret", "POST", "/nope/data", "secret right"): (404, UNKNOWN_FIRST),
    ("F_secret", "POST", "/nope/data", "secret right, header in caps"): (404, UNKNOWN_FIRST),
    ("F_secret", "GET", "/schema/openapi.json", "secret right"): (200, SCHEMA),
    ("F_secret", "GET", "/schema/openapi.json", "secret right, header in caps"): (200, SCHEMA),
    ("F_secret", "GET", "/", "secret right"): (200, OWN_ROUTE),
    ("F_secret", "GET", "/", "secret right, header in caps"): (200, OWN_ROUTE),
    ("F_secret", "GET", "/"): (401, OWN_ROUTE),
    ("F_secret", "DELETE", "/main", "secret right"): (NOT_SENT, OWN_ROUTE),
    ("F_secret", "DELETE", "/main", "secret right, header in caps"): (NOT_SENT, OWN_ROUTE),
    ("F_secret", "DELETE", "/main"): (401, OWN_ROUTE),
}


def _recording(group):
    text = (RECORDINGS / f"{group}.json").read_text(encoding="utf-8")
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return json.loads(text)


def _exception(group, step):
    request = step["request"]
    place = (group, request["method"], request["path"])
    return EXCEPTIONS.get((*place, step["name"])) or EXCEPTIONS.get(place)


def _evidently(config):
    """Know no metric named Nope, as Evidently."""
    return [
        Problem(("report_config", "metrics", number), "unknown metric")
        for number, metric in enumerate(config.report_config.metrics)
        if isinstance(metric, dict) and metric["type"].endswith(":Nope")
    ]


def _ours(body):
    """Return a recorded answer as ours: without the secret, and with a reference of ours where the original's was."""
    if not isinstance(body, dict):
        return body
    secret = {"api_secret": MASK} if body.get("api_secret") else {}
    reference = {"reference_path": REFERENCE} if body.get("reference_path") == "main_reference.parquet" else {}
    return body | secret | reference


async def _replay(service, group, steps):
    for step in steps:
        request, recorded, exception = step["request"], step["response"], _exception(group, step)
        if exception and exception[0] == NOT_SENT:
            continue
        content = request.get("body_text", "").encode()
        answer = await service.http.request(
            request["method"], request["path"], headers=request["headers"], content=content
        )
        told = f"{step['name']}: {request['method']} {unquote(request['path'])} -> {answer.status_code} {answer.text}"
        assert answer.status_code == (exception[0] if exception else recorded["status"]), told
        if answer.status_code >= 400 and answer.content:
            assert answer.json()["status_code"] == answer.status_code, told
            assert answer.json()["detail"], told
        elif exception is None:
            assert (answer.json() if answer.content else None) == _ours(recorded.get("body_json")), told
        if exception is None and answer.status_code in {401, 404, 405} and answer.content:
            assert answer.json()["detail"] == recorded["body_json"]["detail"], told


@pytest.mark.parametrize(("group", "count"), [("A_fresh_routing", 24), ("B_create_get", 62)])
async def test_the_originals_answers_are_ours(open_service, group, count):
    steps = _recording(group)["steps"]
    assert len(steps) == count
    async with open_service(collectors=(), find_problems=_evidently) as service:
        await _replay(service, group, steps)


async def test_the_originals_answers_about_the_secret_are_ours(open_service):
    steps = _recording("F_secret")["steps"]
    assert len(steps) == 68
    async with open_service(collectors=(), secret=SECRET) as service:
        await _replay(service, "F_secret", steps)


async def test_the_same_collectors_are_there_in_the_end(open_service):
    recording = _recording("B_create_get")
    async with open_service(collectors=(), find_problems=_evidently) as service:
        await _replay(service, "B_create_get", recording["steps"])
        ours = list(service.supervisor.config.collectors)
    refused = {"extra", "\0nul", "x" * 300}
    assert ours == [key for key in recording["config_file_collector_ids"] if key not in refused]


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda key: " ".join(key)[:60])
def test_no_exception_is_made_for_nothing(exception):
    """Each names an exchange that is there and that we answer otherwise."""
    group, method, path, *name = exception
    steps = [
        step
        for step in _recording(group)["steps"]
        if (step["request"]["method"], step["request"]["path"]) == (method, path)
        and (not name or step["name"] == name[0])
    ]
    status, reason = EXCEPTIONS[exception]
    assert steps
    assert reason is SCHEMA or any(step["response"]["status"] != status for step in steps)
