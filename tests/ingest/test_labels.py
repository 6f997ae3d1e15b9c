"""Labels come in by both ways as events do: in all forms, once, each row with its key, and never among the events."""

import gzip
import io
import json

import pyarrow as pa
import pytest
from fakes import collector_config

LABELS = {"key": "id", "columns": ["y"], "report_config": {"metrics": ["RowCount"]}}
ROW = b'{"id": 7, "y": 1}'


def stream(table):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def with_labels(service):
    service.supervisor.config = service.supervisor.config.with_collector(collector_config("main", labels=LABELS))
    return service


@pytest.fixture
async def taking(open_service):
    """A service whose collector takes labels."""
    async with open_service() as opened:
        yield with_labels(opened)


@pytest.mark.parametrize(
    ("content_type", "body", "rows"),
    [
        ("application/json", ROW, 1),
        ("application/json", b'[{"id": "a", "y": 1}, {"id": "b", "y": 0, "other": 5}]', 2),
        ("application/x-ndjson", b'{"id": 1, "y": 1}\n{"id": 2, "y": 0}\n', 2),
        ("text/csv", b"id,y\n007,1\n", 1),
        ("application/vnd.apache.arrow.stream", stream(pa.table({"id": [1, 2, 3], "y": [0, 1, 0]})), 3),
        ("application/json", json.dumps({"id": list(range(50_000)), "y": [1] * 50_000}).encode(), 50_000),
    ],
    ids=["one", "records", "lines", "csv", "arrow", "large"],
)
async def test_labels_come_in_many_forms_and_stay_apart_from_events(taking, content_type, body, rows):
    for encoding, sent in (("identity", body), ("gzip", gzip.compress(body))):
        headers = {"content_type": content_type, "content_encoding": encoding}
        answer = await taking.post("/main/labels", sent, **headers)
        assert (answer.status_code, answer.json()) == (201, {})
    assert taking.journal.waiting("main/labels").frame_rows == 2 * rows
    assert taking.rows() == taking.journal.buffered_bytes("main") == taking.journal.buffered_bytes_in_all == 0
    assert taking.supervisor.counts.of("main/labels").accepted_requests == 2
    assert taking.supervisor.counts.of("main").accepted_requests == 0


async def test_labels_that_come_again_with_their_key_are_kept_once_whatever_events_have_that_key(taking):
    for _ in range(2):
        answer = await taking.post("/main/labels", ROW, idempotency_key="k")
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert (await taking.post("/main/data", ROW, idempotency_key="k")).status_code == 201
    assert (taking.journal.waiting("main/labels").frame_rows, taking.rows()) == (1, 1)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'[{"id": 7, "y": 1}, {"id": null, "y": 1}]', "the key 'id' of row 1 is null"),
        (b'{"y": 1}', "no column 'id'"),
        (b'{"id": 7, "x": 1}', "none of the columns of the collector's labels: 'y'"),
        (b"{", "malformed"),
    ],
    ids=["null", "no key", "no label", "no JSON"],
)
async def test_what_are_no_labels_is_refused_with_all_that_came_with_it_and_counted(taking, body, told):
    answer = await taking.post("/main/labels", body)
    assert answer.status_code == 400
    assert told in answer.json()["detail"]
    assert taking.journal.waiting("main/labels").frame_rows == 0
    assert taking.supervisor.counts.of("main/labels").refused_requests["bad_body"] == 1


async def test_a_collector_that_waits_for_no_labels_says_so_and_one_that_is_not_there_too(open_service):
    async with open_service() as service:
        answer = await service.post("/main/labels", ROW)
        assert (answer.status_code, '"labels"' in answer.json()["detail"]) == (409, True)
        assert (await service.post("/nobody/labels", ROW)).status_code == 404


async def test_too_many_labels_are_refused_and_events_are_not(open_service):
    async with open_service(limits={"max_labels_bytes": 10}) as service:
        with_labels(service)
        assert (await service.post("/main/labels", ROW)).status_code == 201
        answer = await service.post("/main/labels", ROW)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
        assert (await service.post("/main/data", ROW)).status_code == 201


async def test_usual_labels_are_answered_by_the_front_door(open_front_door):
    async with open_front_door() as service:
        with_labels(service)
        await service.post("/main/labels", ROW)
        assert [(kind.route, count) for kind, count in service.supervisor.counts.answered.items()] == [
            ("/{id}/labels", 1)
        ]
