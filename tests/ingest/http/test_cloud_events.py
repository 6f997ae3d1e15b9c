"""CloudEvents are told apart from tables, and refused with what to configure where nobody takes them."""

import json
import subprocess
import sys

import pytest

from collector.ingest.http.cloud_events import is_cloud_event

HEADERS = {"Ce-Id": "one", "Ce-Type": "org.kubeflow.serving.inference.request", "Content-Type": "application/json"}
BODY = b'{"instances": [[6.8, 2.8]]}'


@pytest.mark.parametrize(
    ("headers", "is_it"),
    [
        ({"ce-id": "one"}, True),
        ({"ce-type": "x"}, True),
        ({"content-type": "Application/CloudEvents+JSON; charset=utf-8"}, True),
        ({"content-type": "application/cloudevents-batch+json"}, True),
        ({"content-type": "application/json", "ce-anything": "x"}, False),
        ({}, False),
    ],
    ids=["id", "type", "one", "batch", "table", "nothing"],
)
def test_a_cloud_event_is_known_by_its_headers_or_its_media_type(headers, is_it):
    assert is_cloud_event(headers) == is_it


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (HEADERS, BODY),
        (HEADERS, b'{"age": 41}'),
        ({"Content-Type": "application/cloudevents+json"}, b'{"id": "one"}'),
        ({"Content-Type": "application/cloudevents-batch+json"}, b"[]"),
    ],
    ids=["instances", "table", "structured", "batch"],
)
async def test_where_nobody_takes_them_they_are_refused_with_what_to_configure(service, headers, body):
    """As rows they would be of their envelope, or halves of events."""
    answer = await service.http.post("/main/data", content=body, headers=headers)
    assert answer.status_code == 400
    assert '"input": {"kserve": {}}' in answer.json()["detail"]
    assert service.rows() == 0
    assert service.supervisor.counts.of("main").refused_requests["bad_body"] == 1


async def test_they_are_no_config(service):
    before = service.supervisor.config
    answer = await service.http.post("/main", content=BODY, headers=HEADERS)
    assert (answer.status_code, "/main/data" in answer.json()["detail"]) == (400, True)
    assert service.supervisor.config == before


async def test_a_collector_that_is_not_there_is_not_found(service):
    assert (await service.http.post("/nobody/data", content=BODY, headers=HEADERS)).status_code == 404


def test_what_reads_them_is_not_loaded_before_one_is_taken():
    code = "import sys, collector.daemon, collector.ingest.http.app, json; print(json.dumps(sorted(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert not [name for name in json.loads(found.stdout) if "ingest.kserve" in name or "pipeline.expiring" in name]
