"""The OpenAPI document, made by quart-schema when it is first asked for: its import would double the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from quart_schema import (
    APIKeySecurityScheme,
    Info,
    OpenAPIProvider,
    QuartSchema,
    document_request,
    document_response,
    hide,
)

from collector import __version__
from collector.config import CollectorConfig
from collector.config.labels import MAIN, REPORTS
from collector.formats.frames import FORMATS
from collector.ingest.http.admin import MAX_SHOWN_SNAPSHOTS, SHOWN_SNAPSHOTS
from collector.ingest.http.cloud_events import BATCH, ONE
from collector.ingest.http.page.routes import PAGE_ROUTES
from collector.ingest.http.probes import OPEN_ROUTES
from collector.status.status import ServiceStatus
from collector.store.records import SnapshotState
from collector.supervision.edits import Changes

if TYPE_CHECKING:
    from quart import Quart


class Kept(BaseModel):
    """What was sent is durable."""


class Complaint(BaseModel):
    """One thing wrong with a config, and where it stands."""

    message: str
    key: str


class Problem(BaseModel):
    """What is wrong, as RFC 9457 has it, with the original collector's ``status_code``."""

    type: str
    title: str
    status: int
    status_code: int
    detail: str
    extra: list[Complaint] = []


class Failed(BaseModel):
    """A batch whose report failed; it is kept."""

    batch_id: str
    rows: int
    error: str
    attempts: int


class LogEntry(BaseModel):
    """What became of a batch; more is told where there is more to tell."""

    type: str
    report_id: str
    ok: bool
    error: str
    time: str
    batch_id: str
    rows: int
    window: list[str]


class BySegment(BaseModel):
    """The segments of a batch: those with a report, those that are too small for one, and why some are bad."""

    names: list[str]
    skipped: list[str]
    bad: dict[str, str]


class SnapshotTold(BaseModel):
    """What came of a batch; of a report that failed its error only, which is empty otherwise."""

    batch_id: str
    report: str
    segment: str
    state: SnapshotState
    rows: int
    window: list[str]
    made: str
    delivered: str | None
    bad_since: str | None
    error: str
    generation: str = ""
    kind: str = ""
    report_id: str = ""
    drift_share: float | None = None
    drifted_columns: int | None = None
    columns: int | None = None
    dataset_drift: bool | None = None
    tests: dict[str, int] = {}
    failed_metrics: int = 0
    findings: dict[str, Any] = {}
    matched_rows: int | None = None
    by_segment: BySegment | None = None


class Flushed(BaseModel):
    """The batch that was sealed; null if nothing waited."""

    batch_id: str | None
    rows: int


class BatchTaken(BaseModel):
    """The batch that a body is, and the window that it is of."""

    batch_id: str
    rows: int
    window: list[str]


class Shown(BaseModel):
    """A collector whose dashboard was made, and how many panels it has."""

    id: str
    panels: int


class Dropped(BaseModel):
    """A collector that was removed, and how many rows that were not delivered went with it."""

    id: str
    rows_dropped: int


class Tapped(BaseModel):
    """A few events, oldest first, and the number to ask with for those that come after them."""

    rows: list[dict[str, Any]]
    next: int


class NewId(BaseModel):
    """What a collector is to be called."""

    id: str


class Health(BaseModel):
    """The service's state in a word."""

    status: str


_ANSWERS: dict[str, dict[int, Any]] = {
    "get_status": {200: ServiceStatus},
    "livez": {200: Health},
    "readyz": {200: Health, 503: Problem},
    "reload": {200: Changes, 400: Problem},
    "openapi": {200: dict[str, Any]},
    "create_collector": {201: CollectorConfig, **dict.fromkeys((400, 405, 408, 409, 412, 413, 415, 507), Problem)},
    "get_collector": {200: CollectorConfig, 404: Problem},
    "delete_collector": {200: Dropped, **dict.fromkeys((404, 405, 409, 412, 507), Problem)},
    "rename_collector": {200: CollectorConfig, **dict.fromkeys((400, 404, 408, 409, 412, 413, 507), Problem)},
    "tap": {200: Tapped, **dict.fromkeys((400, 404), Problem)},
    "send_data": {200: Kept, 201: Kept, **dict.fromkeys((400, 404, 408, 409, 413, 415, 422, 429, 507), Problem)},
    "send_batch": {
        200: BatchTaken,
        201: BatchTaken,
        **dict.fromkeys((400, 404, 408, 413, 422, 429, 507), Problem),
    },
    "send_labels": {201: Kept, **dict.fromkeys((400, 404, 408, 409, 413, 422, 429, 507), Problem)},
    "set_reference": {201: Kept, **dict.fromkeys((400, 404, 408, 409, 413, 507), Problem)},
    "flush": {200: Flushed, 202: Flushed, 404: Problem, 507: Problem},
    "get_failed": {200: list[Failed], 404: Problem},
    "retry_failed": {202: list[Failed], 404: Problem, 507: Problem},
    "show_dashboard": {200: Shown, **dict.fromkeys((404, 409, 424, 507), Problem)},
    "get_logs": {200: list[LogEntry], 404: Problem},
    "get_snapshots": {200: list[SnapshotTold], **dict.fromkeys((400, 404, 507), Problem)},
}
# Answers of every route: the secret is missing; the page isn't allowed; the service stops or has too much to do.
_OF_ALL = dict.fromkeys((401, 403, 503), Problem)
_TABLES = {
    "application/json": {"schema": {"example": {"age": {"0": 41, "1": 37}}}},
    **{media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in FORMATS},
}
_CLOUD_EVENTS = {media_type: {"schema": {"type": "object"}} for media_type in (ONE, BATCH)}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes it safe to send the same again within a day.",
    "schema": {"type": "string"},
}

_BATCH: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "query",
        "required": True,
        "description": f"The {name} of the batch's window, in ISO 8601; without a zone it is UTC.",
        "schema": {"type": "string"},
        "example": f"2026-03-0{day}T00:00:00Z",
    }
    for day, name in enumerate(("start", "end"), 1)
]
_BATCH += [
    {"name": name, "in": "query", "description": description, "schema": {"type": "boolean"}}
    for name, description in (
        ("backfill", "The batch is history: it gives way to new batches, fires no alert and changes no trend."),
        ("replace", "The batch replaces the batches of the same window."),
    )
]
_TAP = [
    {"name": "after", "in": "query", "description": "The `next` of the last answer.", "schema": {"type": "integer"}},
    {"name": "rows", "in": "query", "description": "How many at most; by default 10.", "schema": {"type": "integer"}},
]
_VERBOSE = {
    "name": "verbose",
    "in": "query",
    "description": "If given, each check is listed, as text.",
    "allowEmptyValue": True,
    "schema": {"type": "string"},
}


_SEGMENT = {
    "name": "segment",
    "in": "query",
    "description": "The segment whose snapshots are listed, instead of those of all rows.",
    "schema": {"type": "string", "default": ""},
}
_REPORT = {
    "name": "report",
    "in": "query",
    "description": "The report whose snapshots are listed: of all rows, or of the rows that have labels.",
    "schema": {"type": "string", "enum": list(REPORTS), "default": MAIN},
}
_LIMIT = {
    "name": "limit",
    "in": "query",
    "description": "How many are listed.",
    "schema": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_SHOWN_SNAPSHOTS,
        "default": SHOWN_SNAPSHOTS,
    },
}


def openapi_document(app: Quart) -> dict[str, Any]:
    """Describe the routes of an application."""
    app.config.update(QUART_SCHEMA_CONVERSION_PREFERENCE="pydantic", QUART_SCHEMA_CONVERT_CASING=False)
    for endpoint in PAGE_ROUTES:  # pages are for people, and may change at any time
        hide(app.view_functions[endpoint])
    for endpoint, answers in _ANSWERS.items():
        for status, model in {**answers, **({403: Problem} if endpoint in OPEN_ROUTES else _OF_ALL)}.items():
            document_response(model, status)(app.view_functions[endpoint])
    document_request(CollectorConfig)(app.view_functions["create_collector"])
    document_request(NewId)(app.view_functions["rename_collector"])
    document = OpenAPIProvider(app, _extension()).schema()
    _describe_tables(document["paths"])
    _describe_texts(document["paths"])
    document["paths"]["/{collector_id}/tap"]["get"]["parameters"] += _TAP
    for route in (route for methods in document["paths"].values() for route in methods.values()):
        _describe_problems(route["responses"])
        _give_examples(route["parameters"])
    return document


def _extension() -> QuartSchema:
    return QuartSchema(
        info=Info(title="Evidently collector", version=__version__),
        security_schemes={"secret": APIKeySecurityScheme(name="evidently-secret", in_="header")},
        security=[{"secret": []}],
    )


def _describe_tables(paths: dict[str, Any]) -> None:
    """Add what quart-schema can't express: bodies of several media types, and a header."""
    for route in ("data", "labels", "batches", "reference"):
        paths[f"/{{collector_id}}/{route}"]["post"]["requestBody"] = {"required": True, "content": _TABLES}
    paths["/{collector_id}/data"]["post"]["requestBody"]["content"] = _TABLES | _CLOUD_EVENTS
    for route in ("data", "labels"):
        paths[f"/{{collector_id}}/{route}"]["post"]["parameters"].append(_IDEMPOTENCY_KEY)
    paths["/{collector_id}/batches"]["post"]["parameters"] += _BATCH
    paths["/{collector_id}/snapshots"]["get"]["parameters"] += [_LIMIT, _REPORT, _SEGMENT]


def _describe_texts(paths: dict[str, Any]) -> None:
    """Describe the answers that are text: metrics, and health check by check."""
    text = {"schema": {"type": "string"}}
    paths["/metrics"]["get"]["responses"]["200"] = {
        "description": "In Prometheus' text format, or OpenMetrics if the request accepts that.",
        "content": {"text/plain": text, "application/openmetrics-text": text},
    }
    for route in ("/livez", "/readyz"):
        paths[route]["get"]["parameters"].append(_VERBOSE)
        for answer in paths[route]["get"]["responses"].values():
            answer["content"]["text/plain"] = text


def _describe_problems(responses: dict[str, Any]) -> None:
    """Say that errors have a media type of their own."""
    for status, response in responses.items():
        if int(status) >= 400:
            response["content"]["application/problem+json"] = response["content"].pop("application/json")


def _give_examples(parameters: list[dict[str, Any]]) -> None:
    for parameter in parameters:
        if parameter["name"] == "collector_id":
            parameter["example"] = "main"
