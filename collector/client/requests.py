"""What clients say to a service and what they make of its answers, decided without I/O: the clients only send.

What they send arrives once: each sending carries an idempotency key, so that it can be repeated after a lost answer.
"""

from __future__ import annotations

import json
import math
import random
import ssl
import uuid
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import httpx

from collector.client.arrow import ARROW
from collector.errors import ConfigError, RequestRefused, ServiceUnavailable

T = TypeVar("T")

TIMEOUT = 30.0
RETRIES = 5
# Creating a collector waits until Evidently is loaded, 6 to 13 s after the service's start, and has checked the report.
CREATE_TIMEOUT = 120.0
_WORTH_ASKING_AGAIN = frozenset({429, 502, 503, 504, 507})  # 502 and 504: a proxy's, before a service that restarts


class Config(Protocol):
    """A collector's config: ours, or the original's."""

    def dict(self) -> dict[str, Any]: ...  # noqa: D102


@dataclass(frozen=True)
class Pause:
    """So long nothing is to be sent."""

    seconds: float


# Each step is done by a client, which sends its outcome in. What is returned is what the client's caller wants.
Outcome = httpx.Response | ServiceUnavailable | None
Steps = Generator[httpx.Request | Pause, Outcome, T]


class Conversations:
    """What a client says to its service; each request is tried ``retries`` times more."""

    def __init__(self, base_url: str, secret: str | None, timeout: float, retries: int) -> None:
        self._url = base_url.strip().removeprefix("<").removesuffix(">").rstrip("/")  # <…> as in the original's docs
        self._headers = {} if secret is None else {"evidently-secret": secret}
        self._timeout = timeout
        self._retries = retries

    def ask(self, kind: type[T], method: str, *path: str) -> Steps[T]:
        """Send a request without a body; return the JSON of its answer, which is of this kind."""
        return self._ask(kind, self._request(method, path))

    def create(self, collector_id: str, collector: Config | dict[str, Any]) -> Steps[dict[str, Any]]:
        """Add or replace a collector."""
        dump = getattr(collector, "model_dump", None) or getattr(collector, "dict", None)
        body = json.dumps(dump() if dump is not None else collector).encode()
        headers = {"Content-Type": "application/json"}
        return self._ask(dict, self._request("POST", (collector_id,), body, headers, CREATE_TIMEOUT))

    def set_reference(self, collector_id: str, body: bytes) -> Steps[dict[str, Any]]:
        """Set the reference dataset."""
        return self._ask(dict, self._request("POST", (collector_id, "reference"), body, {"Content-Type": ARROW}))

    def send_bodies(self, collector_id: str, bodies: Iterable[bytes]) -> Steps[dict[str, Any]]:
        """Send the Arrow bodies of some events."""
        for body in bodies:
            yield from self.send_body(collector_id, body, ARROW, str(uuid.uuid4()))
        return {}

    def send_body(self, collector_id: str, body: bytes, media_type: str, idempotency_key: str) -> Steps[bool]:
        """Send events; return whether they are new: those that a lost answer of this very call told of are."""
        headers = {"Content-Type": media_type, "Idempotency-Key": idempotency_key}
        response, is_repeated = yield from self._exchange(self._request("POST", (collector_id, "data"), body, headers))
        _content(response)
        return is_repeated or "Idempotent-Replayed" not in response.headers

    def _request(
        self,
        method: str,
        path: tuple[str, ...],
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> httpx.Request:
        url = "/".join((self._url, *(quote(part, safe="") for part in path))) if path else f"{self._url}/"
        patience = {"timeout": httpx.Timeout(timeout or self._timeout).as_dict()}
        return httpx.Request(method, url, headers=self._headers | (headers or {}), content=body, extensions=patience)

    def _ask(self, kind: type[T], request: httpx.Request) -> Steps[T]:
        response, is_repeated = yield from self._exchange(request)
        if is_repeated and request.method == "DELETE" and response.status_code == 404:
            content: Any = {"rows_dropped": None}  # the first try has deleted it; how many rows went, its answer said
        else:
            content = _content(response)
        if not isinstance(content, kind):
            raise RequestRefused(response.status_code, f"{request.url} answers, but is no collector service")
        return content

    def _exchange(self, request: httpx.Request) -> Steps[tuple[httpx.Response, bool]]:
        """Return the service's answer, and whether it was asked more than once."""
        for attempt in range(self._retries + 1):
            outcome = yield request
            if isinstance(outcome, httpx.Response):
                if outcome.status_code not in _WORTH_ASKING_AGAIN:
                    return outcome, attempt > 0
                problem = _asked_to_wait(outcome)
            elif outcome is not None:
                problem = outcome
            if attempt < self._retries:
                yield Pause(pause_after(attempt, problem))
        raise problem


def trusted(verify: ssl.SSLContext | str | bool) -> ssl.SSLContext | bool:  # noqa: FBT001  (as in httpx)
    """Return whom to trust, read from a file if it is one; raise ConfigError if it holds no certificates."""
    if not isinstance(verify, str):
        return verify
    try:
        return ssl.create_default_context(cafile=verify)
    except OSError as error:
        problem = f"no certificates can be read from it: {error.strerror or error}"
        raise ConfigError.at(problem, source=verify) from error


def unreachable(request: httpx.Request, error: httpx.TransportError) -> ServiceUnavailable:
    """Say that a service can't be reached, and why."""
    url = request.url
    unavailable = ServiceUnavailable(f"{url.scheme}://{url.netloc.decode()} can't be reached: {_reason(error)}")
    unavailable.__cause__ = error
    return unavailable


def pause_after(attempt: int, problem: ServiceUnavailable) -> float:
    """Return the seconds before the next try: 0.2 s and doubling, shortened by up to a half; or as the service asks."""
    return max(problem.retry_after, 0.2 * math.pow(2, attempt) * random.uniform(0.5, 1))  # noqa: S311


def _content(response: httpx.Response) -> Any:
    if response.status_code >= 400:
        raise RequestRefused(response.status_code, _detail(response))
    return response.json()


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):  # a proxy's page, not ours
        return response.text[:300]


def _reason(error: BaseException) -> str:
    """Return the first words in a chain of errors: on trio, httpx has none for a certificate that isn't trusted."""
    cause = error.__cause__ or error.__context__
    if not str(error) and cause is not None:
        return _reason(cause)
    return str(error) or type(error).__name__


def _asked_to_wait(response: httpx.Response) -> ServiceUnavailable:
    after = response.headers.get("Retry-After", "")
    message = f"{response.url} answered {response.status_code}: {_detail(response)}"
    return ServiceUnavailable(message, float(after) if after.isdigit() else 0.0)
