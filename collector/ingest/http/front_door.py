"""The front door: usual POSTs of events are answered as they come in; all else is left to hypercorn.

What is usual is narrow on purpose: a head that came whole, in printable ASCII, with one Content-Length and nothing that
changes how a body is read. Both ways lead to the same intake, so that they keep, refuse and count alike.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from wsgiref.handlers import format_date_time

import httptools
import structlog
import trio

from collector.errors import CollectorError
from collector.ingest.http.guard import SECRET_HEADER
from collector.ingest.http.head import Head
from collector.ingest.http.problems import Answer, answer_for, problem_answer
from collector.ingest.http.receiving import ACCEPTED
from collector.status.counts import Answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collector.ingest.http.draining import Draining
    from collector.ingest.http.guard import Guard
    from collector.ingest.http.receiving import Receiving
    from collector.ingest.intake import Pending
    from collector.status.counts import Counts

    # Returns what comes next, at most so many bytes; none once the client has left.
    Receive = Callable[[int], Awaitable[bytes]]

_log = structlog.get_logger()

ROUTE = "/{id}/data"
_BLANK_LINE = b"\r\n\r\n"
_MAX_CHUNK = 2**20
# Longer heads aren't remembered: they would take room, and are of no client that is in a hurry.
_MAX_SAME = 1024
_TARGET = re.compile(r"/([A-Za-z0-9._-]+)/data")  # nothing in it is encoded, or to be cleaned up
_LENGTH = re.compile("[0-9]{1,15}")
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\r\n"
_READ_OTHERWISE = frozenset({"content-encoding", "expect", "te", "trailer", "transfer-encoding", "upgrade"})


@dataclass(frozen=True, slots=True)
class Posted:
    """The head of a usual POST of events, of ``size`` bytes."""

    collector_id: str
    secret: str | None
    head: Head
    length: int
    is_last: bool
    size: int


class FrontDoor:
    """Reads and answers usual POSTs of events."""

    def __init__(self, receiving: Receiving, guard: Guard, draining: Draining, counts: Counts) -> None:
        self._receiving = receiving
        self._guard = guard
        self._draining = draining
        self._counts = counts

    async def answer(self, posted: Posted, data: bytes, receive: Receive) -> tuple[bytes, bytes | None]:
        """Keep the events of a POST; ``data`` begins with its head, and the rest of its body is received.

        Returns the answer, and what follows the body; None if the connection ends with this answer.
        """
        began = time.perf_counter()
        end = posted.size + posted.length
        body = _Arriving(data[posted.size : end], posted.length, receive)
        self._draining.enter()
        try:
            answer = await self._answer(posted, body)
        finally:
            self._draining.leave()
        is_last = posted.is_last or bool(body.missing) or self._draining.has_begun
        return self._told(answer, began, is_last=is_last), None if is_last else data[end:]

    async def _answer(self, posted: Posted, body: _Arriving) -> Answer:
        try:
            self._admit(posted)
            chunks = self._draining.body(body) if body.missing else body.first
            return await self._receiving.take_data(posted.collector_id, posted.head, chunks)
        except trio.BrokenResourceError:
            raise
        except Exception as error:  # noqa: BLE001  (told apart below)
            return self._refuse(posted, error)

    def begin(self, posted: Posted, body: bytes) -> Pending | Answer:
        """Order that the events of a small body be kept; an answer says why not."""
        self._draining.enter()
        try:
            self._admit(posted)
            return self._receiving.begin(posted.collector_id, posted.head, body)
        except Exception as error:  # noqa: BLE001  (told apart below)
            return self._refuse(posted, error)

    def commit(self) -> bool:
        """Carry out what is begun, and return whether it is done already."""
        return self._receiving.intake.commit()

    def finish(self, posted: Posted, pending: Pending | Answer, began: float) -> tuple[bytes, bool]:
        """Return the answer to a request whose order is done, and whether it is the connection's last."""
        try:
            answer = pending if isinstance(pending, Answer) else self._receiving.finish(pending)
        except Exception as error:  # noqa: BLE001  (told apart below)
            answer = self._refuse(posted, error)
        self._draining.leave()
        is_last = posted.is_last or self._draining.has_begun
        return self._told(answer, began, is_last=is_last), is_last

    def _admit(self, posted: Posted) -> None:
        self._draining.check()
        self._guard.authorize(posted.secret)

    def _refuse(self, posted: Posted, error: Exception) -> Answer:
        request = f"POST /{posted.collector_id}/data"
        if isinstance(error, CollectorError):
            self._receiving.intake.count_refusal(posted.collector_id, error)
            return answer_for(error, request)
        # As quart does: a bug that a request brings out is answered, and told to the operator alone.
        _log.error("a request failed", request=request, exc_info=error)
        return problem_answer(500, "Internal Server Error")

    def _told(self, answer: Answer, began: float, *, is_last: bool) -> bytes:
        self._counts.note_answer(_answered(answer.status), time.perf_counter() - began)
        return _spelled_out(answer, is_last=is_last)


def read_posted(data: bytes) -> Posted | None:
    """Read the head of a request; None if it isn't a usual POST of events, or not whole."""
    size = data.find(_BLANK_LINE) + len(_BLANK_LINE)
    if size < len(_BLANK_LINE) or not data.startswith(b"POST /"):
        return None
    return _read_head(data[:size]) if size <= _MAX_SAME else _read_head.__wrapped__(data[:size])


@lru_cache(256)
def _read_head(head: bytes) -> Posted | None:
    """Read a head; a client's are mostly the same."""
    return None if head.translate(None, _PRINTABLE) else _Reading(head).posted(len(head))


class _Reading:
    """What httptools says of a head; it refuses what is ambiguous, as two lengths or a folded line."""

    def __init__(self, head: bytes) -> None:
        self._target = ""
        self._headers: dict[str, str] = {}
        self._lines = 0
        self._is_whole = False
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._is_whole = False

    def on_url(self, target: bytes) -> None:
        self._target += target.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines += 1
        self._headers[name.decode().lower()] = value.decode().strip()

    def on_headers_complete(self) -> None:
        self._is_whole = True

    def posted(self, size: int) -> Posted | None:
        """Return the POST of events that this is the head of, if it is one and usual."""
        headers, found = self._headers, _TARGET.fullmatch(self._target)
        length = headers.get("content-length", "")
        connection = headers.get("connection", "keep-alive").lower()
        is_usual = (
            self._is_whole
            and self._parser.get_http_version() == "1.1"
            and "host" in headers
            and len(headers) == self._lines
            and _READ_OTHERWISE.isdisjoint(headers)
            and _LENGTH.fullmatch(length)
            and connection in {"keep-alive", "close"}
        )
        if found is None or not is_usual:
            return None
        head = Head(
            content_type=headers.get("content-type", ""),
            content_length=length,
            idempotency_key=headers.get("idempotency-key", ""),
        )
        secret = headers.get(SECRET_HEADER)
        return Posted(found[1], secret, head, int(length), connection == "close", size)


class _Arriving:
    """A body of known length as it comes in."""

    def __init__(self, first: bytes, length: int, receive: Receive) -> None:
        self.first = first
        self._is_begun = False
        self.missing = length - len(first)
        self._receive = receive

    def __aiter__(self) -> _Arriving:
        return self

    async def __anext__(self) -> bytes:
        if not self._is_begun:
            self._is_begun = True
            return self.first
        if not self.missing:
            raise StopAsyncIteration
        chunk = await self._receive(min(self.missing, _MAX_CHUNK))
        if not chunk:
            raise trio.BrokenResourceError("the client left in the midst of a body")
        self.missing -= len(chunk)
        return chunk


@lru_cache
def _answered(status: int) -> Answered:
    return Answered(ROUTE, "POST", status)


def _spelled_out(answer: Answer, *, is_last: bool) -> bytes:
    """Write an answer as hypercorn does; that of a frame which was kept is written once a second."""
    second = int(time.time())
    return _accepted_at(second) if answer is ACCEPTED and not is_last else _spelled_out_at(second, answer, is_last)


@lru_cache(1)
def _accepted_at(second: int) -> bytes:
    return _spelled_out_at(second, ACCEPTED, is_last=False)


def _spelled_out_at(second: int, answer: Answer, is_last: bool) -> bytes:  # noqa: FBT001  (as in _spelled_out)
    headers = "".join(f"{name.lower()}: {value}\r\n" for name, value in answer.headers.items())
    end = "connection: close\r\n" if is_last else ""
    length, date = len(answer.body), format_date_time(second)
    head = f"HTTP/1.1 {answer.status} \r\n{headers}content-length: {length}\r\ndate: {date}\r\n{end}\r\n"
    return head.encode("latin-1") + answer.body
