"""Rejecting: messages that are no events go to the dead-letter topic, as Kafka Connect puts them there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
import trio

from collector.sources.clients import open_producer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Producer

    from collector.config.kafka import Kafka
    from collector.sources.messages import Rejected

FLUSH_SECONDS = 10.0
PAUSE = 2.0

_log = structlog.get_logger()


class Rejecting:
    """Puts messages into the dead-letter topic, if there is one."""

    def __init__(self, config: Kafka) -> None:
        self._config = config
        self._producer: Producer | None = None
        self._limiter = trio.CapacityLimiter(1)

    async def reject(self, collector: str, rejected: Sequence[Rejected]) -> None:
        """Put messages there; return once all replicas have them. Without such a topic, the log tells of them."""
        first = rejected[0].message
        _log.warning(
            "messages that are no events are left out",
            collector=collector,
            messages=len(rejected),
            first=f"{first.topic()}, partition {first.partition()}, offset {first.offset()}: {rejected[0].told}",
        )
        topic = self._config.dead_letter_topic
        if topic is None:
            return
        while not await trio.to_thread.run_sync(self._produce, topic, collector, rejected, limiter=self._limiter):
            _log.warning("the dead-letter topic takes no messages; it is tried again", topic=topic)
            await trio.sleep(PAUSE)

    def _produce(self, topic: str, collector: str, rejected: Sequence[Rejected]) -> bool:
        """Produce in a thread; tell whether all were taken."""
        self._producer = self._producer or open_producer(self._config)
        failed: list[object] = []

        def note(error: object, _: object) -> None:
            if error is not None:
                failed.append(error)

        for one in rejected:
            headers = _headers(collector, one)
            self._producer.produce(topic, one.message.value(), one.message.key(), headers=headers, on_delivery=note)
        return self._producer.flush(FLUSH_SECONDS) == 0 and not failed


def _headers(collector: str, rejected: Rejected) -> list[tuple[str, Any]]:
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
    mine = [(f"__connect.errors.{name}", str(value).encode()) for name, value in told.items()]
    return [*(message.headers() or ()), *mine]
