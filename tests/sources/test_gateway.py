"""A real producer on a mock cluster, or on brokers that are away; what a producer does seldom is done by a fake."""

import json
from contextlib import asynccontextmanager

import pyarrow as pa
import pytest
import trio
from bodies import arrow
from machine import PATIENCE
from members import until

from collector.config.kafka import Kafka
from collector.errors import BadBody, BadMediaType, BodyTooLarge, NotReady
from collector.formats.bounds import NO_BOUNDS, Bounds
from collector.formats.frames import check_body, decode_frames
from collector.sources.gateway import Gateway, ToTopic, value_of
from collector.sources.messages import check_messages

from .fakes import FakeError
from .test_messages import NOW, FakeMessage

AWAY = "127.0.0.1:9"


@asynccontextmanager
async def running(kafka):
    gateway = Gateway(kafka)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.run)
        yield gateway
        nursery.cancel_scope.cancel()


def away(**options):
    return Kafka(bootstrap_servers=AWAY, librdkafka_options={"log_level": "0", **options})


def rows(format_, body):
    return decode_frames([(format_, body)]).to_pylist()


@pytest.mark.parametrize("value_format", ["json", "ndjson"])
@pytest.mark.parametrize(
    ("format_", "body"),
    [
        ("json", b'[{"a": 1, "b": "x\\ny"}, {"a": 2, "b": null}]'),
        ("json", b'\xef\xbb\xbf [\n{"a": 1}\n, {"a": 2}]\n'),
        ("json", b'{"a": [1, 2], "b": ["x", "y"]}'),
        ("json", b'{"a": {"0": 1, "7": 2}, "b": {"7": "y", "0": "x"}}'),
        ("json", b'{"a": 1, "b": NaN}'),
        ("json", b'{"a": 9007199254740993}'),
        ("ndjson", b'{"a": 1}\n\n{"a": 2}\n'),
        ("ndjson", b'[{"a": 1}, {"a": 2}]'),
    ],
    ids=["records", "lines", "lists", "keyed", "event", "large", "ndjson", "list"],
)
def test_what_is_posted_is_read_from_its_message_as_the_same_rows(value_format, format_, body):
    value = value_of(format_, body, value_format, NO_BOUNDS)
    run = check_messages([FakeMessage(value)], value_format, NO_BOUNDS, NOW)
    assert run.rejected == []
    read = [row for one in run.frames(value_format, iter([9e9] * 9)) for row in rows(value_format, one.frame.body)]
    assert repr(read) == repr(rows(format_, body))  # NaN is itself there


@pytest.mark.parametrize("body", [b"[]", b'{"a": []}'])
def test_what_has_no_rows_becomes_no_message(body):
    assert value_of("json", body, "json", NO_BOUNDS) == b""


@pytest.mark.parametrize(
    ("format_", "body", "value_format", "error"),
    [
        ("json", b'[{"a": 1}', "json", BadBody),
        ("json", b"7", "json", BadBody),
        ("json", b'{"a": [1, 2, 3]}', "json", BodyTooLarge),
        ("csv", b"a\n1\n", "json", BadMediaType),
        ("parquet", b"PAR1", "ndjson", BadMediaType),
    ],
    ids=["malformed", "number", "rows", "csv", "parquet"],
)
def test_what_could_not_be_read_from_the_topic_is_refused(format_, body, value_format, error):
    with pytest.raises(error):
        value_of(format_, body, value_format, Bounds(max_rows=2))


async def check_typed(format_, body, bounds):
    return await trio.to_thread.run_sync(check_body, format_, body, bounds)


async def test_it_returns_once_the_brokers_have_it(brokers):
    brokers.make("posted")
    async with running(Kafka.parse(brokers.config("posted"))) as gateway:
        to_topic = ToTopic(gateway, "posted", "json", lambda: NO_BOUNDS, check_typed)
        await to_topic.pass_on("json", b'[{"a": 1}, {"a": 2}]')
        [message] = await trio.to_thread.run_sync(brokers.read, "posted", 1)
        large = b",".join(b'{"a": %d}' % n for n in range(10_000))  # beyond what is parsed on the event loop
        await to_topic.pass_on("json", b"[%b]" % large)
    assert json.loads(message.value()) == [{"a": 1}, {"a": 2}]
    assert large[:30] in {one.value()[1:31] for one in brokers.read("posted", 2)}


async def test_arrow_goes_into_topics_of_arrow_alone(brokers):
    brokers.make("tables")
    table = arrow(pa.table({"a": [1, 2]}))
    async with running(Kafka.parse(brokers.config("tables"))) as gateway:
        to_arrow = ToTopic(gateway, "tables", "arrow", lambda: NO_BOUNDS, check_typed)
        await to_arrow.pass_on("arrow", table)
        with pytest.raises(BadMediaType, match=r"vnd\.apache\.arrow\.stream"):
            await to_arrow.pass_on("json", b'[{"a": 1}]')
        with pytest.raises(BadMediaType, match="send JSON"):
            await ToTopic(gateway, "tables", "json", lambda: NO_BOUNDS, check_typed).pass_on("arrow", table)
        with pytest.raises(BadBody):
            await to_arrow.pass_on("arrow", b"no table")
    assert [one.value() for one in brokers.read("tables", 1)] == [table]


async def test_brokers_that_are_away_are_told_in_time_and_the_event_loop_goes_on_meanwhile():
    turns = 0
    async with running(away(**{"message.timeout.ms": "400"})) as gateway, trio.open_nursery() as nursery:

        async def turn():
            nonlocal turns
            while True:
                turns += 1
                await trio.sleep(0.01)

        nursery.start_soon(turn)
        with trio.fail_after(PATIENCE), pytest.raises(NotReady, match="the Kafka brokers don't confirm the events"):
            await gateway.put("t", b"[]")
        nursery.cancel_scope.cancel()
    assert turns > 5


async def test_a_full_queue_is_told_at_once():
    async with running(away(**{"queue.buffering.max.messages": "1"})) as gateway, trio.open_nursery() as nursery:
        nursery.start_soon(gateway.put, "t", b"[]")
        await until(lambda: gateway._on_their_way)  # noqa: SLF001  (the first opens the producer)
        with pytest.raises(NotReady, match="too many events wait for the Kafka brokers; nothing was kept"):
            await gateway.put("t", b"[]")
        nursery.cancel_scope.cancel()


async def test_what_is_more_than_a_message_may_be_is_told():
    async with running(away(**{"message.max.bytes": "1000"})) as gateway:
        with pytest.raises(BodyTooLarge, match="send fewer at a time"):
            await gateway.put("t", b"x" * 1001)


async def test_options_that_librdkafka_refuses_are_told():
    async with running(away(**{"no.such.option": "1"})) as gateway:
        with pytest.raises(NotReady, match=r"no\.such\.option"):
            await gateway.put("t", b"[]")


async def test_what_is_on_its_way_when_the_service_ends_is_told_to_be_in_doubt():
    told = []

    async def put(gateway):
        with pytest.raises(NotReady, match="the service is stopping, and the Kafka brokers haven't confirmed"):
            await gateway.put("t", b"[]")
        told.append(True)

    gateway = Gateway(away())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(put, gateway)
        async with trio.open_nursery() as serving:
            serving.start_soon(gateway.run)
            await until(lambda: gateway._on_their_way)  # noqa: SLF001  (the first opens the producer, which takes time)
            serving.cancel_scope.cancel()
    assert told == [True]


class FakeProducer:
    """Takes messages, and reports what a test says of each when it is polled."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.waiting = []
        self.purged = False

    def produce(self, topic, value, on_delivery):  # noqa: ARG002  (as in confluent_kafka)
        self.waiting.append(on_delivery)

    def poll(self, seconds):  # noqa: ARG002  (as in confluent_kafka)
        for error in self.errors:
            self.waiting.pop(0)(error, None)
        self.errors = []

    def purge(self):
        self.purged = True

    def flush(self, seconds):  # noqa: ARG002  (as in confluent_kafka)
        while self.waiting:
            self.waiting.pop(0)(FakeError("_PURGE_QUEUE"), None)


async def test_after_an_error_that_ends_a_producer_all_are_told_and_another_is_made(monkeypatch):
    broken, sound = FakeProducer(FakeError("_FATAL")), FakeProducer(None)
    producers = [sound, broken]
    monkeypatch.setattr("collector.sources.gateway.open_producer", lambda *_: producers.pop())
    refused = []

    async def put(gateway):
        try:
            await gateway.put("t", b"[]")
        except NotReady as error:
            refused.append(str(error))

    gateway = Gateway(away())
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(put, gateway)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(gateway.run)
        with trio.fail_after(PATIENCE):
            while len(refused) < 2:  # noqa: ASYNC110  (of a thread)
                await trio.sleep(0.01)
        await gateway.put("t", b"[]")
        nursery.cancel_scope.cancel()
    assert broken.purged
    assert producers == []
