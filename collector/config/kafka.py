"""Kafka as a source of events: the brokers, the group of collector services, and the topics of each collector."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from collector.config.alerts import WebAddress
from collector.config.environment import filled
from collector.config.value import MAX_LENGTH, Value, at_fields
from collector.errors import Problem
from collector.wording import extra

MAX_TOPICS = 100
MAX_TASKS = 64
# Options that the service sets itself. With others, events could be lost or counted twice.
_OURS = {
    "bootstrap.servers": "write it as kafka.bootstrap_servers",
    "metadata.broker.list": "write it as kafka.bootstrap_servers",
    "group.id": "write it as kafka.group_id",
    "group.instance.id": "a member that comes back must not pass for the one before it",
    "enable.auto.commit": "offsets are committed when a snapshot is delivered",
    "auto.commit.interval.ms": "offsets are committed when a snapshot is delivered",
    "enable.auto.offset.store": "offsets are committed when a snapshot is delivered",
    "partition.assignment.strategy": "collectors are spread by kafka.ownership_topic",
    "auto.offset.reset": "write auto_offset_reset beside the topics of each collector",
    "enable.partition.eof": "the collector needs it to read a batch of another member again",
    "isolation.level": "rows of aborted transactions were never sent",
    "transactional.id": "nothing is written in transactions",
    "plugin.library.paths": "it would load foreign code",
}


def _options(options: dict[str, str]) -> dict[str, str]:
    for name in options:
        if name in _OURS or name.startswith("enable.auto."):
            why = _OURS.get(name, "offsets are committed when a snapshot is delivered")
            raise ValueError(f"'{name}' can't be set here: {why}; take it out")
    return options


def _topic(name: str) -> str:
    if not name or len(name) > 249 or name in {".", ".."} or not all(one.isalnum() or one in "._-" for one in name):
        raise ValueError(f"'{name}' can't be the name of a topic; write letters, digits, '.', '_' and '-', 249 at most")
    return name


def _some(topics: tuple[str, ...]) -> tuple[str, ...]:
    if not topics:
        raise ValueError('names no topic; write its topics, as in ["predictions"]')
    return topics


Topic = Annotated[str, AfterValidator(_topic)]


class Kafka(Value):
    """The brokers, and the group of services that share the collectors whose events come from there."""

    always_written: ClassVar[frozenset[str]] = frozenset({"bootstrap_servers"})

    bootstrap_servers: str = Field(
        min_length=1, max_length=MAX_LENGTH, description="Brokers to ask first, as in k1:9092,k2:9092."
    )
    group_id: str = Field(
        default="evidently-collector",
        min_length=1,
        max_length=249,
        description="The consumer group of the services; they share the collectors, each of which is at work at one.",
    )
    ownership_topic: Topic = Field(
        default="evidently-collector-tasks",
        description="An empty topic whose partitions stand for shares of the work; never change their number.",
    )
    dead_letter_topic: Topic | None = Field(
        default=None, description="The topic for messages that aren't events, with the reason in their headers."
    )
    errors_tolerance: Literal["none", "all"] = Field(
        default="none",
        description="A message that isn't an event stops its collector (none), or is counted and left out (all).",
    )
    advertise_url: WebAddress | None = Field(
        default=None, description="Where the other services and their clients reach this one."
    )
    librdkafka_options: Annotated[dict[str, str], AfterValidator(_options)] = Field(
        default={},
        repr=False,
        max_length=200,
        description="Further options of librdkafka, such as security.protocol; ${NAME} is filled in.",
    )

    @field_validator("librdkafka_options", mode="before")
    @classmethod
    def _as_text(cls, options: object) -> object:
        if not isinstance(options, dict):
            return options
        return {name: str(value).lower() if isinstance(value, bool) else value for name, value in options.items()}

    def lacking(self) -> list[Problem]:
        """Say what isn't installed; raise ConfigError for variables that the environment lacks."""
        self.filled_options()
        if find_spec("confluent_kafka") is None:
            return [Problem(("kafka",), f"needs {extra('kafka')}")]
        return []

    def filled_options(self) -> dict[str, str]:
        """Return librdkafka's options with the environment's values; raise ConfigError if one isn't there."""
        return {
            name: filled(value, "kafka", "librdkafka_options", name) for name, value in self.librdkafka_options.items()
        }


class FromKafka(Value):
    """Which topics a collector's events come from, and how to read them."""

    always_written: ClassVar[frozenset[str]] = frozenset({"topics"})

    topics: Annotated[tuple[Topic, ...], AfterValidator(_some)] = Field(
        max_length=MAX_TOPICS, description="The topics with its events; no other collector reads them."
    )
    auto_offset_reset: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where to begin when nothing was read yet; not used after that."
    )
    value_format: Literal["json", "ndjson", "arrow"] = Field(
        default="json",
        description="A message's value: an object or a list of objects, a line for each, or an Arrow IPC stream.",
    )
    tasks_max: int = Field(
        default=1,
        ge=1,
        le=MAX_TASKS,
        description="How many tasks the collector is split into; each has its own partitions and batches.",
    )
    gateway_topic: Topic | None = Field(
        default=None, description="The one of its topics to which posted events are produced; null: POSTs are refused."
    )

    @model_validator(mode="after")
    def _reads_what_is_posted(self) -> Self:
        if self.gateway_topic is not None and self.gateway_topic not in self.topics:
            raise at_fields(
                "isn't one of its topics, so what is produced there would not be read; add it to topics",
                "gateway_topic",
            )
        return self
