"""What Apache Kafka answers to check and kafka init, to older protocols, and to what is posted to a gateway."""

import json
import signal
import time
from contextlib import suppress

import pytest
import trio

pytest.importorskip("confluent_kafka", reason="pip install 'evidently-collector[kafka]'")

from machine import PATIENCE
from members import member

from collector.config import CollectorServiceConfig
from collector.config.kafka import Kafka
from collector.errors import NotReady
from collector.sources.checking import find_problems, make_topics
from collector.sources.gateway import Gateway

from .apache import READ, apache_brokers

pytestmark = pytest.mark.slow  # nox -s kafka


def service(kafka, topic, **own):
    collector = {
        "trigger": {"type": "IntervalTrigger", "interval": 60},
        "report_config": {"metrics": ["RowCount"]},
        "project_name": "p",
        "kafka": {"topics": [topic], **own},
    }
    return CollectorServiceConfig.parse({"kafka": kafka, "collectors": {"main": collector}})


def told(config):
    return sorted(str(problem) for problem in find_problems(config))


def wait_good(config):
    """Return once nothing is wrong: brokers hear a moment later of topics that were made."""
    end = time.monotonic() + PATIENCE
    while found := told(config):
        assert time.monotonic() < end, found
        time.sleep(0.2)


def test_init_makes_what_check_misses(apache):
    kafka = apache.config("asked", dead_letter_topic="asked-dead")
    apache.make("asked")
    before = told(service(kafka, "asked"))
    assert [one.partition(":")[0] for one in before] == ["kafka.dead_letter_topic", "kafka.ownership_topic"]
    assert all("'evidently-collector kafka init' creates it" in one for one in before)
    assert sorted(make_topics(Kafka.parse(kafka))) == ["asked-dead", "asked-tasks"]
    assert make_topics(Kafka.parse(kafka)) == []
    wait_good(service(kafka, "asked"))


def test_check_looks_at_the_settings_of_topics(apache):
    kafka = apache.config("settled")
    apache.make("settled", kafka["ownership_topic"], **{"cleanup.policy": "compact,delete", "retention.ms": "60000"})
    compacted, short = told(service(kafka, "settled"))
    assert "topic 'settled' is compacted" in compacted
    assert "topic 'settled' keeps messages for 1m, and a batch may take 1m" in short


def test_check_tries_and_asks_for_rights(apache):
    kafka = apache.config("rights", dead_letter_topic="rights-dead")
    apache.make("rights", kafka["ownership_topic"], "rights-dead")
    apache.allow_service(kafka, ["rights", "rights-dead"])
    apache.allow(READ, "group", "rights-check")
    secured = service(apache.secured(kafka), "rights", gateway_topic="rights")
    dead, gateway = sorted(told(secured))[::-1]
    assert dead == "kafka.dead_letter_topic: this user may not write to topic 'rights-dead'"
    assert gateway == "collectors.main.kafka.gateway_topic: this user may not write to topic 'rights'"
    apache.forbid(READ, "topic", "rights")
    assert any(one.startswith("collectors.main.kafka.topics: ") for one in told(secured))


async def test_brokers_without_the_newer_protocol_are_joined_by_the_older_one(jars, tmp_path):
    with apache_brokers(1, tmp_path / "b", jars, group_coordinator_rebalance_protocols="classic") as brokers:
        kafka = brokers.config("old")
        kafka["librdkafka_options"] = {"log_level": "0"}
        brokers.make("old")
        make_topics(Kafka.parse(kafka))
        await trio.to_thread.run_sync(wait_good, service(kafka, "old"))
        async with member(tmp_path, Kafka.parse(kafka), "old") as its:
            brokers.produce("old", range(10))
            with trio.fail_after(PATIENCE):
                while not its.workspace.rows:  # noqa: ASYNC110  (of brokers)
                    await trio.sleep(0.05)


async def test_what_a_gateway_has_answered_for_is_there_once_while_leaders_are_killed_and_frozen(apache):
    """Those of which the client heard nothing sure may be there or not, and it would send them again."""
    topic = "gateway"
    apache.make(topic)
    gateway, answered, doubtful = Gateway(Kafka.parse(apache.config(topic))), set(), set()

    async def post(numbers):
        for number in numbers:
            try:
                await gateway.put(topic, json.dumps([{"n": number}]).encode())
                answered.add(number)
            except NotReady:
                doubtful.add(number)
            await trio.sleep(0.005)

    async def strike():
        await trio.sleep(2)
        leader = apache.leader(topic, 0)
        await trio.to_thread.run_sync(apache.kill, leader)
        await trio.sleep(3)
        apache.start(leader)
        await trio.to_thread.run_sync(apache.wait_up)
        frozen = apache.leader(topic, 1)
        apache.signal(frozen, signal.SIGSTOP)
        with suppress(trio.TooSlowError), trio.fail_after(4):
            await trio.sleep_forever()
        apache.signal(frozen, signal.SIGCONT)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.run)
        async with trio.open_nursery() as posting:
            posting.start_soon(strike)
            for sender in range(8):
                posting.start_soon(post, range(1000 * sender, 1000 * sender + 500))
        nursery.cancel_scope.cancel()
    await trio.to_thread.run_sync(apache.wait_up)
    messages = await trio.to_thread.run_sync(lambda: apache.read(topic, sum(apache.ends(topic))))
    there = [json.loads(one.value())[0]["n"] for one in messages]
    assert len(answered) > 1000
    assert answered <= set(there)
    assert len(there) == len(set(there))
    assert set(there) <= answered | doubtful
