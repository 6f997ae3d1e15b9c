"""Receiving: bodies are read, checked and kept, and answered once they are durable."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from collector.errors import BadBody
from collector.formats.charsets import charset_of, to_utf_8
from collector.formats.frames import TYPED_FORMATS, format_of
from collector.ingest.http.bodies import announced_length, read_body, too_large
from collector.ingest.http.problems import json_answer
from collector.ingest.room import MAX_HELD, MAX_WRITE, Bodies, max_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from collector.formats.frames import Format, Frame
    from collector.ingest.http.head import Head
    from collector.ingest.http.problems import Answer
    from collector.ingest.intake import Intake, Pending
    from collector.ingest.spool import Spool

# Parsing holds the GIL, so a thread is no gain for a small body, and its hop costs more than the parsing.
SMALL_BODY = 64 * 2**10
ACCEPTED = json_answer({}, 201)
# Says that a request's idempotency key had come before, so that nothing was kept again.
_REPLAYED = replace(ACCEPTED, headers={**ACCEPTED.headers, "Idempotent-Replayed": "true"})


class Receiving:
    """Receives bodies, as many at a time as the limits allow."""

    def __init__(self, intake: Intake, spool: Spool) -> None:
        self.intake = intake
        self._spool = spool
        self._bodies = Bodies()
        self._threads = trio.CapacityLimiter(4)

    def max_bytes(self, head: Head) -> int:
        """Return the limit for the body of a request."""
        return max_bytes(self.intake.limits, format_of(head.content_type))

    async def receive_data(self, collector_id: str, head: Head, chunks: bytes | AsyncIterable[bytes]) -> Answer:
        """Keep the rows of a body, which is here whole or comes in; answer once they are durable."""
        if isinstance(chunks, bytes) and is_small(head, len(chunks)):
            pending = self.begin(collector_id, head, chunks)
            await pending.wait_done()
            return self.finish(pending)
        self._admit(collector_id, head)
        async with self.open_frame(head, chunks) as frame:
            pending = self.intake.order(collector_id, frame, head.idempotency_key)
            if not self.intake.commit():
                await pending.wait_done()
            return self.finish(pending)

    def begin(self, collector_id: str, head: Head, body: bytes) -> Pending:
        """Order that the rows of a small body be kept, and don't wait for it; ``finish`` answers once it is done.

        The body is decompressed already.
        """
        self._admit(collector_id, head)
        limits, format_ = self.intake.limits, format_of(head.content_type)
        limit = max_bytes(limits, format_)
        self._bodies.check(limits, announced_length(head.content_length, limit))
        if charset := _charset_of(head, format_):
            body = to_utf_8(charset)(body, True)
        if len(body) > limit:
            raise too_large(limit)
        refuse_empty(body)
        return self.intake.order(collector_id, self.intake.check(format_, body), head.idempotency_key)

    @staticmethod
    def finish(pending: Pending) -> Answer:
        """Answer a request whose order is done; raise what hindered it."""
        return ACCEPTED if pending.finish() else _REPLAYED

    def _admit(self, collector_id: str, head: Head) -> None:
        """Refuse a request before its body is looked at."""
        self.intake.admit(collector_id)
        head.check_key()

    @asynccontextmanager
    async def open_body(self, head: Head, chunks: AsyncIterable[bytes], limit: int) -> AsyncIterator[bytes]:
        """Read a body, which has its place in memory as long as the context lasts."""
        limits = self.intake.limits
        with self._bodies.admit(limits, announced_length(head.content_length, limit)) as place:
            body = await read_body(chunks, head.content_encoding, limit, limits.body_timeout, place)
            refuse_empty(body)
            yield body

    @asynccontextmanager
    async def open_frame(self, head: Head, chunks: bytes | AsyncIterable[bytes]) -> AsyncIterator[Frame]:
        """Read and check the rows of a body; a large one is in a file, which is gone after the context if not kept."""
        limits, format_ = self.intake.limits, format_of(head.content_type)
        limit, timeout = max_bytes(limits, format_), limits.body_timeout
        announced = min(announced_length(head.content_length, limit), MAX_WRITE)
        with (
            self._bodies.admit(limits, announced) as place,
            self._spool.open(format_, is_digested=bool(head.idempotency_key)) as file,
        ):
            charset = _charset_of(head, format_)
            body = await read_body(chunks, head.content_encoding, limit, timeout, place, file, charset)
            if file.is_begun or len(body) > MAX_HELD:
                yield await self._spool.check(file, body, format_, self.intake.bounds(format_))
                return
            refuse_empty(body)
            if format_ in TYPED_FORMATS:
                yield await self._spool.check_typed(format_, body, self.intake.bounds(format_))
            elif is_small(head, len(body)):
                yield self.intake.check(format_, body)
            else:
                yield await trio.to_thread.run_sync(self.intake.check, format_, body, limiter=self._threads)


def _charset_of(head: Head, format_: Format) -> str:
    """Return the charset of a body of text that isn't UTF-8; "" for all others."""
    if "charset" not in head.content_type.lower() or format_ in TYPED_FORMATS:
        return ""
    return charset_of(head.content_type)


def is_small(head: Head, size: int) -> bool:
    """Tell whether a body is checked in less time than it takes to have that done by another thread."""
    return size <= SMALL_BODY and format_of(head.content_type) not in TYPED_FORMATS


def refuse_empty(body: bytes) -> None:
    """Raise BadBody if nothing is in a body."""
    if not body or body.isspace():
        raise BadBody("the body is empty")
