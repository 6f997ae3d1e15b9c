"""Interim answers (``100 Continue`` and its like), which a server may send before the one that counts: a few of them.

httpcore reads them for as long as they come, and h11 takes some 30 us for each, without a turn for others.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

MAX_INTERIM = 100
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.\d 1\d\d")
# As h11 has it of a head.
_MAX_HEAD = 100 * 1024


class Transport(httpx.AsyncHTTPTransport):
    """httpx's own, but for connections on which an answer that counts comes soon."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        pool: Any = self._pool  # the pool takes a backend, but httpx none for it
        pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001


class Interim:
    """Looks at what comes on a connection until it is no interim answer."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin anew: a request is sent."""
        self._left = MAX_INTERIM
        self._head: bytes | None = b""  # None: the answer that counts has begun

    def look(self, data: bytes) -> None:
        """Look at what has come; raise RemoteProtocolError if too many interim answers have."""
        if self._head is None:
            return
        *heads, self._head = _BLANK_LINE.split(self._head + data, MAX_INTERIM + 1)
        for head in heads:
            if _INTERIM.match(head) is None:
                self._head = None
                return
            self._left -= 1
            if self._left < 0:
                raise httpcore.RemoteProtocolError(f"more than {MAX_INTERIM} interim answers came before its answer")
        if len(self._head) > _MAX_HEAD:
            self._head = None  # h11 refuses it


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, inside: httpcore.AsyncNetworkStream) -> None:
        self._inside = inside
        self._interim = Interim()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  (as httpcore has it)
        data = await self._inside.read(max_bytes, timeout)
        self._interim.look(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  (as httpcore has it)
        self._interim.begin()
        await self._inside.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inside.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  (as httpcore has it)
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inside.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inside.get_extra_info(info)


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, inside: httpcore.AsyncNetworkBackend) -> None:
        self._inside = inside

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (as httpcore has it)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inside.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._inside.sleep(seconds)
