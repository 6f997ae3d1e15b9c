"""CloudEvents: what a model server has logged, as it comes over HTTP, with headers, as JSON or as a list of JSON."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from collector.errors import BadBody
from collector.formats.json_body import loads
from collector.ingest.http.bodies import gunzipped
from collector.ingest.http.cloud_events import BATCH, ONE, PREFIX, media_type_of
from collector.ingest.kserve.payloads import read_payload

Kind = Literal["request", "response", "feedback"]
_KINDS: dict[str, Kind] = {
    "org.kubeflow.serving.inference.request": "request",
    "org.kubeflow.serving.inference.response": "response",
    "io.seldon.serving.inference.request": "request",
    "io.seldon.serving.inference.response": "response",
    "io.seldon.serving.inference.feedback": "feedback",
    "io.seldon.serving.feedback": "feedback",
}
_JSON_LENGTH = "Inference-Header-Content-Length"
_GZIP = b"\x1f\x8b"
MAX_ID = 255


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that was logged: ``id`` is its own, ``request`` that of the request, which its response has too.

    ``model`` is which of several it was, where that is told. ``payload`` is its JSON, and the bytes of tensors behind
    that; None if nothing says that there are any.
    """

    id: str
    request: str
    kind: Kind
    time: str
    model: str
    payload: tuple[Any, bytes | None]


def read_events(headers: Mapping[str, str], body: bytes, limit: int) -> Iterator[Event]:
    """Yield the events of a request, the names of whose headers are in small letters.

    Raises BadBody for what is none that a model server logs, BodyTooLarge.
    """
    media_type, left = media_type_of(headers), limit

    def plain(body: bytes) -> bytes:
        """Decompress what a model server had compressed for its client, which no header tells of here."""
        nonlocal left
        if not body.startswith(_GZIP):
            return body
        unfolded = gunzipped(body, left)
        left -= len(unfolded)  # there may be many, each of which may be a bomb
        return unfolded

    if media_type == ONE:
        yield _of_json(loads(plain(body)), plain)
    elif media_type == BATCH:
        listed = loads(plain(body))
        if not isinstance(listed, list):
            raise BadBody("a batch of CloudEvents must be a list")
        for number, one in enumerate(listed):
            try:
                yield _of_json(one, plain)
            except BadBody as error:
                raise BadBody(f"event {number} of the batch: {error}") from error
    else:
        # HTTP headers have no other characters: RFC 9110, 5.5, and CloudEvents' binding to HTTP, 3.1.3.2.
        attributes = {
            name.removeprefix(PREFIX): unquote(value) for name, value in headers.items() if name.startswith(PREFIX)
        }
        yield _event(attributes, plain(body), headers.get(_JSON_LENGTH.lower()))


def _of_json(data: object, plain: Callable[[bytes], bytes]) -> Event:
    if not isinstance(data, dict):
        raise BadBody("a CloudEvent in JSON must be an object")
    attributes = {name: value for name, value in data.items() if isinstance(value, str)}
    encoded = data.get("data_base64")
    if encoded is None:
        return _event(attributes, data.get("data"), None)
    try:
        return _event(attributes, plain(base64.b64decode(encoded, validate=True)), None)
    except (binascii.Error, TypeError, ValueError) as error:
        raise BadBody("'data_base64' isn't base64") from error


def _event(attributes: Mapping[str, str], data: Any, json_length: str | None) -> Event:
    """Make an event of its attributes and its data: bytes, or a JSON value."""
    kind = _KINDS.get(attributes.get("type", ""))
    if kind is None:
        raise BadBody(
            f"the type of the CloudEvent is {attributes.get('type', '')[:200]!r}; known are {', '.join(sorted(_KINDS))}"
        )
    id_ = attributes.get("id", "")
    if not id_:
        raise BadBody("the CloudEvent has no id (Ce-Id), which is needed to find a request's response")
    # Seldon gives each message its own id, and names the request in another attribute.
    request = attributes.get("requestid") or id_
    if max(len(id_), len(request)) > MAX_ID:
        raise BadBody(f"the id of the CloudEvent has more than {MAX_ID} characters")
    if isinstance(data, str):
        data = data.encode()
    length = json_length or (_told_length(attributes.get("metadata", "")) if kind == "request" else None)
    if length is not None and not (length.isascii() and length.isdecimal() and len(length) < 16):
        raise BadBody(f"{_JSON_LENGTH} isn't a number of bytes")
    payload = read_payload(data, None if length is None else int(length)) if isinstance(data, bytes) else (data, None)
    model = attributes.get("modelid", "") if attributes.get("requestid") else ""
    return Event(id_, request, kind, attributes.get("time", ""), model, payload)


def _told_length(metadata: str) -> str | None:
    """Return the header length of a request that KServe's logger passes on; None if it passes on none."""
    if _JSON_LENGTH not in metadata:
        return None
    try:
        [length] = json.loads(metadata)[_JSON_LENGTH]
    except (ValueError, TypeError, KeyError) as error:
        raise BadBody(f'Ce-Metadata can\'t be read; write JSON, as {{"{_JSON_LENGTH}": ["123"]}}') from error
    return str(length)
