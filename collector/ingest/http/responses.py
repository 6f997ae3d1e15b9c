"""Responses: our answers as Quart sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Response

if TYPE_CHECKING:
    from collector.ingest.http.problems import Answer


def response_of(answer: Answer) -> Response:
    """Return an answer as a response of Quart's."""
    response = Response(answer.body, answer.status, answer.headers)
    if not answer.body:
        response.headers.pop("Content-Type", None)
    return response
