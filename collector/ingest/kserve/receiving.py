"""Receiving what model servers log: all events of a request are kept, or none, and answered once they are durable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from collector.errors import BadBody
from collector.formats.bounds import SMALL_BODY
from collector.ingest.http.cloud_events import BATCH, media_type_of
from collector.ingest.http.problems import json_answer
from collector.ingest.kserve.events import read_events
from collector.ingest.kserve.rows import Reading
from collector.ingest.room import max_bytes
from collector.store.streams import is_labels

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from collector.config import CollectorConfig
    from collector.config.senders import KServe
    from collector.ingest.http.head import Head
    from collector.ingest.http.problems import Answer
    from collector.ingest.http.receiving import Receiving
    from collector.store.records import Logged

# KServe's logger takes any status but 200 for a failure.
_ACCEPTED = json_answer({}, 200)


async def receive_logged(  # noqa: PLR0913  (who receives, and a request)
    events: Receiving,
    labels: Receiving,
    config: CollectorConfig,
    kserve: KServe,
    headers: Mapping[str, str],
    head: Head,
    chunks: AsyncIterable[bytes],
) -> Answer:
    """Keep the events of a request that was admitted; answer once they are durable.

    The names of its headers are in small letters.
    """
    intake = events.intake
    limit = max_bytes(intake.limits, "json")
    reading = Reading(config, kserve, intake.bounds("json"), intake.private(config.id))
    async with events.open_body(head, chunks, limit) as body:
        if len(body) <= SMALL_BODY:
            read = _read(reading, headers, body, limit)
        else:
            read = await trio.to_thread.run_sync(_read, reading, headers, body, limit, limiter=events.threads)
        logged = [one for one in read if one is not None]
        if any(is_labels(one.stream) for one in logged):
            labels.intake.admit(config.id)
        order = intake.order_logged(config.id, logged, len(body), len(read) - len(logged))
        if not intake.commit():
            await order.wait_done()
        _ = order.value  # raises what went wrong, if anything did
    return _ACCEPTED


def _read(reading: Reading, headers: Mapping[str, str], body: bytes, limit: int) -> list[Logged | None]:
    read: list[Logged | None] = []
    for event in read_events(headers, body, limit):
        try:
            read.append(reading.read(event))
        except BadBody as error:
            if media_type_of(headers) != BATCH:
                raise
            raise BadBody(f"event {len(read)} of the batch: {error}") from error
    return read
