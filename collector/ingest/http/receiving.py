"""Receiving: bodies are read, checked and kept, and answered once they are durable."""

from __future__ import annotations

import hashlib
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from collector.errors import BadBody
from collector.formats.bounds import SMALL_BODY
from collector.formats.charsets import charset_of, to_utf_8
from collector.formats.frames import TYPED_FORMATS, format_of
from collector.formats.private import without_private
from collector.ingest.http.bodies import announced_length, read_body, too_large
from collector.ingest.http.problems import json_answer
from collector.ingest.http.windows import read_query
from collector.ingest.room import MAX_HELD, MAX_WRITE, Bodies, max_bytes
from collector.status.telling import iso
from collector.store.records import Whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Mapping

    from collector.formats.bounds import Bounds
    from collector.formats.frames import Format, Frame
    from collector.formats.private import Private
    from collector.ingest.http.head import Head
    from collector.ingest.http.problems import Answer
    from collector.ingest.http.windows import Asked
    from collector.ingest.intake import Intake, Pending
    from collector.ingest.spool import Spool
    from collector.pipeline.source import Gateway
    from collector.store.body_files import BodyWriter

ACCEPTED = json_answer({}, 201)
_BATCHES = uuid.UUID("7a0a2f52-8b0e-5d0c-9a64-3a1d0c1d8f0b")  # the namespace of the ids of whole batches
_DIGEST_BYTES = 16
# The answer to an idempotency key that came before: nothing was kept a second time.
_REPLAYED = replace(ACCEPTED, headers={**ACCEPTED.headers, "Idempotent-Replayed": "true"})


class Receiving:
    """Receives bodies, as many at a time as the limits allow."""

    def __init__(self, intake: Intake, spool: Spool, bodies: Bodies) -> None:
        self.intake = intake
        self._spool = spool
        self._bodies = bodies
        self.threads = trio.CapacityLimiter(4)

    def max_bytes(self, head: Head) -> int:
        """Return the limit for the body of a request."""
        return max_bytes(self.intake.limits, format_of(head.content_type))

    async def receive_data(self, collector_id: str, head: Head, chunks: bytes | AsyncIterable[bytes]) -> Answer:
        """Keep the rows of a body, which is here whole or comes in; answer once they are durable."""
        if (gateway := self.intake.gateway(collector_id)) is not None:
            return await self._pass_on(gateway, collector_id, head, chunks)
        if isinstance(chunks, bytes) and is_small(head, len(chunks)):
            pending = self.begin(collector_id, head, chunks)
            await pending.wait_done()
            return self.finish(pending)
        self._admit(collector_id, head)
        async with self.open_frame(collector_id, head, chunks) as frame:
            pending = self.intake.order(collector_id, frame, head.idempotency_key)
            if not self.intake.commit():
                await pending.wait_done()
            return self.finish(pending)

    async def _pass_on(
        self, gateway: Gateway, collector_id: str, head: Head, chunks: bytes | AsyncIterable[bytes]
    ) -> Answer:
        """Have the rows of a body kept in the log from which the collector reads; answer once they are."""
        head.check_key()
        limits, format_ = self.intake.limits, format_of(head.content_type)
        limit, charset = max_bytes(limits, format_), _charset_of(head, format_)
        with self._bodies.admit(limits, announced_length(head.content_length, limit)) as place:
            body = await read_body(chunks, head.content_encoding, limit, limits.body_timeout, place, charset=charset)
            refuse_empty(body)
            await gateway.pass_on(format_, body)
        self.intake.count_passed(collector_id, len(body))
        return ACCEPTED

    def waits(self, collector_id: str) -> bool:
        """Tell whether a collector's events take their time to be kept, as they are passed on."""
        return self.intake.gateway(collector_id) is not None

    async def receive_batch(
        self, collector_id: str, head: Head, chunks: AsyncIterable[bytes], query: Mapping[str, str]
    ) -> Answer:
        """Make a body a whole batch of the window in the query; if that batch is known, return it."""
        asked = read_query(query, time.time())
        self.intake.admit_whole(collector_id)
        async with self.open_frame(collector_id, head, chunks, is_digested=True) as frame:
            whole = _whole(collector_id, frame, asked)
            taken = await self.intake.take_whole(frame, whole)
            told = {"batch_id": taken.batch, "rows": frame.rows, "window": [iso(asked.start), iso(asked.end)]}
            return json_answer(told, 201 if taken.is_new else 200)

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
        key = self.intake.key_of(collector_id)
        if private := self.intake.private(collector_id):
            format_, body = without_private(format_, body, private, self.intake.bounds(format_, key))
        frame = self.intake.check(format_, body, key)
        return self.intake.order(collector_id, frame, head.idempotency_key)

    @staticmethod
    def finish(pending: Pending) -> Answer:
        """Answer a request whose order is done; raise what hindered it."""
        return ACCEPTED if pending.finish() else _REPLAYED

    def _admit(self, collector_id: str, head: Head) -> None:
        """Refuse a request whose head alone is reason enough."""
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
    async def open_frame(
        self, collector_id: str, head: Head, chunks: bytes | AsyncIterable[bytes], *, is_digested: bool = False
    ) -> AsyncIterator[Frame]:
        """Read and check the rows of a body; a large one is in a file, where nothing of it stays if it isn't kept.

        Where a collector has private columns, the body stays in memory until they are dropped or hashed.
        """
        limits, format_ = self.intake.limits, format_of(head.content_type)
        limit, timeout = max_bytes(limits, format_), limits.body_timeout
        announced = min(announced_length(head.content_length, limit), MAX_WRITE)
        is_digested = is_digested or bool(head.idempotency_key)
        with self._bodies.admit(limits, announced) as place:
            encoding, charset = head.content_encoding, _charset_of(head, format_)
            if private := self.intake.private(collector_id):
                raw = await read_body(chunks, encoding, limit, timeout, place, charset=charset)
                refuse_empty(raw)
                bounds = self.intake.bounds(format_, self.intake.key_of(collector_id))
                format_, chunks = await self._without_private(format_, raw, private, bounds)
                del raw  # two copies would be more than the body's place in memory
                charset = ""
            with self._spool.open(format_, is_digested=is_digested) as file:
                body = await read_body(chunks, encoding, limit, timeout, place, file, charset)
                yield await self._checked(format_, body, file, self.intake.key_of(collector_id))

    async def _without_private(
        self, format_: Format, body: bytes, private: Private, bounds: Bounds
    ) -> tuple[Format, bytes]:
        if format_ not in TYPED_FORMATS and len(body) <= SMALL_BODY:
            return without_private(format_, body, private, bounds)
        return await self._spool.without_private(format_, body, private, bounds)

    async def _checked(self, format_: Format, body: bytes, file: BodyWriter, key: str) -> Frame:
        bounds = self.intake.bounds(format_, key)
        if file.is_begun or len(body) > MAX_HELD:
            return await self._spool.check(file, body, format_, bounds)
        refuse_empty(body)
        if format_ in TYPED_FORMATS:
            return await self._spool.check_typed(format_, body, bounds)
        if len(body) <= SMALL_BODY:
            return self.intake.check(format_, body, key)
        return await trio.to_thread.run_sync(self.intake.check, format_, body, key, limiter=self.threads)


def _whole(collector_id: str, frame: Frame, asked: Asked) -> Whole:
    """Return a frame as a whole batch. Its id is made of the collector, the window and the body."""
    body = frame.body
    content = hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else body.digest
    of = f"{asked.start!r} {asked.end!r} {frame.format} {content}"
    id_ = str(uuid.uuid5(_BATCHES, f"{collector_id} {of}"))
    digest = hashlib.sha256(of.encode()).digest()[:_DIGEST_BYTES]
    return Whole(id_, collector_id, digest, asked.start, asked.end, asked.is_backfill, asked.is_replacement)


def _charset_of(head: Head, format_: Format) -> str:
    """Return the charset of a text body if it isn't UTF-8; "" otherwise."""
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
