"""Rejecting: what becomes no snapshot goes to the dead-letter topic, as Kafka Connect puts it there.

Messages that are no events go there whole; of a batch whose report failed for good, where its events are.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
import trio

from collector.sources.clients import open_producer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Producer

    from collector.config.kafka import Kafka
    from collector.sources.messages import Rejected
    from collector.store.records import Batch, Range

FLUSH_SECONDS = 10.0
PAUSE = 2.0

_log = structlog.get_logger()


class _Letter(NamedTuple):
    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, Any]]


class Rejecting:
    """Puts messages into the dead-letter topic, if there is one."""

    def __init__(self, config: Kafka) -> None:
        self._config = config
        self._producer: Producer | None = None
        self._limiter = trio.CapacityLimiter(1)

    async def reject(self, collector: str, rejected: Sequence[Rejected]) -> int:
        """Put messages there; return how many, once all replicas have them. The log tells of them in any case."""
        first = rejected[0].message
        _log.warning(
            "messages that are no events are left out",
            collector=collector,
            messages=len(rejected),
            first=f"{first.topic()}, partition {first.partition()}, offset {first.offset()}: {rejected[0].told}",
        )
        return await self._send([_letter_of(collector, one) for one in rejected])

    async def give_up(self, batch: Batch, ranges: Sequence[Range], error: str) -> int:
        """Tell where the events of a batch are whose report failed: a message for each partition; return how many."""
        return await self._send([_pointer_to(batch, one, error) for one in ranges])

    async def _send(self, letters: Sequence[_Letter]) -> int:
        topic = self._config.dead_letter_topic
        if topic is None or not letters:
            await trio.lowlevel.checkpoint()
            return 0
        while not await trio.to_thread.run_sync(self._produce, topic, letters, limiter=self._limiter):
            _log.warning("the dead-letter topic takes no messages; it is tried again", topic=topic)
            await trio.sleep(PAUSE)
        return len(letters)

    def _produce(self, topic: str, letters: Sequence[_Letter]) -> bool:
        """Produce in a thread; tell whether all were taken."""
        self._producer = self._producer or open_producer(self._config)
        failed: list[object] = []

        def note(error: object, _: object) -> None:
            if error is not None:
                failed.append(error)

        for one in letters:
            self._producer.produce(topic, one.value, one.key, headers=one.headers, on_delivery=note)
        return self._producer.flush(FLUSH_SECONDS) == 0 and not failed


def _letter_of(collector: str, rejected: Rejected) -> _Letter:
    message = rejected.message
    told = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "connector.name": collector,
        "stage": "VALUE_CONVERTER",
        "exception.class.name": rejected.reason,
        "exception.message": rejected.told,
    }
    return _Letter(message.value(), message.key(), [*(message.headers() or ()), *_headers(told)])


def _pointer_to(batch: Batch, of: Range, error: str) -> _Letter:
    told = {
        "topic": of.topic,
        "partition": of.partition,
        "offset": of.first,
        "connector.name": batch.collector,
        "stage": "TASK_PUT",
        "exception.class.name": "report_failed",
        "exception.message": error,
    }
    where = {"collector": batch.collector, "batch_id": batch.id, "error": error, **of._asdict()}
    return _Letter(json.dumps(where).encode(), batch.id.encode(), _headers(told))


def _headers(told: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(f"__connect.errors.{name}", str(value).encode()) for name, value in told.items()]
