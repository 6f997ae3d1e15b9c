"""Real threads; consumers are real where librdkafka is what it is about."""

from dataclasses import dataclass, field

import trio
from machine import PATIENCE

from collector.config.kafka import Kafka
from collector.formats.bounds import NO_BOUNDS
from collector.sources.clients import open_consumer, reading_options, to_partitions
from collector.sources.messages import Run
from collector.sources.reading import MAX_WAITING, Reading

from .test_messages import FakeMessage


@dataclass
class Sent(FakeMessage):
    at: tuple = ()

    def topic(self):
        return self.at[0]

    def partition(self):
        return self.at[1]

    def error(self):
        return None


@dataclass
class FakeReader:
    """Fetches what ``messages`` has, once, and takes down the pauses, each with how many runs were offered by then."""

    messages: list
    offered: list
    paused: list = field(default_factory=list)

    def consume(self, number, seconds):  # noqa: ARG002  (as in confluent_kafka)
        messages, self.messages = self.messages, []
        return messages

    def incremental_assign(self, partitions):
        pass

    def pause(self, partitions):
        self.paused.append((partitions, len(self.offered)))


class Taker:
    value_format = "json"

    def __init__(self, offered, waiting=0):
        self.offered = offered
        self.waiting = waiting

    def offer(self, item):
        self.offered.append(item)
        return self.waiting


async def until(check):
    with trio.fail_after(PATIENCE):
        while not check():  # noqa: ASYNC110  (of what threads do)
            await trio.sleep(0.01)


async def test_all_that_was_fetched_is_offered_before_anybody_is_paused():
    """Who was assigned lower offsets meanwhile took the rest for what comes next, and left out what is between."""
    offered = []
    first, second = (Taker(offered, MAX_WAITING + 1) for _ in range(2))
    consumer = FakeReader([], offered)
    reading = Reading(lambda: NO_BOUNDS, dict)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reading.run, consumer)
        await trio.testing.wait_all_tasks_blocked()
        await reading.assign(first, {("a", 0): 0, ("a", 1): 0})
        await reading.assign(second, {("b", 0): 0})
        consumer.messages = [Sent(b'{"n": 1}', at=at) for at in (("a", 0), ("b", 0), ("a", 1))]
        await until(lambda: len(consumer.paused) == 2)
        nursery.cancel_scope.cancel()
    assert [number for _, number in consumer.paused] == [3, 3]


async def test_what_is_assigned_to_one_that_is_paused_is_paused_too():
    """Of a partition that was added while there was no room, all would be fetched."""
    taker = Taker([])
    consumer = FakeReader([], taker.offered)
    reading = Reading(lambda: NO_BOUNDS, dict)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reading.run, consumer)
        await trio.testing.wait_all_tasks_blocked()
        await reading.assign(taker, {("a", 0): 5})
        await reading.pause(taker)
        await reading.assign(taker, {("a", 1): 0})
        nursery.cancel_scope.cancel()
    assert [at for at, _ in consumer.paused] == [{("a", 0): 0}, {("a", 1): 0}]


async def test_one_that_was_paused_when_it_went_is_read_when_it_comes_back(brokers):
    """librdkafka keeps partitions paused that are assigned again: nothing came any more."""
    brokers.produce("paused", range(10), partition=0)
    taker = Taker([])
    read = lambda: sum(item.rows for item in taker.offered if isinstance(item, Run))  # noqa: E731
    reading = Reading(lambda: NO_BOUNDS, to_partitions)
    consumer = open_consumer(reading_options(Kafka.parse(brokers.config("paused"))))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reading.run, consumer)
        await trio.testing.wait_all_tasks_blocked()
        await reading.assign(taker, {("paused", 0): 0})
        await until(lambda: read() == 10)
        await reading.pause(taker)
        await reading.unassign(taker)
        await reading.assign(taker, {("paused", 0): 0})
        await until(lambda: read() == 20)
        nursery.cancel_scope.cancel()
    consumer.close()
