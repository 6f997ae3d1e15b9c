"""Fakes of confluent_kafka, for what brokers do seldom, and no test can have them do."""

from collections import deque
from dataclasses import dataclass


class FakeError:
    """Has what is used of KafkaError."""

    def __init__(self, name, said=""):
        self._name, self._said = name, said or f"said {name}"

    def name(self):
        return self._name

    def str(self):
        return self._said

    def fatal(self):
        return False  # of what a poll returns, also when it is

    def error(self):  # a message that is nothing else
        return self


@dataclass
class At:
    """Has what is used of TopicPartition."""

    topic: str
    partition: int
    offset: int = 0
    metadata: str = ""
    error: FakeError | None = None


def to_commit(offsets):
    return [At(topic, partition, *told) for (topic, partition), told in offsets.items()]


class FakeConsumer:
    """The consumer of the group: a poll serves all ``events`` that are due, then answers to commits.

    An event is a callback and slots. What is committed while ``holding`` is answered later; ``errors`` are the answers
    to the next commits, "" for one that is taken.
    """

    def __init__(self, ownership):
        self.ownership = ownership
        self.events = deque()
        self.errors = deque()
        self.committed = []
        self.assigned = set()
        self.holding = False
        self.refuses = deque()  # raised by the next commits
        self.unanswered = []
        self.messages = deque()  # returned by the next polls

    def subscribe(self, topics, **callbacks):
        self.topics, self.callbacks = topics, callbacks

    def poll(self, timeout):  # noqa: ARG002  (as in confluent_kafka)
        while self.events:
            callback, slots = self.events.popleft()
            self.callbacks[callback](self, [At("tasks", slot) for slot in slots])
        if not self.holding:
            unanswered, self.unanswered = self.unanswered, []
            for offsets in unanswered:
                error = self.errors.popleft() if self.errors else ""
                if not error:
                    self.committed.append(offsets)
                self.ownership.on_commit(FakeError(error) if error else None, offsets)
        return self.messages.popleft() if self.messages else None

    def commit(self, *, offsets, asynchronous):
        assert asynchronous, "a commit that blocks has no time-out"
        if self.refuses:
            raise self.refuses.popleft()
        self.unanswered.append(offsets)

    def incremental_assign(self, partitions):
        self.assigned |= {one.partition for one in partitions}

    def incremental_unassign(self, partitions):
        self.assigned -= {one.partition for one in partitions}
