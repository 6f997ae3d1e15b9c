"""The gateway: events posted to a collector of Kafka are produced to its topic, and answered once they are there.

One producer serves all of them. Handing it a message blocks nothing; what came of each is told while it is polled, in a
thread that does so as long as there are any on their way.
"""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import trio

from collector.errors import BadMediaType, BodyTooLarge, ConfigError, NotReady
from collector.formats.bounds import SMALL_BODY
from collector.formats.frames import check_frame
from collector.formats.json_body import READERS
from collector.sources.clients import open_producer
from collector.status.counts import Restarts
from collector.status.status import Status
from collector.waiting.bell import Bell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from confluent_kafka import KafkaError, Producer

    from collector.config.kafka import Kafka
    from collector.formats.bounds import Bounds, Counted
    from collector.formats.frames import Format
    from collector.sources.messages import ValueFormat

# Seconds for which a poll waits; and those for messages in flight when the service ends.
POLL_SECONDS = 0.1
LEAVING_SECONDS = 1.0
_OPTIONS = {
    # A client is told within this time that a message failed, and can send again; librdkafka's default is five minutes.
    "message.timeout.ms": 10_000,
    "queue.buffering.max.kbytes": 65_536,
}


@dataclass(slots=True, eq=False)
class _Sent:
    """A message in flight."""

    done: trio.Event = field(default_factory=trio.Event)
    error: KafkaError | str | None = None


class Gateway:
    """Produces posted events to Kafka, for all collectors; runs under a bulkhead."""

    def __init__(self, config: Kafka) -> None:
        self.counts = Restarts()
        self._config = config
        self._producer: Producer | None = None
        self._opening = trio.Lock()
        self._on_their_way: set[_Sent] = set()
        self._reported: list[tuple[_Sent, KafkaError | None]] = []
        self._is_broken = False
        self._bell = Bell()
        self._limiter = trio.CapacityLimiter(1)

    def status(self) -> Status:
        """Return what it is called where it fails."""
        return Status("kafka gateway", "waiting")

    async def run(self) -> None:
        """Hear what became of messages, until cancelled."""
        try:
            while True:
                while not (self._on_their_way or self._is_broken):
                    await self._bell.wait()
                await trio.to_thread.run_sync(self._serve, POLL_SECONDS, limiter=self._limiter)
                self._tell()
        finally:
            with trio.move_on_after(LEAVING_SECONDS * 2, shield=True):
                await trio.to_thread.run_sync(self._flush, abandon_on_cancel=True, limiter=self._limiter)
            self._tell()
            for sent in self._on_their_way:
                sent.error = "the service is stopping"
                sent.done.set()
            self._on_their_way.clear()

    async def put(self, topic: str, value: bytes) -> None:
        """Produce a message; return once all in-sync replicas have it.

        Raises NotReady if the brokers don't say so in time, or too much waits for them; BodyTooLarge.
        Cancellation: it may be there nevertheless.
        """
        from confluent_kafka import KafkaException

        producer, sent = await self._open(), _Sent()
        try:
            producer.produce(topic, value, on_delivery=partial(self._note, sent))
        except BufferError:
            raise NotReady(
                "too many events wait for the Kafka brokers; nothing was kept, try again in a while"
            ) from None
        except KafkaException as error:
            self._look_at(error.args[0])
            self._bell.ring()
            raise self._refusal(error.args[0]) from error
        self._on_their_way.add(sent)
        self._bell.ring()
        await sent.done.wait()
        if sent.error is not None:
            raise self._refusal(sent.error)

    async def _open(self) -> Producer:
        if self._producer is None:
            async with self._opening:
                if self._producer is None:
                    try:
                        self._producer = await trio.to_thread.run_sync(open_producer, self._config, _OPTIONS)
                    except ConfigError as error:
                        raise NotReady(str(error)) from error
        return self._producer

    @staticmethod
    def _refusal(error: KafkaError | str) -> NotReady | BodyTooLarge:
        if isinstance(error, str):
            return NotReady(f"{error}, and the Kafka brokers haven't confirmed the events; {_AGAIN}")
        if error.name() == "MSG_SIZE_TOO_LARGE":
            return BodyTooLarge(f"too many events for one message to Kafka ({error.str()}); send fewer at a time")
        return NotReady(f"the Kafka brokers don't confirm the events: {error.str()}; {_AGAIN}")

    def _tell(self) -> None:
        """Tell those who wait what became of their messages."""
        reported, self._reported = self._reported, []
        for sent, error in reported:
            sent.error = error
            sent.done.set()
            self._on_their_way.discard(sent)

    # In the thread

    def _serve(self, seconds: float) -> None:
        if self._producer is not None:
            self._producer.poll(seconds)
            if self._is_broken:
                self._producer.purge()
                self._producer.flush(LEAVING_SECONDS)
                self._producer, self._is_broken = None, False

    def _flush(self) -> None:
        if self._producer is not None and self._on_their_way:
            self._producer.flush(LEAVING_SECONDS)

    def _note(self, sent: _Sent, error: KafkaError | None, _: object) -> None:
        self._reported.append((sent, error))
        self._look_at(error)

    def _look_at(self, error: KafkaError | None) -> None:
        """After a fatal error, by which this producer is useless, have a new one made."""
        self._is_broken = self._is_broken or (error is not None and error.name() == "_FATAL")


class ToTopic:
    """The way of one collector's posted events to its topic."""

    def __init__(
        self,
        gateway: Gateway,
        topic: str,
        value_format: ValueFormat,
        bounds: Callable[[], Bounds],
        check_typed: Callable[[Format, bytes, Bounds], Awaitable[Counted]],
    ) -> None:
        self.topic = topic
        self._gateway = gateway
        self._value_format = value_format
        self._bounds = bounds
        self._check_typed = check_typed

    async def pass_on(self, format_: Format, body: bytes) -> None:
        """Produce the rows of a body as one message; return once it is there: they come all, or none.

        Raises BadBody, BadMediaType, BodyTooLarge, NotReady.
        """
        bounds = self._bounds()
        if "arrow" in {format_, self._value_format}:
            if format_ != self._value_format:
                raise BadMediaType(_MEDIA_TYPES[self._value_format])
            rows, _ = await self._check_typed("arrow", body, bounds)
            value = body if rows else b""
        elif len(body) <= SMALL_BODY:
            value = value_of(format_, body, self._value_format, bounds)
        else:
            value = await trio.to_thread.run_sync(value_of, format_, body, self._value_format, bounds)
        if value:
            await self._gateway.put(self.topic, value)


def value_of(format_: Format, body: bytes, value_format: ValueFormat, bounds: Bounds) -> bytes:
    """Write a body of JSON as a message's value, which is read as the same rows; nothing if it has none.

    Raises BadBody, BadMediaType, BodyTooLarge.
    """
    if format_ not in {"json", "ndjson"}:
        raise BadMediaType(_MEDIA_TYPES[value_format])
    if not check_frame(format_, body, bounds).rows:
        return b""
    body = body.removeprefix(codecs.BOM_UTF8).strip()
    is_list = body.startswith(b"[")
    if (value_format == "json" and is_list) or (value_format == format_ == "ndjson"):
        return body
    columns = READERS[format_](body)
    # NaN stays NaN, as Python writes it: the service that reads the messages knows that.
    rows = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    return ("\n".join(rows) if value_format == "ndjson" else f"[{','.join(rows)}]").encode()


_AGAIN = "send them again; if they were kept after all, they will be there twice"
_MEDIA_TYPES: dict[ValueFormat, str] = {
    "json": "the collector's topic has JSON: send JSON or application/x-ndjson",
    "ndjson": "the collector's topic has lines of JSON: send JSON or application/x-ndjson",
    "arrow": "the collector's topic has Arrow streams: send application/vnd.apache.arrow.stream",
}
