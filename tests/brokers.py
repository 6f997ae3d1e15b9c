"""Brokers for tests: librdkafka's mock cluster, in a process of its own that ends with its standard input."""

import json
import subprocess
import sys
from contextlib import contextmanager

from confluent_kafka import Consumer, Producer, TopicPartition

_PROGRAM = """
import sys
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": "nowhere:1", "test.mock.num.brokers": 3, "log_level": 0})
brokers = producer.list_topics(timeout=60).brokers.values()
print(",".join(f"{one.host}:{one.port}" for one in brokers), flush=True)
sys.stdin.read()
"""
SECONDS = 60


class Brokers:
    """A cluster at an address."""

    def __init__(self, address):
        self.address = address
        options = {"acks": "all", "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 600_000}
        # A broker that hangs is left for the next one sooner than after a minute.
        options |= {"request.timeout.ms": 5000, "socket.timeout.ms": 10_000}
        self._producer = Producer({"bootstrap.servers": address, "log_level": 0, **options})

    def config(self, group, **options):
        """Make the ``kafka`` of a service's config, with topics of its own.

        By the newer protocol members join at once; by the older one the mock cluster waits 3 s for further ones.
        """
        return {
            "bootstrap_servers": self.address,
            "group_id": group,
            "ownership_topic": f"{group}-tasks",
            "librdkafka_options": {"group.protocol": "consumer", "log_level": "0"},
        } | options

    def make(self, *topics):
        """Make topics of four partitions: the mock cluster does at the first question."""
        for topic in topics:
            assert self._producer.list_topics(topic, timeout=SECONDS).topics[topic].partitions

    def produce(self, topic, numbers, partition=None):
        """Produce a message {"n": number} for each, over four partitions unless one is given."""
        for number in numbers:
            self.put(topic, json.dumps({"n": number}).encode(), number % 4 if partition is None else partition)
        self.flush()

    def put(self, topic, value, partition=0, key=None):
        """Hand over one message as it is; ``flush`` waits for it."""
        self._producer.produce(topic, value, key, partition=partition)

    def serve(self, seconds):
        """Let what was handed over be sent, for so long."""
        self._producer.poll(seconds)

    def flush(self):
        assert self._producer.flush(SECONDS) == 0

    def read(self, topic, messages):
        """Return so many messages of a topic, of any of its partitions."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "any", "log_level": 0})
        try:
            consumer.assign([TopicPartition(topic, one, 0) for one in range(4)])
            found = []
            while len(found) < messages:
                found += consumer.consume(messages - len(found), SECONDS)
            return found
        finally:
            consumer.close()

    def count(self, topic, partition=0):
        """Count the messages of a partition that are there."""
        options = {"enable.partition.eof": True, "auto.offset.reset": "earliest", "log_level": 0}
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "any", **options})
        try:
            consumer.assign([TopicPartition(topic, partition, 0)])
            found = 0
            while (message := consumer.poll(SECONDS)) is not None and message.error() is None:
                found += 1
            return found
        finally:
            consumer.close()

    def committed(self, group, topic, partitions=4):
        """Return offset and metadata of each partition, as far as committed."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": group, "log_level": 0})
        try:
            at = [TopicPartition(topic, partition) for partition in range(partitions)]
            found = consumer.committed(at, timeout=SECONDS)
            return [(one.offset, json.loads(one.metadata)) if one.offset >= 0 else None for one in found]
        finally:
            consumer.close()

    def ends(self, topic, partitions=4):
        """Return the next offset of each partition."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "any", "log_level": 0})
        try:
            at = [TopicPartition(topic, partition) for partition in range(partitions)]
            return [consumer.get_watermark_offsets(one, timeout=SECONDS)[1] for one in at]
        finally:
            consumer.close()


@contextmanager
def mock_brokers():
    """Run a mock cluster while the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield Brokers(process.stdout.readline().strip())
        finally:
            process.stdin.close()
            process.wait(SECONDS)
