"""Rejecting: what doesn't become a snapshot goes to the dead-letter topic, in the form of Kafka Connect.

Messages that aren't events go there whole; for a batch whose report failed for good, a pointer to its events does.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
import trio

from collector.sources.clients import PAUSE, open_producer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import KafkaError, Producer

    from collector.config.kafka import Kafka
    from collector.sources.messages import Rejected
    from collector.store.records import Batch, Range

FLUSH_SECONDS = 10.0

_PREFIX = "__connect.errors."

_log = structlog.get_logger()


class _Letter(NamedTuple):
    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, Any]]

    def without_event(self) -> _Letter:
        """Return a letter without the event, which says where the event is and why it was rejected."""
        return _Letter(None, None, [one for one in self.headers if one[0].startswith(_PREFIX)])


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
            "messages that aren't events are left out",
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
        left = letters
        while left := await trio.to_thread.run_sync(self._produce, topic, left, limiter=self._limiter):
            _log.warning("the dead-letter topic didn't accept all messages; the rest is tried again", topic=topic)
            await trio.sleep(PAUSE)
        return len(letters)

    def _produce(self, topic: str, letters: Sequence[_Letter]) -> list[_Letter]:
        """Produce letters, in a thread; return those that didn't arrive, in the form to try next."""
        from confluent_kafka import KafkaException

        producer = self._producer or open_producer(self._config)
        left = dict(enumerate(letters))

        def note(error: KafkaError | None, number: int) -> None:
            if error is None:
                del left[number]
            elif error.name() == "MSG_SIZE_TOO_LARGE":  # the headers have made it too large
                left[number] = letters[number].without_event()

        for number, one in enumerate(letters):
            told = partial(lambda number, error, _: note(error, number), number)
            try:
                producer.produce(topic, one.value, one.key, headers=one.headers, on_delivery=told)
            except KafkaException as error:
                note(error.args[0], number)
            except BufferError:
                break
        producer.flush(FLUSH_SECONDS)
        self._producer = producer
        if left:
            self._producer = None  # a new producer tries the rest: this one would send them too, or may be broken
            producer.purge()
        return list(left.values())


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
    return [(f"{_PREFIX}{name}", str(value).encode()) for name, value in told.items()]
