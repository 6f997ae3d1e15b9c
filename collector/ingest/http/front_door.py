"""The front door: usual POSTs of events and labels are answered as they come in; all else is left to hypercorn.

Both ways lead to the same intake, so that they keep, refuse and count alike. What is usual, posted.py says.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING

import structlog
import trio

from collector.errors import BadBody, BodyTooLarge, CollectorError, IsFetched
from collector.formats.bounds import SMALL_BODY
from collector.ingest.http.bodies import small_decompressed
from collector.ingest.http.chunks import Chunked, Counted
from collector.ingest.http.problems import CLOSE, Answer, answer_for, problem_answer
from collector.ingest.http.receiving import ACCEPTED, Receiving, is_small
from collector.status.counts import Answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collector.ingest.http.draining import Draining
    from collector.ingest.http.guard import Guard
    from collector.ingest.http.posted import Posted
    from collector.ingest.intake import Pending
    from collector.status.counts import Counts

    # Returns what comes next, at most this many bytes; none once the client has left.
    Receive = Callable[[int], Awaitable[bytes]]
    # Asks a client for the body that it holds back.
    Ask = Callable[[bytes], Awaitable[None]]

_log = structlog.get_logger()

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class FrontDoor:
    """Reads and answers usual POSTs; ``receiving`` has who receives what, by the end of its path."""

    def __init__(self, receiving: dict[str, Receiving], guard: Guard, draining: Draining, counts: Counts) -> None:
        self._receiving = receiving
        self._guard = guard
        self._draining = draining
        self._counts = counts

    async def answer(self, posted: Posted, data: bytes, receive: Receive, ask: Ask) -> tuple[bytes, bytes | None]:
        """Keep the events of a POST; ``data`` begins with its head, and the rest of its body is received.

        Returns the answer, and what follows the body; None if the connection ends with this answer.
        """
        began = time.perf_counter()
        framing = self._framing(posted)
        self._draining.enter()
        try:
            answer = await self._answer(posted, framing, data[posted.size :], receive, ask)
        finally:
            self._draining.leave()
        is_last = posted.is_last or not framing.is_whole or self._draining.has_begun
        return self._told(posted, answer, began, is_last=is_last), None if is_last else framing.rest

    def _framing(self, posted: Posted) -> Counted | Chunked:
        if posted.length is not None:
            return Counted(posted.length)
        return Chunked(self._receiving[posted.what].max_bytes(posted.head))

    async def _answer(
        self, posted: Posted, framing: Counted | Chunked, data: bytes, receive: Receive, ask: Ask
    ) -> Answer:
        try:
            body = _Arriving(framing, data, receive, ask if posted.is_expecting else None)
            self._admit(posted)
            is_plain = framing.is_whole and not posted.head.content_encoding
            chunks = body.first if is_plain else self._draining.body(body)
            return await self._receiving[posted.what].receive_data(posted.collector_id, posted.head, chunks)
        except trio.BrokenResourceError:
            raise
        except Exception as error:  # noqa: BLE001  (told apart below)
            return self._refuse(posted, error)

    def begin(self, posted: Posted, body: bytes) -> Pending | Answer | None:
        """Order that the events of a small body be kept; an answer says why not, None that ``answer`` has to do it."""
        self._draining.enter()
        try:
            self._admit(posted)
            return self._receiving[posted.what].begin(posted.collector_id, posted.head, body)
        except IsFetched as error:
            if not self._receiving[posted.what].waits(posted.collector_id):
                return self._refuse(posted, error)
            self._draining.leave()
            return None
        except Exception as error:  # noqa: BLE001  (told apart below)
            return self._refuse(posted, error)

    def commit(self) -> bool:
        """Carry out what is begun, and return whether it is done already."""
        return self._receiving["data"].intake.commit()

    def finish(self, posted: Posted, pending: Pending | Answer, began: float) -> tuple[bytes, bool]:
        """Return the answer to a request whose order is done, and whether it is the connection's last."""
        try:
            answer = pending if isinstance(pending, Answer) else Receiving.finish(pending)
        except Exception as error:  # noqa: BLE001  (told apart below)
            answer = self._refuse(posted, error)
        self._draining.leave()
        is_last = posted.is_last or self._draining.has_begun
        return self._told(posted, answer, began, is_last=is_last), is_last

    def _admit(self, posted: Posted) -> None:
        self._draining.check()
        if not posted.is_plain_host:
            self._guard.check_host(posted.host)
        self._guard.authorize(posted.secret)

    def _refuse(self, posted: Posted, error: Exception) -> Answer:
        request = f"POST /{posted.collector_id}/{posted.what}"
        if isinstance(error, CollectorError):
            self._receiving[posted.what].intake.count_refusal(posted.collector_id, error)
            return answer_for(error, request)
        # As in Quart: a request that meets a bug is answered 500, and only the log says more.
        _log.error("a request failed", request=request, exc_info=error)
        return problem_answer(500, "Internal Server Error")

    def _told(self, posted: Posted, answer: Answer, began: float, *, is_last: bool) -> bytes:
        self._counts.note_answer(_answered(posted.what, answer.status), time.perf_counter() - began)
        if is_last:
            return _spelled_out(answer, CLOSE)
        return _spelled_out(answer, b"connection: keep-alive\r\n" if posted.is_kept else b"")


class _Arriving:
    """A body that follows its head. A client that waits to be asked for the rest is asked once that is wanted."""

    def __init__(self, framing: Counted | Chunked, data: bytes, receive: Receive, ask: Ask | None) -> None:
        self._framing = framing
        self._receive = receive
        self._ask = ask if not data else None
        self.first = framing.feed(data)
        self._is_begun = False

    def __aiter__(self) -> _Arriving:
        return self

    async def __anext__(self) -> bytes:
        if not self._is_begun:
            self._is_begun = True
            return self.first
        while not self._framing.is_whole:
            if self._ask is not None:
                ask, self._ask = self._ask, None
                await ask(_CONTINUE)
            data = await self._receive(self._framing.max_recv)
            if not data:
                self._framing.close()
            if piece := self._framing.feed(data):
                return piece
        raise StopAsyncIteration


def whole_body(posted: Posted, data: bytes) -> bytes | None:
    """Return the body of a request that is here whole and small, with nothing behind it; None for any other."""
    body = data[posted.size :]
    if posted.length is None:
        found = _whole_chunks(body)
        if found is None:
            return None
        body = found
    elif len(body) != posted.length:
        return None
    if not is_small(posted.head, len(body)):
        return None
    encoding = posted.head.content_encoding
    return small_decompressed(body, encoding, SMALL_BODY) if encoding else body


def _whole_chunks(data: bytes) -> bytes | None:
    chunks = Chunked(len(data))
    try:
        body = chunks.feed(data)
    except (BadBody, BodyTooLarge):
        return None  # the usual way reads it again, and says what is wrong
    return body if chunks.is_whole and not chunks.rest else None


@lru_cache
def _answered(what: str, status: int) -> Answered:
    return Answered(f"/{{id}}/{what}", "POST", status)


def _spelled_out(answer: Answer, ending: bytes) -> bytes:
    """Write an answer as bytes. The usual answer, that a frame was kept, is written once a second and reused."""
    second = int(time.time())
    return _accepted_at(second, ending) if answer is ACCEPTED else answer.spelled_out(second, ending)


@lru_cache(3)
def _accepted_at(second: int, ending: bytes) -> bytes:
    return ACCEPTED.spelled_out(second, ending)
