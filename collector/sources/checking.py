"""Checking: whether brokers, topics and rights are as the config needs them; and making the topics that are ours."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from collector.errors import CommandError, ConfigError, Problem
from collector.sources.clients import (
    ASKING_SECONDS,
    Asking,
    open_consumer,
    ownership_options,
    reading_options,
    shared_options,
    to_commit,
    to_partitions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from confluent_kafka.admin import AdminClient

    from collector.config import CollectorServiceConfig
    from collector.config.kafka import Kafka

T = TypeVar("T")
SLOTS = 64
REPLICAS = 3
_DAY = 86_400
_JOIN_SECONDS = 15.0

_log = structlog.get_logger()


@dataclass
class _Brokers:
    """What is asked for the length of a check."""

    kafka: Kafka
    asking: Asking
    admin: AdminClient


def find_problems(config: CollectorServiceConfig) -> list[Problem]:
    """Return what is wrong with the Kafka of a config: brokers, topics, and what they do with commits."""
    if config.kafka is None:
        return []
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        consumer = open_consumer(reading_options(config.kafka))
    except ConfigError as error:
        return list(error.problems)
    try:
        brokers = _Brokers(config.kafka, Asking(consumer), AdminClient(_plain(shared_options(config.kafka))))
        return [*_topic_problems(config, brokers), *_broker_problems(brokers), *_commit_problems(brokers)]
    except KafkaException as error:
        where = config.kafka.bootstrap_servers
        return [Problem(("kafka", "bootstrap_servers"), f"the brokers at {where} don't answer: {error.args[0].str()}")]
    finally:
        consumer.close()


def make_topics(kafka: Kafka) -> list[str]:
    """Make the topics that are the service's own, those that aren't there; return their names.

    Raises CommandError if the brokers refuse.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient(_plain(shared_options(kafka)))
    try:
        brokers = len(admin.list_topics(timeout=ASKING_SECONDS).brokers)
        replicas = min(REPLICAS, brokers)
        wanted = [NewTopic(kafka.ownership_topic, SLOTS, replicas)]
        if kafka.dead_letter_topic is not None:
            wanted.append(NewTopic(kafka.dead_letter_topic, 1, replicas))
        made = []
        for name, future in admin.create_topics(wanted).items():
            try:
                future.result(ASKING_SECONDS * 2)
                made.append(name)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
    except (KafkaException, TimeoutError) as error:
        said = error.args[0].str() if isinstance(error, KafkaException) else "they don't answer"
        raise CommandError(f"the brokers at {kafka.bootstrap_servers} make no topics: {said}") from error
    return made


def _topic_problems(config: CollectorServiceConfig, brokers: _Brokers) -> Iterator[Problem]:
    kafka = brokers.kafka
    own = {("kafka", "ownership_topic"): kafka.ownership_topic}
    if kafka.dead_letter_topic is not None:
        own["kafka", "dead_letter_topic"] = kafka.dead_letter_topic
    for path, topic in own.items():
        if not brokers.asking.partitions([topic])[topic]:
            yield Problem(path, f"the brokers have no topic '{topic}'; 'evidently-collector kafka init' creates it")
    for key, collector in config.collectors.items():
        for topic in collector.kafka.topics if collector.kafka is not None else ():
            if not brokers.asking.partitions([topic])[topic]:
                yield Problem(("collectors", key, "kafka", "topics"), f"the brokers have no topic '{topic}'")
            elif _setting(brokers.admin, "topic", topic, "cleanup.policy") == "compact":
                message = f"topic '{topic}' is compacted: events with equal keys would be lost before they are read"
                yield Problem(("collectors", key, "kafka", "topics"), message)


def _broker_problems(brokers: _Brokers) -> Iterator[Problem]:
    """Offsets that nobody commits for so long expire, and with them what is published."""
    node = str(next(iter(brokers.admin.list_topics(timeout=ASKING_SECONDS).brokers)))
    minutes = _setting(brokers.admin, "broker", node, "offsets.retention.minutes")
    if minutes is not None and int(minutes) * 60 < _DAY:
        message = f"the brokers forget offsets after {minutes} minutes; set offsets.retention.minutes to 1440 or more"
        yield Problem(("kafka",), message)


def _commit_problems(brokers: _Brokers) -> Iterator[Problem]:
    """Try whether what is written beside an offset comes back."""
    from confluent_kafka import KafkaException

    kafka = brokers.kafka
    if not brokers.asking.partitions([kafka.ownership_topic])[kafka.ownership_topic]:
        return
    group = f"{kafka.group_id}-check"  # one that is at work may not be joined by who only looks
    try:
        kept = _keeps_metadata(kafka, group)
    except KafkaException as error:
        message = (
            f"nothing could be committed in the group '{group}', which needs the same rights: {error.args[0].str()}"
        )
        yield Problem(("kafka", "group_id"), message)
    else:
        if not kept:
            message = "the brokers drop the metadata of commits, which says where batches end: they can't be used"
            yield Problem(("kafka", "bootstrap_servers"), message)


def _keeps_metadata(kafka: Kafka, group: str) -> bool:
    member = open_consumer({**ownership_options(kafka), "group.id": group})
    try:
        member.subscribe([kafka.ownership_topic])
        for _ in range(int(_JOIN_SECONDS / 0.1)):
            member.poll(0.1)
            if member.assignment():
                break
        at = (kafka.ownership_topic, 0)
        member.commit(offsets=to_commit({at: (0, "kept?")}), asynchronous=False)
        [found] = member.committed(to_partitions({at: 0}), timeout=ASKING_SECONDS)
        return bool(found.metadata == "kept?")
    finally:
        member.close()


def _setting(admin: AdminClient, kind: str, name: str, setting: str) -> str | None:
    """Return a setting of a topic or a broker; None if we may not know."""
    from confluent_kafka.admin import ConfigResource, ResourceType

    resource = ConfigResource(ResourceType[kind.upper()], name)
    [future] = admin.describe_configs([resource], request_timeout=ASKING_SECONDS).values()
    found: dict[str, Any] | None = _answer(future)
    return None if found is None or setting not in found else str(found[setting].value)


def _answer(future: Future[T]) -> T | None:
    """Return what brokers answered to what isn't needed; None if they wouldn't."""
    from confluent_kafka import KafkaException

    try:
        return future.result(ASKING_SECONDS * 2)
    except (KafkaException, TimeoutError) as error:
        _log.debug("brokers don't tell", error=str(error))
        return None


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return options for a client that is in no group."""
    return {name: value for name, value in options.items() if not name.startswith(("group.", "session.", "heartbeat."))}
