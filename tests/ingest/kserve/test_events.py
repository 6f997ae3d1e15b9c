import base64
import gzip
import json

import pytest

from collector.errors import BadBody, BodyTooLarge
from collector.ingest.kserve.events import MAX_ID, read_events

from .logged import INSTANCES, PREDICTIONS, REQUEST, RESPONSE, kserve_headers, seldon_headers

ONE, BATCH = ({"content-type": f"application/cloudevents{kind}+json"} for kind in ("", "-batch"))


def read(headers, body=INSTANCES):
    return list(read_events({name.lower(): value for name, value in headers.items()}, body, 10_000))


def test_kserves_headers_are_an_event():
    [event] = read(kserve_headers())
    assert (event.id, event.request, event.kind, event.model) == ("one", "one", "request", "")
    assert event.time == "2026-03-01T12:00:00.123456789Z"
    assert event.payload == ({"instances": [[6.8, 2.8]]}, None)


def test_the_content_type_is_that_of_the_request_and_says_nothing_of_a_response():
    """KServe's logger sends it with both; curl's is that of a form."""
    [event] = read(kserve_headers(RESPONSE, **{"Content-Type": "application/x-www-form-urlencoded"}), PREDICTIONS)
    assert event.payload == ({"predictions": [1]}, None)


def test_seldon_names_the_request_and_the_model_beside_the_message():
    [event] = read(seldon_headers("inference.response", "message", "one"))
    assert (event.id, event.request, event.kind, event.model) == ("message", "one", "response", "classifier")


def test_a_header_is_read_as_it_was_before_it_was_encoded():
    """CloudEvents' binding to HTTP, 3.1.3.2."""
    [event] = read(kserve_headers(id_="a%20%E2%82%AC"))
    assert event.id == "a €"


def test_a_payload_in_json_may_be_compressed_too():
    attributes = {"id": "one", "type": REQUEST}
    encoded = base64.b64encode(gzip.compress(INSTANCES)).decode()
    [event] = read(ONE, json.dumps(attributes | {"data_base64": encoded}).encode())
    assert event.payload[0] == {"instances": [[6.8, 2.8]]}


def test_payloads_of_a_batch_unfold_to_no_more_than_a_body_may_have_all_together():
    """Each of them is small, and a thousand of them would take minutes to unfold."""
    packed = base64.b64encode(gzip.compress(INSTANCES + b" " * 4_000)).decode()
    one = {"id": "one", "type": REQUEST, "data_base64": packed}
    assert len(read(BATCH, json.dumps([one] * 2).encode())) == 2
    with pytest.raises(BodyTooLarge):
        read(BATCH, json.dumps([one] * 3).encode())


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        ({"Ce-Type": REQUEST}, INSTANCES, r"no id \(Ce-Id\)"),
        (kserve_headers(id_=""), INSTANCES, "no id"),
        (kserve_headers(id_="x" * (MAX_ID + 1)), INSTANCES, f"more than {MAX_ID} characters"),
        (seldon_headers("inference.request", "a", "x" * 10_000), INSTANCES, f"more than {MAX_ID} characters"),
        (kserve_headers("com.example.sold"), INSTANCES, "is 'com.example.sold'; known are io.seldon"),
        ({"Ce-Id": "one"}, INSTANCES, "the type of the CloudEvent is ''"),
        (kserve_headers(), b"{", "malformed"),
        (kserve_headers(), b"\x1f\x8bno", "gzip"),
        (kserve_headers(**{"Inference-Header-Content-Length": "-1"}), INSTANCES, "isn't a number of bytes"),
        (kserve_headers(**{"Inference-Header-Content-Length": "9" * 5000}), INSTANCES, "isn't a number of bytes"),
        (kserve_headers(**{"Ce-Metadata": "Inference-Header-Content-Length"}), INSTANCES, "Ce-Metadata can't be read"),
        (ONE, b"[]", "must be an object"),
        (ONE, b'{"id": "one", "type": "%s", "data_base64": "*"}' % REQUEST.encode(), "isn't base64"),
        (ONE, b'{"id": "one", "type": "%s", "data_base64": 7}' % REQUEST.encode(), "isn't base64"),
        (ONE, b'{"id": "one", "type": "%s", "data": "{"}' % REQUEST.encode(), "malformed"),
        (ONE, b'{"id": 7, "type": "%s"}' % REQUEST.encode(), "no id"),
        (BATCH, b"{}", "must be a list"),
        (BATCH, b'[{"id": "one", "type": "%s", "data": {}}, 7]' % REQUEST.encode(), "event 1 of the batch: "),
    ],
    ids=range(18),
)
def test_what_no_model_server_logs_says_what_is_wrong(headers, body, told):
    with pytest.raises(BadBody, match=told):
        read(headers, body)


def test_a_batch_may_be_empty():
    assert read(BATCH, b"[]") == []
