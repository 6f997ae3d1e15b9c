"""httpx's transports, with bounds: few interim answers, and for a request with a time-out a whole answer in time.

httpx's own time-outs are for silence: a server that sends a byte now and then holds whoever waits for it for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

from collector.web.interim import Interim


class Transport(httpx.HTTPTransport):
    """For a client that blocks; the time-out for reading is that of a whole answer, from when its request is sent."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        pool: Any = self._pool  # the pool takes a backend, but httpx has no option for one
        pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001


class AsyncTransport(httpx.AsyncHTTPTransport):
    """For one on an event loop; the same if answers are ``timed``."""

    def __init__(self, *, is_timed: bool, **options: Any) -> None:
        super().__init__(**options)
        pool: Any = self._pool  # as above
        pool._network_backend = _AsyncBackend(pool._network_backend, is_timed=is_timed)  # noqa: SLF001


class _Awaited:
    """The answer to the last request that was written on a connection."""

    def __init__(self, *, is_timed: bool) -> None:
        self._is_timed = is_timed
        self._interim = Interim()
        self._end: float | None = None

    def begin(self) -> None:
        self._end = None
        self._interim.begin()

    def time_left(self, timeout: float | None) -> float | None:
        """Return how many seconds the next bytes may take; raise ReadTimeout if the time is up."""
        if timeout is None or not self._is_timed:
            return timeout
        now = time.monotonic()
        self._end = now + timeout if self._end is None else self._end
        if now >= self._end:
            raise httpcore.ReadTimeout("the answer didn't end in time")
        return self._end - now

    def look(self, data: bytes) -> bytes:
        self._interim.look(data)
        return data


class _Stream(httpcore.NetworkStream):
    def __init__(self, inside: httpcore.NetworkStream) -> None:
        self._inside = inside
        self._awaited = _Awaited(is_timed=True)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._awaited.look(self._inside.read(max_bytes, self._awaited.time_left(timeout)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._awaited.begin()
        self._inside.write(buffer, timeout)

    def close(self) -> None:
        self._inside.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inside.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inside.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inside: httpcore.NetworkBackend) -> None:
        self._inside = inside

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inside.connect_tcp(host, port, timeout, local_address, socket_options))


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, inside: httpcore.AsyncNetworkStream, *, is_timed: bool) -> None:
        self._inside = inside
        self._is_timed = is_timed
        self._awaited = _Awaited(is_timed=is_timed)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  (as httpcore has it)
        return self._awaited.look(await self._inside.read(max_bytes, self._awaited.time_left(timeout)))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  (as httpcore has it)
        self._awaited.begin()
        await self._inside.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inside.aclose()

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  (as httpcore has it)
    ) -> httpcore.AsyncNetworkStream:
        inside = await self._inside.start_tls(ssl_context, server_hostname, timeout)
        return _AsyncStream(inside, is_timed=self._is_timed)

    def get_extra_info(self, info: str) -> Any:
        return self._inside.get_extra_info(info)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, inside: httpcore.AsyncNetworkBackend, *, is_timed: bool) -> None:
        self._inside = inside
        self._is_timed = is_timed

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (as httpcore has it)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        connected = await self._inside.connect_tcp(host, port, timeout, local_address, socket_options)
        return _AsyncStream(connected, is_timed=self._is_timed)

    async def sleep(self, seconds: float) -> None:
        await self._inside.sleep(seconds)
