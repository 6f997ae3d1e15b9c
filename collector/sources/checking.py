"""Checking: whether brokers, topics and rights are as the config needs them; and making the topics that are ours."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from collector.errors import CommandError, ConfigError, Problem
from collector.sources.clients import (
    ASKING_SECONDS,
    Asking,
    is_protocol_ours,
    lacks_protocol,
    open_consumer,
    ownership_options,
    reading_options,
    shared_options,
    to_commit,
    to_partitions,
)
from collector.wording import lasting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from confluent_kafka import Consumer
    from confluent_kafka.admin import AdminClient

    from collector.config import CollectorServiceConfig
    from collector.config.kafka import Kafka
    from collector.config.triggers import Trigger

T = TypeVar("T")
SLOTS = 64
REPLICAS = 3
_DAY = 86_400
_JOIN_SECONDS = 15.0

_log = structlog.get_logger()


@dataclass
class _Brokers:
    """What a check asks, and whom."""

    kafka: Kafka
    consumer: Consumer
    admin: AdminClient

    @property
    def asking(self) -> Asking:
        """The consumer, with the questions that can be asked through it."""
        return Asking(self.consumer)


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
        brokers = _Brokers(config.kafka, consumer, AdminClient(_plain(shared_options(config.kafka))))
        asked = (
            _topic_problems(config, brokers),
            _reading_problems(config, brokers),
            _writing_problems(config, brokers),
        )
        return [*chain(*asked, _broker_problems(brokers), _group_problems(brokers), _commit_problems(brokers))]
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
        raise CommandError(f"the brokers at {kafka.bootstrap_servers} can't create topics: {said}") from error
    return made


def _topic_problems(config: CollectorServiceConfig, brokers: _Brokers) -> Iterator[Problem]:
    kafka = brokers.kafka
    own = {("kafka", "ownership_topic"): kafka.ownership_topic}
    if kafka.dead_letter_topic is not None:
        own["kafka", "dead_letter_topic"] = kafka.dead_letter_topic
    for own_path, topic in own.items():
        if not brokers.asking.partitions([topic])[topic]:
            message = (
                f"the brokers have no topic '{topic}', or none for us; 'evidently-collector kafka init' creates it"
            )
            yield Problem(own_path, message)
    for key, topic in _topics_of(config):
        path = _where(key)
        if not brokers.asking.partitions([topic])[topic]:
            yield Problem(path, f"the brokers have no topic '{topic}', or none that this user may see")
            continue
        settings = _settings(brokers.admin, "topic", topic)
        if "compact" in settings.get("cleanup.policy", ""):
            message = f"topic '{topic}' is compacted: events with equal keys would be lost before they are read"
            yield Problem(path, message)
        kept, needed = float(settings.get("retention.ms", -1)) / 1000, 2 * _interval(config.collectors[key].trigger)
        if 0 <= kept < needed:
            message = (
                f"topic '{topic}' keeps messages for {lasting(kept)}, and a batch may take {lasting(needed / 2)}: "
            )
            yield Problem(path, message + f"set its retention.ms to {needed * 1000:.0f} or more")


def _topics_of(config: CollectorServiceConfig) -> Iterator[tuple[str, str]]:
    for key, collector in config.collectors.items():
        for topic in collector.kafka.topics if collector.kafka is not None else ():
            yield key, topic


def _where(collector: str) -> tuple[str, ...]:
    return "collectors", collector, "kafka", "topics"


def _interval(trigger: Trigger) -> float:
    """Return the seconds between two times of a trigger; 0 if only rows make a batch due."""
    first = trigger.next_time(time.time())
    second = None if first is None else trigger.next_time(first)
    return 0.0 if first is None or second is None else second - first


def _reading_problems(config: CollectorServiceConfig, brokers: _Brokers) -> Iterator[Problem]:
    """Try to read each partition of the topics, at its end."""
    from confluent_kafka import OFFSET_END

    keys = {topic: key for key, topic in _topics_of(config)}
    counts = brokers.asking.partitions(keys)
    unread = {(topic, partition) for topic, count in counts.items() for partition in range(count)}
    brokers.consumer.assign(to_partitions(dict.fromkeys(unread, OFFSET_END)))
    end, refused = time.monotonic() + ASKING_SECONDS, {}
    while unread and time.monotonic() < end:
        for message in brokers.consumer.consume(500, 0.1):
            error = message.error()
            if error is not None and error.name() != "_PARTITION_EOF" and message.topic() in keys:
                refused[message.topic()] = error.str()
            unread.discard((message.topic(), message.partition()))
    brokers.consumer.unassign()
    for topic, said in refused.items():
        yield Problem(_where(keys[topic]), f"topic '{topic}' can't be read: {said}")


def _writing_problems(config: CollectorServiceConfig, brokers: _Brokers) -> Iterator[Problem]:
    """Ask whether we may write where we have to; nothing is written."""
    if (topic := brokers.kafka.dead_letter_topic) is not None and not _may_write(brokers, topic):
        yield Problem(("kafka", "dead_letter_topic"), f"this user may not write to topic '{topic}'")
    for key, collector in config.collectors.items():
        topic = None if collector.kafka is None else collector.kafka.gateway_topic
        if topic is not None and not _may_write(brokers, topic):
            yield Problem(("collectors", key, "kafka", "gateway_topic"), f"this user may not write to topic '{topic}'")


def _may_write(brokers: _Brokers, topic: str) -> bool:
    """Tell whether we may write to a topic, as far as the brokers say."""
    from confluent_kafka import TopicCollection
    from confluent_kafka.admin import AclOperation

    if not brokers.asking.partitions([topic])[topic]:
        return True
    [future] = brokers.admin.describe_topics(
        TopicCollection([topic]), include_authorized_operations=True, request_timeout=ASKING_SECONDS
    ).values()
    told = _answer(future)
    return told is None or not told.authorized_operations or AclOperation.WRITE in told.authorized_operations


def _group_problems(brokers: _Brokers) -> Iterator[Problem]:
    """Count the services of the group: there may be more than shares, and one without a share does nothing."""
    kafka = brokers.kafka
    slots = brokers.asking.partitions([kafka.ownership_topic])[kafka.ownership_topic]
    [future] = brokers.admin.describe_consumer_groups([kafka.group_id], request_timeout=ASKING_SECONDS).values()
    told = _answer(future)
    if told is not None and len(told.members) > slots > 0:
        message = (
            f"{len(told.members)} services share {slots} partitions of '{kafka.ownership_topic}', so that some have "
        )
        yield Problem(
            ("kafka", "ownership_topic"), message + "nothing to do; stop all, then name a new topic with more"
        )


def _broker_problems(brokers: _Brokers) -> Iterator[Problem]:
    """Warn if brokers keep offsets too briefly: with them, what the services publish beside them expires."""
    node = str(next(iter(brokers.admin.list_topics(timeout=ASKING_SECONDS).brokers)))
    minutes = _settings(brokers.admin, "broker", node).get("offsets.retention.minutes")
    if minutes is not None and int(minutes) * 60 < _DAY:
        message = f"the brokers forget offsets after {minutes} minutes; set offsets.retention.minutes to 1440 or more"
        yield Problem(("kafka",), message)


def _commit_problems(brokers: _Brokers) -> Iterator[Problem]:
    """Try whether brokers give back what is written beside an offset."""
    from confluent_kafka import KafkaException

    kafka = brokers.kafka
    if not brokers.asking.partitions([kafka.ownership_topic])[kafka.ownership_topic]:
        return
    group = f"{kafka.group_id}-check"  # not in the services' own group, where joining would move collectors
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


def _keeps_metadata(kafka: Kafka, group: str, *, is_old: bool = False) -> bool:
    from confluent_kafka import KafkaException

    member = open_consumer({**ownership_options(kafka, is_old=is_old), "group.id": group})
    try:
        member.subscribe([kafka.ownership_topic])
        for _ in range(int(_JOIN_SECONDS / 0.1)):
            message = member.poll(0.1)
            error = None if message is None else message.error()
            if error is not None and error.name() == "_FATAL":
                if lacks_protocol(error) and is_protocol_ours(kafka) and not is_old:
                    return _keeps_metadata(kafka, group, is_old=True)
                raise KafkaException(error)
            if member.assignment():
                break
        at = (kafka.ownership_topic, 0)
        member.commit(offsets=to_commit({at: (0, "kept?")}), asynchronous=False)
        [found] = member.committed(to_partitions({at: 0}), timeout=ASKING_SECONDS)
        return bool(found.metadata == "kept?")
    finally:
        member.close()


def _settings(admin: AdminClient, kind: str, name: str) -> dict[str, str]:
    """Return the settings of a topic or a broker; none if we may not read them."""
    from confluent_kafka.admin import ConfigResource, ResourceType

    resource = ConfigResource(ResourceType[kind.upper()], name)
    [future] = admin.describe_configs([resource], request_timeout=ASKING_SECONDS).values()
    found: dict[str, Any] | None = _answer(future)
    return {} if found is None else {setting: str(one.value) for setting, one in found.items()}


def _answer(future: Future[T]) -> T | None:
    """Return the brokers' answer to a question that may be left open; None if they refuse."""
    from confluent_kafka import KafkaException

    try:
        return future.result(ASKING_SECONDS * 2)
    except (KafkaException, TimeoutError) as error:
        _log.debug("brokers don't tell", error=str(error))
        return None


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options without those of a group."""
    return {name: value for name, value in options.items() if not name.startswith(("group.", "session.", "heartbeat."))}
