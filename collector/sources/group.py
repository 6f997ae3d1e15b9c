"""The group: this service's three consumers of Kafka, and the collectors whose events come from there."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import structlog
import trio

from collector.errors import ConfigError, GroupEnded, OldProtocol
from collector.formats.bounds import Bounds
from collector.sources.clients import (
    PAUSE,
    Asking,
    is_protocol_ours,
    open_consumer,
    ownership_options,
    reading_options,
    to_commit,
    to_partitions,
)
from collector.sources.gateway import Gateway
from collector.sources.kafka import FromTopics
from collector.sources.owners import Owners
from collector.sources.ownership import Ownership
from collector.sources.reading import Reading
from collector.sources.rejecting import Rejecting
from collector.status.counts import GroupCounts
from collector.status.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import Consumer

    from collector.config.kafka import Kafka
    from collector.config.limits import Limits
    from collector.pipeline.source import Source
    from collector.pipeline.work import Work
    from collector.sources.messages import Rejected
    from collector.store.records import Batch, Range

T = TypeVar("T")

# Seconds between looks at who has which collector; and the time to leave the group.
OWNERS_SECONDS = 15.0
LEAVING_SECONDS = 3.0

_log = structlog.get_logger()


class Group:
    """The services that share collectors, as one of them is in it; it runs under a bulkhead."""

    def __init__(self, config: Kafka, limits: Callable[[], Limits]) -> None:
        self.config = config
        self.counts = GroupCounts()
        self.problem = ""
        self._limits = limits
        self.reading = Reading(self.bounds, to_partitions)
        self.gateway = Gateway(config)
        self._rejecting = Rejecting(config)
        self._ownership: Ownership | None = None
        self._ready = trio.Event()
        self._owners = Owners()
        self._collectors: set[str] = set()
        self._asking: Asking | None = None
        self._threads = trio.CapacityLimiter(2)
        self._leaving = trio.CapacityLimiter(3)  # leaving must not wait for questions to brokers that don't answer
        self._is_old = False  # whether the brokers lack the group protocol of Kafka 4

    def bounds(self) -> Bounds:
        """Return what a message may have at most."""
        limits = self._limits()
        return Bounds(limits.max_body_bytes, limits.max_rows, limits.max_columns)

    def status(self) -> Status:
        """Return what it is called where it fails."""
        return Status("kafka", "waiting")

    def source_of(self, work: Work) -> Source:
        """Return the source of a collector's events, which are those of its topics."""
        from collector.pipeline.source import Source

        if work.config.kafka is None:
            return Source()
        self._collectors.add(work.id)
        return FromTopics(work, work.config.kafka, self)

    async def run(self) -> None:
        """Be in the group until cancelled."""
        try:
            reader = open_consumer(reading_options(self.config))
        except ConfigError as error:
            self.problem = str(error)
            raise
        # on the reader's connection, questions would wait behind the messages that it fetches
        asker = open_consumer(reading_options(self.config))
        self._asking = Asking(asker)
        try:
            slots = await self._find_slots()
            ownership = Ownership(self.config.ownership_topic, slots, self._about(), to_commit, self.counts)
            options = ownership_options(self.config, is_old=self._is_old)
            member = open_consumer({**options, "on_commit": ownership.on_commit})
            self._ownership = ownership
            self._ready.set()
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ownership.run, member)
                    nursery.start_soon(self.reading.run, reader)
                    nursery.start_soon(self._look_for_owners, ownership)
            except* OldProtocol as ended:
                self._is_old = is_protocol_ours(self.config)
                if not self._is_old:
                    self.problem = str(ended.exceptions[0])
                    raise
                _log.info("the brokers don't offer the group protocol of Kafka 4; the service joins by the older one")
            except* GroupEnded as ended:
                self.problem = str(ended.exceptions[0])
                raise
            finally:
                self._ready = trio.Event()
                self._ownership = None
                await _close(member, self._leaving)
                ownership.end()
        finally:
            self._asking = None
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_close, asker, self._leaving)
                nursery.start_soon(_close, reader, self._leaving)

    def _about(self) -> dict[str, str]:
        return {"u": self.config.advertise_url or "", "h": socket.gethostname()}

    async def _find_slots(self) -> int:
        topic = self.config.ownership_topic
        while True:
            slots = (await self.ask(lambda brokers: brokers.partitions([topic])))[topic]
            if slots:
                self.problem = ""
                return slots
            self.problem = (
                f"the brokers have no topic '{topic}'; 'evidently-collector kafka init' creates it, empty and with 64 "
                "partitions"
            )
            await trio.sleep(PAUSE)

    # What collectors ask

    async def wait_ready(self) -> Ownership:
        """Return this service's place in the group, once it is a member."""
        while self._ownership is None:
            await self._ready.wait()
        return self._ownership

    async def ask(self, question: Callable[[Asking], T]) -> T:
        """Ask the brokers, until they answer; a service that stops doesn't wait for that."""
        from confluent_kafka import KafkaException

        while True:
            try:
                answer = await trio.to_thread.run_sync(
                    self._ask, question, abandon_on_cancel=True, limiter=self._threads
                )
            except KafkaException as error:
                self.problem = (
                    f"the Kafka brokers at {self.config.bootstrap_servers} don't answer: {error.args[0].str()}"
                )
                await trio.sleep(PAUSE)
            else:
                self.problem = ""
                return answer

    def _ask(self, question: Callable[[Asking], T]) -> T:
        from confluent_kafka import KafkaError, KafkaException

        with suppress(RuntimeError):  # the connection was closed during the question
            if self._asking is not None:
                return question(self._asking)
        raise KafkaException(KafkaError(KafkaError._STATE))  # noqa: SLF001  (so librdkafka calls it)

    async def reject(self, collector: str, rejected: Sequence[Rejected]) -> int:
        """Take messages that aren't events; return how many of them the dead-letter topic has."""
        return await self._rejecting.reject(collector, rejected)

    async def give_up(self, batch: Batch, ranges: Sequence[Range], error: str) -> int:
        """Tell the dead-letter topic of a batch whose report failed; return how many messages it got."""
        return await self._rejecting.give_up(batch, ranges, error)

    def owner_of(self, collector: str) -> str:
        """Return the address of the service at which a collector is at work; "" if it isn't known."""
        return "" if self._ownership is None else self._owners.url_of(self._ownership.slot_of(collector))

    def mismatch(self, collector: str, digest: str) -> str:
        """Say what is odd about a collector's config at the service that has it; "" if nothing is."""
        return "" if self._ownership is None else self._owners.mismatch(collector, digest, self._ownership)

    async def _look_for_owners(self, ownership: Ownership) -> None:
        topic = self.config.ownership_topic
        at = [(topic, slot) for slot in range(ownership.slots)]
        while True:
            found = await self.ask(lambda brokers: brokers.committed(at))
            self._owners.note((slot, one) for (_, slot), one in found.items())
            self.counts.members = self._owners.count_services(set(map(ownership.slot_of, self._collectors)))
            await trio.sleep(OWNERS_SECONDS)


async def _close(consumer: Consumer, limiter: trio.CapacityLimiter) -> None:
    """Leave the group, so that others needn't wait until its session ends; not for long, as brokers may not answer."""
    with trio.move_on_after(LEAVING_SECONDS, shield=True):
        await trio.to_thread.run_sync(consumer.close, abandon_on_cancel=True, limiter=limiter)
