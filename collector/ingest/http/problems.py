"""Problem answers: each of our errors as RFC 9457 has it, with the original's ``status_code`` and ``detail``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from wsgiref.handlers import format_date_time

from pydantic_core import to_json

from collector import errors

_STATUSES: dict[type[errors.CollectorError], HTTPStatus] = {
    errors.BadBody: HTTPStatus.BAD_REQUEST,
    errors.ConfigError: HTTPStatus.BAD_REQUEST,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.UnknownCollector: HTTPStatus.NOT_FOUND,
    errors.IsFollower: HTTPStatus.CONFLICT,
    errors.ConfigConflict: HTTPStatus.CONFLICT,
    errors.ConfigChanged: HTTPStatus.PRECONDITION_FAILED,
    errors.NoDashboard: HTTPStatus.CONFLICT,
    errors.NoLabels: HTTPStatus.CONFLICT,
    errors.IsFetched: HTTPStatus.CONFLICT,
    errors.OwnedElsewhere: HTTPStatus.SERVICE_UNAVAILABLE,
    # Not 502, which clients take for a proxy's answer while the service restarts: they would repeat the request.
    errors.DeliveryError: HTTPStatus.FAILED_DEPENDENCY,
    errors.BodyTooSlow: HTTPStatus.REQUEST_TIMEOUT,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.BadMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.BufferFull: HTTPStatus.TOO_MANY_REQUESTS,
    errors.KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EvaluationError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.OutOfFiles: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageError: HTTPStatus.INSUFFICIENT_STORAGE,
}
_WORTH_ASKING_AGAIN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE}
RETRY_AFTER = 5
# Characters of a text; some quote the request, at any length.
MAX_TEXT = 4_000
CLOSE = b"connection: close\r\n"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: status, headers and body bytes."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def spelled_out(self, second: int, ending: bytes) -> bytes:
        """Write it as it goes over a connection, as hypercorn does; ``ending`` are the last lines of its head."""
        headers = "".join(f"{name.lower()}: {value}\r\n" for name, value in self.headers.items())
        phrase, length, date = HTTPStatus(self.status).phrase, len(self.body), format_date_time(second)
        head = f"HTTP/1.1 {self.status} {phrase}\r\n{headers}content-length: {length}\r\ndate: {date}\r\n"
        return head.encode("latin-1") + ending + b"\r\n" + self.body


def json_answer(data: Any, status: int = 200) -> Answer:
    """Answer with JSON; numbers that JSON hasn't are null."""
    return Answer(status, to_json(data, inf_nan_mode="null"), {"Content-Type": "application/json"})


def problem_answer(status: int, detail: str, **more: Any) -> Answer:
    """Answer that something is wrong."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "status_code": status, "detail": detail, **more}
    headers = {"Content-Type": "application/problem+json"}
    if status in _WORTH_ASKING_AGAIN:
        headers["Retry-After"] = str(RETRY_AFTER)
    return Answer(status, to_json(body), headers)


def answer_for(error: errors.CollectorError, request: str) -> Answer:
    """Answer with one of our errors; ``request`` is its method and path, as in ``POST /main``."""
    status = next(status for kind, status in _STATUSES.items() if isinstance(error, kind))
    if isinstance(error, errors.ConfigError):
        extra = [
            {"message": _short(problem.message), "key": _short(problem.key) or "__root__"} for problem in error.problems
        ]
        return problem_answer(status, _short(f"Validation failed for {request}: {error}"), extra=extra)
    if isinstance(error, errors.TooManyColumns):
        return problem_answer(status, _short(str(error)), new_columns=error.new_columns)
    answer = problem_answer(status, _short(str(error)))
    if isinstance(error, errors.OwnedElsewhere) and error.url:
        headers = {**answer.headers, "Location": error.url + request.partition(" ")[2]}
        return replace(answer, status=HTTPStatus.TEMPORARY_REDIRECT, headers=headers)
    return answer


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
