"""Reads topics into a journal as a service does, and prints what that took.

``read_topics.py DIRECTORY rows|lists|arrow ROWS`` measures a service that comes to topics with so many rows, a message
for each, or lists or Arrow tables of 500. ``… takeover ROWS SESSION`` kills one that has read them all, and measures
one that waits for it.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import events  # type: ignore[import-not-found]  # it stands beside this file
import pyarrow as pa
import structlog
import trio
from bodies import arrow  # type: ignore[import-not-found]
from brokers import Brokers, mock_brokers  # type: ignore[import-not-found]
from confluent_kafka import Consumer, TopicPartition
from kafka.apache import apache_brokers, fetch  # type: ignore[import-not-found]
from members import Member, member, until  # type: ignore[import-not-found]
from worlds import rows_trigger  # type: ignore[import-not-found]

from collector.config.kafka import Kafka

# A mock cluster keeps 5 MB of each of a topic's four partitions.
TOPICS = [f"t{number}" for number in range(8)]
NEVER = rows_trigger(10**9)


def messages(kind: str, rows: int) -> Iterator[bytes]:
    if kind == "arrow":
        yield from repeat(arrow(pa.Table.from_pandas(events.frame(500))), rows // 500)
        return
    bodies = [json.dumps(row).encode() for row in events.frame(min(rows, 10_000)).to_dict("records")]
    for first in range(0, rows, 500):
        some = [bodies[number % len(bodies)] for number in range(first, first + 500)]
        yield from some if kind != "lists" else [b"[%b]" % b",".join(some)]


def fill(brokers: Brokers, kind: str, rows: int) -> int:
    """Produce, and return how many messages that were."""
    brokers.make(*TOPICS, "tasks")
    count = 0
    for count, message in enumerate(messages(kind, rows), 1):
        brokers.put(TOPICS[count % 8], message, count // 8 % 4)
        if count % 1000 == 0:
            brokers.flush()
    brokers.flush()
    return count


def consume(brokers: Brokers, count: int) -> float:
    """Return the seconds of processor time that so many messages take by themselves."""
    consumer = Consumer({"bootstrap.servers": brokers.address, "group.id": "bare", "fetch.queue.backoff.ms": 10})
    consumer.assign([TopicPartition(topic, partition, 0) for topic in TOPICS for partition in range(4)])
    begun, got = time.process_time(), 0
    while got < count:
        got += len(consumer.consume(500, 1))
    used = time.process_time() - begun
    consumer.close()
    return used


def kafka_at(address: str, session: str) -> Kafka:
    options = {"log_level": "0", "session.timeout.ms": session, "heartbeat.interval.ms": "300"}
    return Kafka.parse(
        {"bootstrap_servers": address, "group_id": "g", "ownership_topic": "tasks", "librdkafka_options": options}
    )


def start(its: Member, value_format: str = "json") -> None:
    """Start a collector for each topic."""
    its.world.workers.write_part = leave
    for topic in TOPICS:
        its.start(topic, NEVER, id_=topic, value_format=value_format)


def waiting(its: Member) -> int:
    """Count the rows in open batches."""
    return sum(its.world.journal.waiting(topic).rows for topic in TOPICS)


def here(its: Member) -> list[str]:
    """Return the collectors that are at work here."""
    return [topic for topic in TOPICS if its.pipelines[topic].status().state == "waiting"]


async def leave(*_: object, **__: object) -> None:
    """Write no part: that is a worker's work, whose time isn't this process's."""
    await trio.sleep_forever()


async def read(brokers: Brokers, directory: Path, rows: int, value_format: str) -> dict[str, float]:
    gc.freeze()  # as a service does once all is loaded
    async with member(directory, kafka_at(brokers.address, "6000")) as its:
        start(its, value_format)
        await until(lambda: here(its))
        before, used, begun = waiting(its), time.process_time(), time.monotonic()
        await until(lambda: waiting(its) == rows)
        left = rows - before
        return {
            "cpu": (time.process_time() - used) / left,
            "speed": left / (time.monotonic() - begun),
        }


async def hold(address: str, directory: Path, rows: int, session: str) -> None:
    """Read all, say so, and be there until killed."""
    async with member(directory, kafka_at(address, session)) as its:
        start(its)
        await until(lambda: waiting(its) == rows)
        sys.stdout.write("read\n")
        sys.stdout.flush()
        await trio.sleep_forever()


async def take_over(brokers: Brokers, directory: Path, rows: int, session: str) -> dict[str, float]:
    first = directory / "first"
    first.mkdir()
    command = [sys.executable, __file__, str(first), "hold", str(rows), session, brokers.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:  # noqa: ASYNC220  (it takes a moment)
        try:
            assert holder.stdout is not None
            assert await trio.to_thread.run_sync(holder.stdout.readline) == b"read\n"
            async with member(directory, kafka_at(brokers.address, session)) as its:
                start(its)
                await until(lambda: here(its) and waiting(its) == len(here(its)) * rows // len(TOPICS))
                holder.kill()
                begun = time.monotonic()
                await until(lambda: len(here(its)) == len(TOPICS))
                at_work = time.monotonic() - begun
                await until(lambda: waiting(its) == rows)
                return {"at_work": at_work, "read": time.monotonic() - begun}
        finally:
            holder.kill()


def main(directory: Path, kind: str, rows: int, session: str = "", address: str = "") -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if kind == "hold":
        trio.run(hold, address, directory, rows, session)
        return
    found: dict[str, Any]
    if kind == "takeover":
        # A mock cluster waits some seconds for further members before it spreads the work.
        with apache_brokers(1, directory / "brokers", fetch(directory / "jars")) as brokers:
            fill(brokers, kind, rows)
            found = trio.run(take_over, brokers, directory, rows, str(int(float(session) * 1000)))
    else:
        with mock_brokers() as brokers:
            bare = consume(brokers, fill(brokers, kind, rows)) / rows
            found = trio.run(read, brokers, directory, rows, "arrow" if kind == "arrow" else "json") | {
                "cpu_of_consume": bare
            }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]), given[1], int(given[2]), *given[3:])
