"""Intake: what happens to a request once its head is read, whoever reads it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

from collector.config import CollectorConfig
from collector.config.model import MASK, check_id, is_from_environment
from collector.errors import BadBody, ConfigError, Unauthorized
from collector.fault_points import reach
from collector.ingest.bodies import check_length, max_bytes, read_body
from collector.ingest.problems import Answer, json_answer
from collector.store.frames import TYPED_FORMATS, check_frame, format_of
from collector.store.json_body import loads

if TYPE_CHECKING:
    from collector.pipeline.supervisor import Supervisor
    from collector.store.frames import Frame
    from collector.store.journal import Journal
    from collector.store.statements import Batch

# Parsing holds the GIL, so a thread is no gain for a small body, and its hop costs more than the parsing.
SMALL_BODY = 64 * 2**10


@dataclass(frozen=True)
class Head:
    """What of a request's head matters to us."""

    content_type: str = ""
    content_encoding: str = ""
    content_length: str | None = None
    idempotency_key: str = ""


class Intake:
    """Takes events, references and configs in, and gives out what is known of collectors."""

    def __init__(self, supervisor: Supervisor, journal: Journal, secret: str | None) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._secret = secret
        self._threads = trio.CapacityLimiter(4)

    def authorize(self, secret: str | None) -> None:
        """Raise Unauthorized unless the request carries the service's secret, if it has one."""
        given = (secret or "").encode("latin-1", "replace")  # as bytes of a header are read into text
        if self._secret is not None and not hmac.compare_digest(given, self._secret.encode()):
            raise Unauthorized

    async def take_data(self, collector_id: str, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """Keep the rows of a body; answers once they are durable."""
        self._supervisor.pipeline(collector_id)
        frame = await self._read_frame(head, chunks)
        self._supervisor.pipeline(collector_id)  # it may have been deleted while the body arrived
        digest = hashlib.sha256(frame.body).hexdigest() if head.idempotency_key else ""
        await self._journal.append(collector_id, frame, head.idempotency_key, digest)
        reach("accepted")
        return json_answer({}, 201)

    async def take_reference(self, collector_id: str, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """Make the rows of a body the reference, from the next batch on."""
        self._supervisor.pipeline(collector_id)
        frame = await self._read_frame(head, chunks)
        self._supervisor.pipeline(collector_id)
        await self._supervisor.set_reference(collector_id, frame)
        return json_answer({}, 201)

    async def take_config(self, collector_id: str, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """Add or replace a collector, once its config has been checked whole."""
        limit = self._supervisor.config.limits.max_body_bytes
        body = await self._read(head, chunks, limit)
        config = self._read_config(collector_id, body)
        await self._supervisor.check(config)
        await self._supervisor.put(config)
        return json_answer(config.masked(), 201)

    def config(self, collector_id: str) -> Answer:
        """Show a collector's config, but for its secret."""
        return json_answer(self._supervisor.pipeline(collector_id).config.masked())

    async def logs(self, collector_id: str) -> Answer:
        """Tell what became of a collector's batches, newest first."""
        self._supervisor.pipeline(collector_id)
        return json_answer(await self._journal.logs(collector_id))

    async def flush(self, collector_id: str) -> Answer:
        """Seal what waits, and have it evaluated."""
        batch = await self._supervisor.pipeline(collector_id).flush()
        if batch is None:
            return json_answer({"batch_id": None, "rows": 0})
        return json_answer({"batch_id": batch.id, "rows": batch.rows}, 202)

    async def failed(self, collector_id: str) -> Answer:
        """List the batches whose report failed, oldest first; they are kept."""
        batches = await self._supervisor.pipeline(collector_id).failed()
        return json_answer([_shown(batch) for batch in batches])

    async def retry(self, collector_id: str) -> Answer:
        """Have the batches evaluated again whose report failed."""
        batches = await self._supervisor.pipeline(collector_id).retry()
        return json_answer([_shown(batch) for batch in batches], 202)

    async def delete(self, collector_id: str) -> Answer:
        """Remove a collector with all its events."""
        return json_answer({"id": collector_id, "rows_dropped": await self._supervisor.delete(collector_id)})

    def collectors(self) -> Answer:
        """List the collectors."""
        return json_answer({"collectors": self._supervisor.statuses()})

    async def _read(self, head: Head, chunks: AsyncIterable[bytes], limit: int) -> bytes:
        check_length(head.content_length, limit)
        timeout = self._supervisor.config.limits.body_timeout
        body = await read_body(chunks, head.content_encoding, limit, timeout)
        if not body.strip():
            raise BadBody("the body is empty")
        return body

    async def _read_frame(self, head: Head, chunks: AsyncIterable[bytes]) -> Frame:
        format_ = format_of(head.content_type)
        limit = max_bytes(self._supervisor.config.limits, format_)
        body = await self._read(head, chunks, limit)
        if len(body) <= SMALL_BODY and format_ not in TYPED_FORMATS:
            return check_frame(format_, body)
        return await trio.to_thread.run_sync(check_frame, format_, body, limit, limiter=self._threads)

    def _read_config(self, collector_id: str, body: bytes) -> CollectorConfig:
        try:
            check_id(collector_id)
        except ValueError as error:
            raise ConfigError.at(str(error), "id") from error
        data = loads(body)
        config = CollectorConfig.parse({**data, "id": collector_id} if isinstance(data, dict) else data)
        self._check_secret(config)
        if config.api_secret == MASK:
            known = self._supervisor.config.collectors[collector_id]
            config = config.model_copy(update={"api_secret": known.api_secret})
        config.secret()
        return config

    def _check_secret(self, config: CollectorConfig) -> None:
        """Let a client name a secret that it doesn't know only as the operator has it, for the same api_url."""
        secret = config.api_secret
        if secret is None or (secret != MASK and not is_from_environment(secret)):
            return
        known = self._supervisor.config.collectors.get(config.id)
        if known is None or known.api_url != config.api_url or secret not in {MASK, known.api_secret}:
            raise ConfigError.at(
                "a client may leave it masked, or as ${NAME}, only as it stands in this collector's config and for "
                "the same api_url; write the secret itself, or have the operator write it into the config file",
                "api_secret",
            )


def _shown(batch: Batch) -> dict[str, Any]:
    return {"batch_id": batch.id, "rows": batch.rows, "error": batch.error, "attempts": batch.attempts}
