"""Answers of others, read within bounds: one without end, or a compressed bomb, costs no more than the bound.

An answer is asked for as it is (``AS_IS``); one that comes compressed nevertheless is unfolded up to the bound.
"""

from __future__ import annotations

import zlib
from typing import Any

import anyio.lowlevel
import anyio.to_thread
import httpx

from collector.errors import UnreadableAnswer

# What httpx raises if nothing was sent.
UNREACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
AS_IS = {"Accept-Encoding": "identity"}
# Bytes of an error's answer: enough for the reason, which a person reads.
MAX_REFUSAL = 65_536
# Pieces of an answer. A server may send each byte as a chunk of its own, which costs us some 30 us each.
MAX_PIECES = 100_000
_TURN = 50  # pieces in one read, before others get their turn
# Headers about how a body was sent, which aren't true of the body that was read.
_OF_SENDING = (b"content-encoding", b"content-length", b"transfer-encoding")


def read(response: httpx.Response, max_bytes: int) -> httpx.Response:
    """Read an answer that was begun with ``stream``; return it whole.

    Raises UnreadableAnswer if it is longer (a refusal is cut). The transport owns time, see ``transports``.
    """
    gathering = _Gathering(response, max_bytes)
    for piece in response.iter_raw():
        if not gathering.has_room_after(piece):
            break
    return gathering.whole()


async def aread(response: httpx.Response, max_bytes: int) -> httpx.Response:
    """Read an answer as ``read`` does, on trio or asyncio; the caller owns time."""
    gathering = _Gathering(response, max_bytes)
    async for piece in response.aiter_raw():
        if not gathering.has_room_after(piece):
            break
        if gathering.pieces % _TURN == 0:
            await anyio.lowlevel.checkpoint()
    return gathering.whole() if gathering.is_quick else await anyio.to_thread.run_sync(gathering.whole)


def json_of(response: httpx.Response) -> Any:
    """Return an answer's JSON; raise ValueError if it can't be read as JSON."""
    try:
        return response.json()
    except RecursionError as error:
        raise ValueError("its values are nested too deep") from error


def reason_of(error: BaseException) -> str:
    """Return the first words in a chain of errors: on trio, httpx has none for a certificate that isn't trusted."""
    cause = error.__cause__ or error.__context__
    if isinstance(error, httpx.TimeoutException):
        return "it didn't answer in time"
    if isinstance(error, BaseExceptionGroup):
        return reason_of(error.exceptions[0])
    if not str(error) and cause is not None:
        return reason_of(cause)
    return str(error) or type(error).__name__


class _Gathering:
    """The pieces of one answer, up to a bound."""

    def __init__(self, response: httpx.Response, max_bytes: int) -> None:
        self._response = response
        self._max_bytes = max_bytes if response.is_success else MAX_REFUSAL
        self._encoding = response.headers.get("content-encoding", "").strip().lower()
        self._body = bytearray()
        self.pieces = 0

    def has_room_after(self, piece: bytes) -> bool:
        """Take a piece; tell whether to read on. Raises if a good answer is too long; that of an error is cut off."""
        self._body += piece
        self.pieces += 1
        if self.pieces > MAX_PIECES:
            raise UnreadableAnswer("its answer comes in too many pieces")
        if len(self._body) > self._max_bytes:
            self._body = bytearray(self._cut(self._body))
            return False
        return True

    @property
    def is_quick(self) -> bool:
        """Whether ``whole`` is quick enough for an event loop."""
        return len(self._body) <= MAX_REFUSAL and not self._encoding

    def whole(self) -> httpx.Response:
        """Return the answer with its body, as if it had come unencoded."""
        response = self._response
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_SENDING]
        return httpx.Response(
            response.status_code, headers=headers, content=bytes(self._unfolded()), request=response.request
        )

    def _unfolded(self) -> bytes | bytearray:
        if self._encoding in {"", "identity"}:
            return self._body
        if self._encoding not in {"gzip", "deflate"}:
            raise UnreadableAnswer(f"its answer is encoded as '{self._encoding[:20]}', which it wasn't asked for")
        try:
            return self._cut(zlib.decompressobj(_GZIP_OR_ZLIB).decompress(self._body, self._max_bytes + 1))
        except zlib.error as error:
            raise UnreadableAnswer(f"its answer says that it is {self._encoding}, and it isn't") from error

    def _cut(self, body: bytearray | bytes) -> bytearray | bytes:
        if len(body) > self._max_bytes and self._response.is_success:
            raise UnreadableAnswer(f"its answer is longer than {self._max_bytes:,} bytes")
        return body[: self._max_bytes]
