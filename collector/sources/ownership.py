"""Ownership: the consumer by which services share the collectors; one thread polls it and commits.

It is subscribed to a topic without messages, whose partitions are the slots; a collector belongs to the slot that its
id leads to, and is at the service which that slot is assigned to. Commits for the topics of events go by it too: the
brokers ask whether who commits is a member of the group's present generation, not what is assigned to it.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
import trio

from collector.errors import GroupEnded, OldProtocol, OwnershipLost
from collector.sources.chain import number_of
from collector.sources.clients import lacks_protocol
from collector.sources.grants import Grants
from collector.status.counts import GroupCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import Consumer, KafkaError, TopicPartition

    from collector.sources.chain import Chain
    from collector.sources.grants import Grant

# Seconds for which a poll waits, and a commit with it; and for which a revocation waits for a snapshot in flight.
POLL_SECONDS = 0.05
SENT_PATIENCE = 10.0

_log = structlog.get_logger()


@dataclass
class Order:
    """A commit: sent under its grant or not at all."""

    grant: Grant
    number: int
    offsets: list[TopicPartition]
    done: trio.Event = field(default_factory=trio.Event)
    error: str | None = None  # None: it wasn't sent, because its grant is over

    async def wait(self) -> str:
        """Return once the brokers answered: the name of the error, "" if it was taken.

        Raises OwnershipLost if it wasn't sent.
        """
        await self.done.wait()
        if self.error is None:
            raise OwnershipLost
        return self.error


class Ownership:
    """This service's place in the group."""

    def __init__(
        self,
        topic: str,
        slots: int,
        about: dict[str, str],
        to_offsets: Callable[[dict[tuple[str, int], tuple[int, str]]], list[Any]],
        counts: GroupCounts,
    ) -> None:
        self.counts = counts
        self.grants = Grants()
        self.id = uuid.uuid4().hex[:8]  # tells this service's place in the group from others
        # By slot: the collectors that were ever read, each with the digest of its config if it is at work here.
        self.begun: defaultdict[int, dict[str, str]] = defaultdict(dict)
        self._about = about
        self._topic = topic
        self.slots = slots
        self._to_offsets = to_offsets
        self._orders: deque[Order] = deque()
        self._sent: dict[int, Order] = {}
        self._answered: list[Order] = []
        self._number = 0
        self._changed = trio.Event()
        self._limiter = trio.CapacityLimiter(1)
        self._has_ended = False

    def slot_of(self, collector: str) -> int:
        """Return the slot of a collector, the same at each service."""
        return zlib.crc32(collector.encode()) % self.slots

    async def run(self, consumer: Consumer) -> None:
        """Be a member of the group until cancelled."""
        consumer.subscribe([self._topic], on_assign=self.on_assign, on_revoke=self.on_revoke, on_lost=self.on_lost)
        while True:
            await trio.to_thread.run_sync(self.turn, consumer, limiter=self._limiter)
            self.tell()

    async def wait_granted(self, slot: int) -> Grant:
        """Return the grant of a slot, once there is one; raise OwnershipLost once there will be none."""
        while (grant := self.grants.of(slot)) is None:
            if self._has_ended:
                raise OwnershipLost
            await self._changed.wait()
        return grant

    async def wait_lost(self, grant: Grant) -> None:
        """Return once a grant is over."""
        while self.grants.holds(grant):
            await self._changed.wait()

    async def wait_sent(self, grant: Grant) -> None:
        """Return once no snapshot is being sent under a grant."""
        while self.grants.is_sending(grant):
            await self._changed.wait()

    def count_on(self, number: int) -> None:
        """Have the next commit numbered beyond ``number``, that of one committed before."""
        self._number = max(self._number, number)

    def order(self, grant: Grant, chain: Chain) -> Order:
        """Order that a chain be committed, and don't wait for it."""
        self._number = number = self._number + 1
        metadata = chain.metadata(number)
        offsets = {at: (offset, metadata[at]) for at, offset in chain.base.items()}
        # Says whose offsets there have to be. Without it, expired offsets would look like a first start.
        told = {"n": number, "i": self.id, "c": self.begun[grant.slot], **self._about}
        offsets[self._topic, grant.slot] = (0, json.dumps(told, separators=(",", ":")))
        order = Order(grant, number, self._to_offsets(offsets))
        self._orders.append(order)
        return order

    # In the thread

    def turn(self, consumer: Consumer) -> None:
        """Poll once, then send what was ordered: nothing may come between a grant's check and its commit."""
        message = consumer.poll(POLL_SECONDS)
        if message is not None and (error := message.error()) is not None:
            if error.name() == "_FATAL":
                kind = OldProtocol if lacks_protocol(error) else GroupEnded
                raise kind(f"the brokers don't let this service into the group: {error.str()}")
            _log.warning("the Kafka group has trouble", error=error.str())
        while self._orders:
            self._send(consumer, self._orders.popleft())

    def _send(self, consumer: Consumer, order: Order) -> None:
        if not self.grants.holds(order.grant):
            self._answered.append(order)
            return
        self._sent[order.number] = order
        try:
            consumer.commit(offsets=order.offsets, asynchronous=True)
        except Exception as error:  # noqa: BLE001  (of librdkafka's own kind, which isn't imported here)
            del self._sent[order.number]
            order.error = _name_of(error)
            self._answered.append(order)

    def on_commit(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        """Take the brokers' answer to a commit."""
        order = next((self._sent.pop(n) for p in partitions if (n := number_of(p.metadata)) in self._sent), None)
        if order is not None:
            errors = [one for one in (error, *(p.error for p in partitions)) if one is not None]
            order.error = errors[0].name() if errors else ""
            self._answered.append(order)

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take slots that are ours from now on."""
        self.counts.rebalances += 1
        consumer.incremental_assign(partitions)
        self.grants.give(one.partition for one in partitions)

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Give slots back, once snapshots in flight have arrived; nobody waits for commits any more."""
        self.counts.rebalances += 1
        ended = self.grants.take(one.partition for one in partitions)
        if not self.grants.wait_sent(ended, SENT_PATIENCE):
            _log.warning("a collector goes to another service while its snapshot is being sent")
        consumer.incremental_unassign(partitions)

    def on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take down that slots are another's already."""
        self.counts.rebalances += 1
        self.grants.take(one.partition for one in partitions)
        consumer.incremental_unassign(partitions)

    # On the event loop again

    def tell(self) -> None:
        """Tell those who wait what came of a poll and its commits."""
        answered, self._answered = self._answered, []
        for order in answered:
            order.done.set()
        self._changed.set()
        self._changed = trio.Event()

    def end(self) -> None:
        """Tell all who wait that this service has left its place in the group."""
        self._has_ended = True
        self.grants.take([grant.slot for grant in self.grants.held])
        self.tell()


def _name_of(error: Exception) -> str:
    first = error.args[0] if error.args else None
    name = getattr(first, "name", None)
    return str(name()) if name is not None else type(error).__name__
