"""Clients of Kafka: how librdkafka is set up for each, and what of it is used by the rest of the room."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from collector.errors import ConfigError
from collector.sources.chain import Committed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from confluent_kafka import Consumer, KafkaError, Producer

    from collector.config.kafka import Kafka
_PROTOCOL = "group.protocol"
# Options of the older protocol: whoever sets one means that. In the newer protocol, brokers set how long a session
# lasts.
_OF_CLASSIC = frozenset({"session.timeout.ms", "heartbeat.interval.ms"})
# Options of a group. The consumer that reads is no member of one.
_OF_GROUPS = frozenset({_PROTOCOL, "group.remote.assignor", *_OF_CLASSIC})
_FETCHING: dict[str, str | int | bool] = {
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 10,  # the default, a second, would let a full queue be filled only once a second
    "queued.max.messages.kbytes": 16_384,
    "queued.min.messages": 10_000,
}
# A service that is asked to give collectors back, and doesn't for this long, is put out of the group. librdkafka was
# seen to miss the request, and then nobody would have the collectors for five minutes, the default.
GIVING_BACK_MS = 60_000
# Seconds to wait for an answer of the brokers.
ASKING_SECONDS = 5.0
# Seconds before brokers that didn't answer, or didn't take something, are asked again.
PAUSE = 2.0

_log = logging.getLogger("collector.kafka")


def shared_options(kafka: Kafka) -> dict[str, Any]:
    """Return what all clients have in common; the operator's own options come last."""
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "client.id": "evidently-collector",
        "socket.timeout.ms": 10_000,
        "logger": _log,
        **kafka.filled_options(),
    }


def is_protocol_ours(kafka: Kafka) -> bool:
    """Tell whether the group's protocol is ours to choose, as the operator's options don't say it."""
    return not {_PROTOCOL, *_OF_CLASSIC} & kafka.librdkafka_options.keys()


def ownership_options(kafka: Kafka, *, is_old: bool = False) -> dict[str, Any]:
    """Return the options of the consumer that is a member of the group.

    It is by the protocol of Kafka 4, unless the brokers or the operator's options are of the older one.
    """
    protocol = "consumer" if is_protocol_ours(kafka) and not is_old else "classic"
    group = {_PROTOCOL: protocol, "group.id": kafka.group_id, "enable.auto.commit": False}
    options = {**group, **shared_options(kafka)}
    if options[_PROTOCOL] == "classic":
        options = {"session.timeout.ms": 10_000, **options, "partition.assignment.strategy": "cooperative-sticky"}
    session = str(options.get("session.timeout.ms", ""))
    # librdkafka accepts no less than a session, and reports by itself what isn't a number.
    patience = max(GIVING_BACK_MS, int(session) if session.isdecimal() else 0)
    return {"max.poll.interval.ms": patience, **options}


def reading_options(kafka: Kafka) -> dict[str, Any]:
    """Return the options of the consumer that fetches; it names the group, as else it would need a right of its own."""
    given = {name: value for name, value in shared_options(kafka).items() if name not in _OF_GROUPS}
    return {**_FETCHING, **given, "group.id": kafka.group_id, "enable.auto.commit": False}


def lacks_protocol(error: KafkaError) -> bool:
    """Tell whether a fatal error says that the brokers don't offer the group protocol of Kafka 4; its code doesn't."""
    from confluent_kafka import KafkaError

    said = (KafkaError(code).str() for code in (KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE))  # noqa: SLF001  (so librdkafka calls it)
    return any(one in error.str() for one in said)


def open_consumer(options: Mapping[str, Any]) -> Consumer:
    """Make a consumer; raise ConfigError for options that librdkafka doesn't take."""
    from confluent_kafka import Consumer, KafkaException

    try:
        return Consumer(dict(options))
    except (KafkaException, TypeError, ValueError) as error:
        raise _refused(error) from error


def open_producer(kafka: Kafka, defaults: Mapping[str, Any] | None = None) -> Producer:
    """Make a producer whose messages are kept by all replicas, once each; raise ConfigError as open_consumer does."""
    from confluent_kafka import KafkaException, Producer

    given = {name: value for name, value in shared_options(kafka).items() if name not in _OF_GROUPS}
    try:
        return Producer({**(defaults or {}), **given, "acks": "all", "enable.idempotence": True})
    except (KafkaException, TypeError, ValueError) as error:
        raise _refused(error) from error


def _refused(error: Exception) -> ConfigError:
    first = error.args[0] if error.args else error
    said = first.str() if hasattr(first, "str") else str(first)
    return ConfigError.at(f"librdkafka refuses it: {said}", "kafka", "librdkafka_options")


def to_partitions(offsets: Mapping[tuple[str, int], int]) -> list[Any]:
    """Write offsets as librdkafka has them."""
    from confluent_kafka import TopicPartition

    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]


def to_commit(offsets: Mapping[tuple[str, int], tuple[int, str]]) -> list[Any]:
    """Write offsets with their metadata as librdkafka has them."""
    from confluent_kafka import TopicPartition

    return [TopicPartition(topic, partition, *told) for (topic, partition), told in offsets.items()]


class Asking:
    """What brokers are asked, in a thread that waits for them; each raises KafkaError's exception if they don't answer.

    The consumer that asks does nothing else, and librdkafka lets several threads use it.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """Return how many partitions topics have; 0 for one that isn't there."""
        found = {}
        for topic in topics:
            told = self._consumer.list_topics(topic, timeout=ASKING_SECONDS).topics.get(topic)
            found[topic] = 0 if told is None or told.error is not None else len(told.partitions)
        return found

    def committed(self, at: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Committed]:
        """Return what the group has committed for partitions."""
        from confluent_kafka import KafkaException

        found = {}
        for one in self._consumer.committed(to_partitions(dict.fromkeys(at, 0)), timeout=ASKING_SECONDS):
            if one.error is not None:
                raise KafkaException(one.error)
            offset = one.offset if one.offset >= 0 else None
            found[one.topic, one.partition] = Committed(offset, one.metadata or "")
        return found

    def nexts(self, at: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return the next offset of partitions, those of each broker in one question."""
        from confluent_kafka import OFFSET_END, KafkaException

        found = {}
        wanted = to_partitions(dict.fromkeys(at, OFFSET_END))
        for one in self._consumer.offsets_for_times(wanted, timeout=ASKING_SECONDS):
            if one.error is not None:
                raise KafkaException(one.error)
            found[one.topic, one.partition] = one.offset
        return found

    def ends(self, at: Iterable[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, int]]:
        """Return the first and the next offset of partitions."""
        return {
            one: self._consumer.get_watermark_offsets(to_partitions({one: 0})[0], timeout=ASKING_SECONDS) for one in at
        }
