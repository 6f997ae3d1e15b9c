"""What clients say to a service and what they make of its answers, decided without I/O: the clients only send.

What they send arrives once: each sending carries an idempotency key, so that it can be repeated after a lost answer.
"""

from __future__ import annotations

import json
import math
import random
import re
import uuid
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar, cast
from urllib.parse import quote

import httpx

from collector.client.arrow import ARROW, Rows
from collector.client.connecting import secret_header
from collector.client.halving import Halving, Passage
from collector.errors import RequestRefused, ServiceUnavailable, UnreadableAnswer
from collector.web.answers import AS_IS, json_of, reason_of

T = TypeVar("T")
# What the rows of a body are: the last part of the path to which they go.
What = Literal["data", "labels"]

TIMEOUT = 30.0
RETRIES = 5
# Creating a collector waits until Evidently is loaded, 6 to 13 s after the service's start, and has checked the report.
CREATE_TIMEOUT = 120.0
# A service that asks for a longer pause is asked again after this one.
LONGEST_PAUSE = 60.0
# Bytes of an answer. The longest, of a service with thousands of collectors, has some megabytes.
MAX_ANSWER_BYTES = 64 * 2**20
# 408: the body came too slowly. 502 and 504: a proxy's, before a service that restarts.
_CREATED = 201
_WORTH_ASKING_AGAIN = frozenset({408, 429, 502, 503, 504, 507})


class Config(Protocol):
    """A collector's config: ours, or the original's."""

    def dict(self) -> dict[str, Any]: ...  # noqa: D102


@dataclass(frozen=True)
class Pause:
    """So long nothing is to be sent."""

    seconds: float


# A client carries out each step and sends in its outcome: the answer to a request, or the bytes that a slow call has
# written. The generator returns what the client's caller wants.
Step = httpx.Request | Pause | Callable[[], bytes]
Outcome = httpx.Response | ServiceUnavailable | bytes | None
Steps = Generator[Step, Outcome, T]


class Conversations:
    """What a client says to its service; each request is tried ``retries`` times more."""

    def __init__(self, url: str, secret: str | None, timeout: float, retries: int) -> None:
        self._url = url
        self._headers = AS_IS | secret_header(secret)
        self._timeout = timeout
        self._retries = retries
        self._passage = Passage()

    def ask(self, kind: type[T], method: str, *path: str) -> Steps[T]:
        """Send a request without a body; return the JSON of its answer, which is of this kind."""
        return self._ask(kind, self._request(method, path))

    def tap(self, collector_id: str, after: int | None, rows: int) -> Steps[dict[str, Any]]:
        """Ask for a few of the newest events."""
        request = self._request("GET", (collector_id, "tap"))
        request.url = request.url.copy_merge_params({"rows": rows} | ({} if after is None else {"after": after}))
        return self._ask(dict, request)

    def create(self, collector_id: str, collector: Config | dict[str, Any]) -> Steps[dict[str, Any]]:
        """Add or replace a collector."""
        dump = getattr(collector, "model_dump", None) or getattr(collector, "dict", None)
        body = json.dumps(dump() if dump is not None else collector).encode()
        headers = {"Content-Type": "application/json"}
        return self._ask(dict, self._request("POST", (collector_id,), body, headers, CREATE_TIMEOUT))

    def rename(self, collector_id: str, new_id: str) -> Steps[dict[str, Any]]:
        """Give a collector another id."""
        body, headers = json.dumps({"id": new_id}).encode(), {"Content-Type": "application/json"}
        return self._ask(dict, self._request("POST", (collector_id, "rename"), body, headers))

    def set_reference(self, collector_id: str, body: bytes) -> Steps[dict[str, Any]]:
        """Set the reference dataset."""
        return self._ask(dict, self._request("POST", (collector_id, "reference"), body, {"Content-Type": ARROW}))

    def send_rows(self, collector_id: str, pieces: Iterable[Rows], what: What = "data") -> Steps[dict[str, Any]]:
        """Send events, or labels; what is too large for the way goes in halves."""
        for piece in pieces:
            halving = Halving(piece, str(uuid.uuid4()), self._passage)
            for rows, key in halving:
                body = yield rows.body
                try:
                    yield from self.send_body(collector_id, cast("bytes", body), ARROW, key, what)
                except RequestRefused as error:
                    if not halving.halves_after(error):
                        raise
        return {}

    def send_body(
        self, collector_id: str, body: bytes, media_type: str, idempotency_key: str, what: What = "data"
    ) -> Steps[bool]:
        """Send events, or labels; return whether they are new: those that a lost answer of this call told of are."""
        headers = {"Content-Type": media_type, "Idempotency-Key": idempotency_key}
        response, is_repeated = yield from self._exchange(self._request("POST", (collector_id, what), body, headers))
        if response.is_error:
            raise _refused(response)
        return is_repeated or "Idempotent-Replayed" not in response.headers

    def send_batch(self, collector_id: str, body: bytes, query: dict[str, str]) -> Steps[dict[str, Any]]:
        """Send rows as a batch of their own; sent again, it is the same batch."""
        return self._ask(dict, self._batch(collector_id, body, ARROW, query))

    def send_batch_body(self, collector_id: str, body: bytes, media_type: str, query: dict[str, str]) -> Steps[bool]:
        """Send a whole batch; return whether it is new, as it also is if an earlier try of this call has sent it."""
        response, is_repeated = yield from self._exchange(self._batch(collector_id, body, media_type, query))
        if response.is_error:
            raise _refused(response)
        return is_repeated or response.status_code == _CREATED

    def _batch(self, collector_id: str, body: bytes, media_type: str, query: dict[str, str]) -> httpx.Request:
        request = self._request("POST", (collector_id, "batches"), body, {"Content-Type": media_type})
        request.url = request.url.copy_merge_params(query)
        return request

    def _request(
        self,
        method: str,
        path: tuple[str, ...],
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> httpx.Request:
        url = (
            "/".join((self._url, *(quote(part, safe="", errors="surrogatepass") for part in path)))
            if path
            else f"{self._url}/"
        )
        patience = {"timeout": httpx.Timeout(timeout or self._timeout).as_dict()}
        return httpx.Request(method, url, headers=self._headers | (headers or {}), content=body, extensions=patience)

    def _ask(self, kind: type[T], request: httpx.Request) -> Steps[T]:
        response, is_repeated = yield from self._exchange(request)
        content: Any = _content(response)
        if response.status_code == 404 and is_repeated and request.method == "DELETE":
            # the first try has deleted it; only its lost answer said how many rows went
            content = {"rows_dropped": None}
        elif response.is_error:
            raise _refused(response)
        if not isinstance(content, kind):
            raise _no_collector(response)
        return content

    def _exchange(self, request: httpx.Request) -> Steps[tuple[httpx.Response, bool]]:
        """Return a service's answer, and whether it was asked more than once."""
        for attempt in range(self._retries + 1):
            outcome = yield request
            if isinstance(outcome, httpx.Response):
                if (found := _problem_with(outcome)) is None:
                    return outcome, attempt > 0
                outcome = found
            problem = cast("ServiceUnavailable", outcome)
            if attempt < self._retries:
                yield Pause(pause_after(attempt, problem))
        raise problem


def window_query(start: datetime | str, end: datetime | str) -> dict[str, str]:
    """Return the query that names a batch's window."""
    named = {"start": start, "end": end}
    return {name: at if isinstance(at, str) else at.isoformat() for name, at in named.items()}


def unavailable(
    request: httpx.Request, error: httpx.RequestError | UnreadableAnswer, by: str = ""
) -> ServiceUnavailable:
    """Return the error that says why no answer of a service has come."""
    said = f": {error}" if isinstance(error, UnreadableAnswer) else f" can't be reached{by}: {reason_of(error)}"
    problem = ServiceUnavailable(f"{request.url.scheme}://{request.url.netloc.decode()}{said}")
    problem.__cause__ = error
    return problem


def pause_after(attempt: int, problem: ServiceUnavailable) -> float:
    """Return the seconds before the next try: 0.2 s and doubling, shortened by up to a half; or as the service asks."""
    return max(problem.retry_after, 0.2 * math.pow(2, attempt) * random.uniform(0.5, 1))  # noqa: S311


def _problem_with(response: httpx.Response) -> ServiceUnavailable | None:
    """Say why another try may help; None if it won't. What answers in a collector's place, as a proxy, kept nothing."""
    is_ours = isinstance(_content(response), dict | list)
    if response.status_code in _WORTH_ASKING_AGAIN or (response.is_server_error and not is_ours):
        after = response.headers.get("Retry-After", "")
        said = f"{_place(response)} answered {response.status_code}: {_detail(response)}"
        return ServiceUnavailable(said, min(float(after), LONGEST_PAUSE) if after.isdecimal() else 0.0)
    if response.is_redirect:
        leads_to = response.headers["Location"]
        return ServiceUnavailable(f"{_place(response)} redirects to {leads_to}; give the address that answers itself")
    return None if response.is_error or is_ours else _no_collector(response)


def _refused(response: httpx.Response) -> RequestRefused:
    content = _content(response)
    new_columns = content.get("new_columns") if isinstance(content, dict) else None
    return RequestRefused(response.status_code, _detail(response), new_columns if isinstance(new_columns, list) else ())


def _content(response: httpx.Response) -> Any:
    try:
        return json_of(response)
    except ValueError:
        return None


def _detail(response: httpx.Response) -> str:
    content = _content(response)
    if isinstance(content, dict) and "detail" in content:
        return str(content["detail"])
    title = re.search(
        r"<title>(.*?)</title>", response.text, re.DOTALL | re.IGNORECASE
    )  # a page of a proxy's, not ours
    return " ".join((title[1] if title else response.text).split())[:300]


def _no_collector(response: httpx.Response) -> ServiceUnavailable:
    return ServiceUnavailable(f"{_place(response)} answered {response.status_code}, but not as a collector does")


def _place(response: httpx.Response) -> str:
    url = response.request.url
    return f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode()}"
