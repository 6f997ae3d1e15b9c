"""Reading: one consumer fetches the events of all collectors that are here, from where each says; it commits nothing.

What it fetched is checked in its thread and put before the collector that it was assigned for; one that has much to do
is paused. Partitions are assigned by hand: this consumer is in no group, though it must name one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog
import trio

from collector.sources.messages import Run, check_messages
from collector.waiting.bell import Bell

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer, KafkaError, Message

    from collector.formats.bounds import Bounds
    from collector.sources.kafka import FromTopics
    from collector.store.records import Offsets

# Bytes, more or less, and messages that are taken at a time; and seconds to wait for them, which delay a stop.
MAX_FETCHED = 2**20
MAX_MESSAGES = 2000
CONSUME_SECONDS = 0.1
# Bytes that may wait for a collector. With more, its partitions are paused.
MAX_WAITING = 4 * 2**20

_log = structlog.get_logger()


@dataclass(slots=True)
class End:
    """All of a partition was read, up to an offset."""

    topic: str
    partition: int
    next: int
    size = 0

    def until(self, end: int) -> End | None:
        """Let it be the end of what comes before an offset, and return the end of the rest if there is any."""
        if self.next <= end:
            return None
        rest = replace(self)
        self.next = end
        return rest


@dataclass(frozen=True, slots=True)
class Broken:
    """A partition can't be read: its offset is gone, or we may not."""

    topic: str
    partition: int
    error: str
    is_gone: bool
    size = 0


Item = Run | End | Broken


class Reading:
    """Fetches events."""

    def __init__(self, bounds: Callable[[], Bounds], to_partitions: Callable[[Offsets], list[Any]]) -> None:
        self._bounds = bounds
        self._to_partitions = to_partitions
        self.limiter = trio.CapacityLimiter(1)
        self._takers: dict[tuple[str, int], FromTopics] = {}
        self._assigned: set[FromTopics] = set()
        self._paused: set[FromTopics] = set()
        self._bell = Bell()
        self._consumer: Consumer | None = None
        self._messages = 100  # messages taken at a time, by the size of the last ones

    async def run(self, consumer: Consumer) -> None:
        """Fetch until cancelled."""
        self._consumer = consumer
        try:
            while True:
                if not self._takers:
                    await self._bell.wait()
                    continue
                fetched = await trio.to_thread.run_sync(self._fetch, consumer, limiter=self.limiter)
                # Without a pause between them: a collector that is unassigned meanwhile would get the rest with its
                # next offsets.
                crowded = {taker for taker, item in fetched if taker.offer(item) > MAX_WAITING}
                for taker in crowded - self._paused:
                    await self.pause(taker)
        finally:
            self._consumer = None
            self._takers = {}  # a new one, as a thread may be looking at the old one
            self._assigned = set()
            self._paused = set()

    async def assign(self, taker: FromTopics, offsets: Offsets) -> None:
        """Fetch for a taker from these offsets on. It is done when this returns, or is cancelled."""

        def assign(consumer: Consumer) -> None:
            partitions = self._to_partitions(offsets)
            consumer.incremental_assign(partitions)
            if taker in self._paused:
                consumer.pause(partitions)
            self._takers.update(dict.fromkeys(offsets, taker))

        self._assigned.add(taker)
        await self._use(assign)
        self._bell.ring()

    async def unassign(self, taker: FromTopics) -> None:
        """Fetch no longer for a taker; it is offered nothing more."""

        def unassign(consumer: Consumer) -> None:
            mine = self._partitions_of(taker)
            if mine:
                consumer.resume(self._to_partitions(mine))  # otherwise they stay paused when they are assigned again
                consumer.incremental_unassign(self._to_partitions(mine))
            for at in mine:
                self._takers.pop(at, None)

        if taker in self._assigned:  # otherwise it would wait for others' messages
            with trio.CancelScope(shield=True):  # the call asks no broker, so it is short
                await self._use(unassign)
            self._assigned.discard(taker)
        self._paused.discard(taker)

    async def pause(self, taker: FromTopics) -> None:
        """Fetch no more for a taker for now."""
        self._paused.add(taker)
        await self._use(lambda consumer: consumer.pause(self._to_partitions(self._partitions_of(taker))))

    async def resume(self, taker: FromTopics) -> None:
        """Fetch for a taker again, if it is paused."""
        if taker in self._paused:
            self._paused.discard(taker)
            await self._use(lambda consumer: consumer.resume(self._to_partitions(self._partitions_of(taker))))

    def _partitions_of(self, taker: FromTopics) -> Offsets:
        return {at: 0 for at, its in self._takers.items() if its is taker}

    async def _use(self, call: Callable[[Consumer], None]) -> None:
        """Call the consumer while nothing is being fetched: a message goes to the collector assigned at that moment."""

        def use() -> None:
            if self._consumer is not None:  # the consumer may have ended meanwhile
                call(self._consumer)

        await trio.to_thread.run_sync(use, limiter=self.limiter)

    # In the thread

    def _fetch(self, consumer: Consumer) -> list[tuple[FromTopics, Item]]:
        """Return the messages that have come, each with the collector it is for."""
        runs: defaultdict[tuple[str, int], list[Message]] = defaultdict(list)
        others: list[tuple[tuple[str, int], Item]] = []
        for message in consumer.consume(self._messages, CONSUME_SECONDS):
            at = message.topic(), message.partition()
            error = message.error()
            if error is None:
                runs[at].append(message)
            elif (item := _item_of(*at, message.offset(), error)) is not None:
                others.append((at, item))
        bounds, now = self._bounds(), time.time()
        items: list[tuple[FromTopics, Item]] = []
        for at, messages in runs.items():
            if (taker := self._takers.get(at)) is not None:
                items.append((taker, check_messages(messages, taker.value_format, bounds, now)))
        if size := sum(item.size for _, item in items):
            self._messages = min(MAX_MESSAGES, 1 + MAX_FETCHED * sum(map(len, runs.values())) // size)
        items += [(taker, item) for at, item in others if (taker := self._takers.get(at)) is not None]
        return items


def _item_of(topic: str | None, partition: int | None, offset: int | None, error: KafkaError) -> Item | None:
    if topic is None or partition is None:
        _log.warning("Kafka has trouble", error=error.str())
        return None
    name = error.name()
    if name == "_PARTITION_EOF":
        return End(topic, partition, offset or 0)
    if name in {"_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"}:
        return Broken(topic, partition, error.str(), is_gone=True)
    return Broken(topic, partition, error.str(), is_gone=False)
