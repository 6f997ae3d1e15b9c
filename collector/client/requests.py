"""Clients of the service: the same methods, blocking and async (trio and asyncio).

What they send arrives once: each sending carries an idempotency key, so that it can be repeated after a lost answer.
"""

from __future__ import annotations

import json
import math
import random
import ssl
import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import quote

import anyio
import anyio.to_thread
import httpx

from collector.client.arrow import ARROW, arrow_bodies, arrow_body, table_of
from collector.errors import ConfigError, RequestRefused, ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Self

    import pandas as pd
    import pyarrow as pa

    from collector.client.async_buffer import AsyncEventBuffer
    from collector.client.buffer import EventBuffer, Lost

TIMEOUT = 30.0
RETRIES = 5
# Creating a collector waits until Evidently is loaded, 6 to 13 s after the service's start, and has checked the report.
CREATE_TIMEOUT = 120.0
_WORTH_ASKING_AGAIN = frozenset({429, 502, 503, 504, 507})  # 502 and 504: a proxy's, before a service that restarts


class _Config(Protocol):
    def dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    timeout: float | None = None


class CollectorClient:
    """Talks to a collector service.

    ``timeout`` is in seconds, for each request; connection errors, 429, 502, 503, 504 and 507 are tried ``retries``
    times more, with pauses that grow. ``verify`` says whom to trust over TLS, as in httpx: a context, or a file with
    the certificates of an authority of one's own. Raises RequestRefused for what the service says no to,
    ServiceUnavailable when it can't be had, ConfigError if the file can't be used.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8001",
        secret: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        verify: ssl.SSLContext | str | bool = True,
    ) -> None:
        trust = _trust(verify)
        self._retries = retries
        self._client = httpx.Client(
            base_url=_url(base_url), headers=_secret_header(secret), timeout=timeout, verify=trust
        )
        # A buffer's thread has connections of its own, whatever becomes of these.
        self._again = partial(CollectorClient, base_url, secret, timeout=timeout, retries=0, verify=trust)

    def create_collector(self, id: str, collector: _Config | dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        """Add or replace a collector; return its config as the service has it."""
        created: dict[str, Any] = self._send(_create(id, collector))
        return created

    def send_data(self, id: str, data: pd.DataFrame | pa.Table) -> dict[str, Any]:  # noqa: A002
        """Send events, one a row; when it returns they are durable. The index is not kept.

        More than 64 MiB go in several requests; if a later one fails, those before it have been kept.
        """
        for request in _sendings(id, data):
            self._send(request)
        return {}

    def send_body(self, id: str, body: bytes, media_type: str, idempotency_key: str) -> bool:  # noqa: A002
        """Send events in any form that the service takes, in one request; return whether they are new to it.

        They aren't if the key came before, in a call of which this is the repetition.
        """
        headers = {"Content-Type": media_type, "Idempotency-Key": idempotency_key}
        return _is_new(*self._exchange(_Request("POST", _path(id, "data"), body, headers)))

    def buffered(  # noqa: PLR0913  (each is a choice of its own)
        self,
        id: str,  # noqa: A002
        *,
        max_rows: int = 10_000,
        max_delay: float = 1.0,
        max_waiting: int = 100_000,
        when_full: Literal["block", "drop"] = "block",
        on_lost: Lost | None = None,
    ) -> EventBuffer:
        """Take single events, each in microseconds, and send them from a thread: ``with client.buffered("main") as b``.

        They go as soon as ``max_rows`` wait, so many in a request, or the oldest has waited for ``max_delay`` seconds;
        at ``close``, at the end of the block, and at the interpreter's exit, but not by ``os._exit`` or a signal that
        kills. Memory is bounded by ``max_waiting`` events; ``when_full`` says whether one more waits for room or is
        dropped and counted. The service's absence is sat out. Events that it refuses, or that could not be sent before
        the end, are lost: logged, counted, and given to ``on_lost`` with the error, in the thread; ``flush`` and
        ``close`` raise the error. In a forked child the buffer begins empty: what waits is the parent's to send.
        """
        from collector.client.buffer import BufferBounds, EventBuffer

        return EventBuffer(self._again, id, BufferBounds(max_rows, max_delay, max_waiting), when_full, on_lost)

    def set_reference(self, id: str, reference: pd.DataFrame | pa.Table) -> dict[str, Any]:  # noqa: A002
        """Set the reference dataset, from the next batch on."""
        answer: dict[str, Any] = self._send(_reference(id, reference))
        return answer

    def get_collector(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Give a collector's config; its secret is masked."""
        config: dict[str, Any] = self._send(_Request("GET", _path(id)))
        return config

    def get_logs(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """Tell what became of a collector's last batches, newest first."""
        logs: list[dict[str, Any]] = self._send(_Request("GET", _path(id, "logs")))
        return logs

    def delete_collector(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Remove a collector with all its events; ``rows_dropped`` says how many were not delivered, if it is known."""
        dropped: dict[str, Any] = self._send(_Request("DELETE", _path(id)))
        return dropped

    def get_failed(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """List the batches whose report failed, oldest first; they are kept."""
        failed: list[dict[str, Any]] = self._send(_Request("GET", _path(id, "failed")))
        return failed

    def retry_failed(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """Have the batches evaluated again whose report failed; return them."""
        retried: list[dict[str, Any]] = self._send(_Request("POST", _path(id, "failed")))
        return retried

    def flush(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Seal and evaluate what waits now; ``batch_id`` is None if nothing does."""
        sealed: dict[str, Any] = self._send(_Request("POST", _path(id, "flush")))
        return sealed

    def status(self) -> dict[str, Any]:
        """Say how the service, its config file and each of its collectors stand."""
        status: dict[str, Any] = self._send(_Request("GET", "/"))
        return status

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, request: _Request) -> Any:
        return _content(*self._exchange(request))

    def _exchange(self, request: _Request) -> tuple[httpx.Response, bool]:
        """Give the service's answer, and whether it was asked more than once."""
        for attempt in range(self._retries + 1):
            try:
                response = self._client.request(**_arguments(request))
            except httpx.TransportError as error:
                problem = _unavailable(error, self._client)
            else:
                if response.status_code not in _WORTH_ASKING_AGAIN:
                    return response, attempt > 0
                problem = _asked_to_wait(response)
            if attempt < self._retries:
                time.sleep(pause_after(attempt, problem))
        raise problem


class AsyncCollectorClient:
    """Talks to a collector service from trio or asyncio; like CollectorClient."""

    def __init__(
        self,
        base_url: str = "http://localhost:8001",
        secret: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        verify: ssl.SSLContext | str | bool = True,
    ) -> None:
        self._retries = retries
        self._client = httpx.AsyncClient(
            base_url=_url(base_url), headers=_secret_header(secret), timeout=timeout, verify=_trust(verify)
        )

    async def create_collector(self, id: str, collector: _Config | dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        """Add or replace a collector; return its config as the service has it."""
        created: dict[str, Any] = await self._send(_create(id, collector))
        return created

    async def send_data(self, id: str, data: pd.DataFrame | pa.Table) -> dict[str, Any]:  # noqa: A002
        """Send events, one a row; when it returns they are durable. The index is not kept.

        More than 64 MiB go in several requests; if a later one fails, those before it have been kept.
        Cancellation: what was sent before it may have been kept.
        """
        for request in await anyio.to_thread.run_sync(list, _sendings(id, data)):
            await self._send(request)
        return {}

    async def send_body(self, id: str, body: bytes, media_type: str, idempotency_key: str) -> bool:  # noqa: A002
        """Send events in any form that the service takes, in one request; return whether they are new to it.

        They aren't if the key came before, in a call of which this is the repetition.
        """
        headers = {"Content-Type": media_type, "Idempotency-Key": idempotency_key}
        return _is_new(*await self._exchange(_Request("POST", _path(id, "data"), body, headers)))

    def buffered(
        self,
        id: str,  # noqa: A002
        *,
        max_rows: int = 10_000,
        max_delay: float = 1.0,
        max_waiting: int = 100_000,
        on_lost: Lost | None = None,
    ) -> AbstractAsyncContextManager[AsyncEventBuffer]:
        """Take single events, and send them from a task of the block: ``async with client.buffered("main") as buffer``.

        They go as soon as ``max_rows`` wait, so many in a request, or the first has waited for ``max_delay`` seconds.
        When ``max_waiting`` wait, ``send`` waits for room and ``send_nowait`` drops. The service's absence is sat out.
        Events that it refuses are lost: logged, counted, and given to ``on_lost`` with the error; ``flush`` and the end
        of the block raise the error. The block ends once all is sent, however long that takes.
        Cancellation: what is not yet sent is lost, but for the request on its way.
        """
        from collector.client.async_buffer import open_buffer
        from collector.client.buffer import BufferBounds

        return open_buffer(self, id, BufferBounds(max_rows, max_delay, max_waiting), on_lost)

    async def set_reference(self, id: str, reference: pd.DataFrame | pa.Table) -> dict[str, Any]:  # noqa: A002
        """Set the reference dataset, from the next batch on."""
        answer: dict[str, Any] = await self._send(await anyio.to_thread.run_sync(_reference, id, reference))
        return answer

    async def get_collector(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Give a collector's config; its secret is masked."""
        config: dict[str, Any] = await self._send(_Request("GET", _path(id)))
        return config

    async def get_logs(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """Tell what became of a collector's last batches, newest first."""
        logs: list[dict[str, Any]] = await self._send(_Request("GET", _path(id, "logs")))
        return logs

    async def delete_collector(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Remove a collector with all its events; ``rows_dropped`` says how many were not delivered, if it is known."""
        dropped: dict[str, Any] = await self._send(_Request("DELETE", _path(id)))
        return dropped

    async def get_failed(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """List the batches whose report failed, oldest first; they are kept."""
        failed: list[dict[str, Any]] = await self._send(_Request("GET", _path(id, "failed")))
        return failed

    async def retry_failed(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """Have the batches evaluated again whose report failed; return them."""
        retried: list[dict[str, Any]] = await self._send(_Request("POST", _path(id, "failed")))
        return retried

    async def flush(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Seal and evaluate what waits now; ``batch_id`` is None if nothing does."""
        sealed: dict[str, Any] = await self._send(_Request("POST", _path(id, "flush")))
        return sealed

    async def status(self) -> dict[str, Any]:
        """Say how the service, its config file and each of its collectors stand."""
        status: dict[str, Any] = await self._send(_Request("GET", "/"))
        return status

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _send(self, request: _Request) -> Any:
        return _content(*await self._exchange(request))

    async def _exchange(self, request: _Request) -> tuple[httpx.Response, bool]:
        """Give the service's answer, and whether it was asked more than once."""
        for attempt in range(self._retries + 1):
            try:
                response = await self._client.request(**_arguments(request))
            except httpx.TransportError as error:
                problem = _unavailable(error, self._client)
            else:
                if response.status_code not in _WORTH_ASKING_AGAIN:
                    return response, attempt > 0
                problem = _asked_to_wait(response)
            if attempt < self._retries:
                await anyio.sleep(pause_after(attempt, problem))
        raise problem


def _url(base_url: str) -> str:
    return base_url.strip().removeprefix("<").removesuffix(">")  # as RFC 3986 and the original's docs write one in text


def _trust(verify: ssl.SSLContext | str | bool) -> ssl.SSLContext | bool:  # noqa: FBT001  (as in httpx)
    if not isinstance(verify, str):
        return verify
    try:
        return ssl.create_default_context(cafile=verify)
    except OSError as error:
        raise ConfigError.at(
            f"no certificates can be read from it: {error.strerror or error}", source=verify
        ) from error


def _secret_header(secret: str | None) -> dict[str, str]:
    return {} if secret is None else {"evidently-secret": secret}


def _path(collector_id: str, *rest: str) -> str:
    return "/".join(("", quote(collector_id, safe=""), *rest))


def _create(collector_id: str, collector: _Config | dict[str, Any]) -> _Request:
    dump = getattr(collector, "model_dump", None) or getattr(collector, "dict", None)
    body = json.dumps(dump() if dump is not None else collector).encode()
    return _Request("POST", _path(collector_id), body, {"Content-Type": "application/json"}, CREATE_TIMEOUT)


def _reference(collector_id: str, reference: pd.DataFrame | pa.Table) -> _Request:
    return _Request("POST", _path(collector_id, "reference"), arrow_body(table_of(reference)), {"Content-Type": ARROW})


def _sendings(collector_id: str, data: pd.DataFrame | pa.Table) -> Iterator[_Request]:
    for body in arrow_bodies(table_of(data)):
        headers = {"Content-Type": ARROW, "Idempotency-Key": str(uuid.uuid4())}
        yield _Request("POST", _path(collector_id, "data"), body, headers)


def _arguments(request: _Request) -> dict[str, Any]:
    timeout = {} if request.timeout is None else {"timeout": request.timeout}
    return {
        "method": request.method,
        "url": request.path,
        "content": request.content,
        "headers": request.headers,
        **timeout,
    }


def _is_new(response: httpx.Response, is_repeated: bool) -> bool:  # noqa: FBT001  (as in _content)
    """Tell whether events were new; what only a lost answer of this very call has kept is."""
    _content(response, is_repeated)
    return is_repeated or "Idempotent-Replayed" not in response.headers


def _content(response: httpx.Response, is_repeated: bool) -> Any:  # noqa: FBT001  (both are what an exchange gives)
    if is_repeated and response.request.method == "DELETE" and response.status_code == 404:
        return {"rows_dropped": None}  # the first try has deleted it; how many rows went was in the lost answer
    if response.status_code >= 400:
        raise RequestRefused(response.status_code, _detail(response))
    return response.json()


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):  # a proxy's page, not ours
        return response.text[:300]


def _unavailable(error: httpx.TransportError, client: httpx.Client | httpx.AsyncClient) -> ServiceUnavailable:
    unavailable = ServiceUnavailable(f"{client.base_url} can't be reached: {_reason(error)}")
    unavailable.__cause__ = error
    return unavailable


def _reason(error: BaseException) -> str:
    """Give the first words in a chain of errors: on trio, httpx has none for a certificate that isn't trusted."""
    cause = error.__cause__ or error.__context__
    if not str(error) and cause is not None:
        return _reason(cause)
    return str(error) or type(error).__name__


def _asked_to_wait(response: httpx.Response) -> ServiceUnavailable:
    after = response.headers.get("Retry-After", "")
    message = f"{response.url} answered {response.status_code}: {_detail(response)}"
    return ServiceUnavailable(message, float(after) if after.isdigit() else 0.0)


def pause_after(attempt: int, problem: ServiceUnavailable) -> float:
    """Give the seconds before the next try: 0.2 s and doubling, shortened by up to a half; or as the service asks."""
    return max(problem.retry_after, 0.2 * math.pow(2, attempt) * random.uniform(0.5, 1))  # noqa: S311
