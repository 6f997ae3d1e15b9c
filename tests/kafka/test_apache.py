"""What only Apache Kafka itself does: retention, transactions, compaction, rights, offsets that expire.

The services are in this process; what becomes of their rows is asked of a workspace in memory.
"""

import json
import signal
from contextlib import AsyncExitStack

import pytest
import trio

pytest.importorskip("confluent_kafka", reason="pip install 'evidently-collector[kafka]'")

from confluent_kafka import Producer
from machine import PATIENCE
from members import member, numbers, until
from worlds import rows_trigger

from collector.config.kafka import Kafka
from collector.errors import DeliveryError
from collector.sources.chain import MAX_METADATA
from collector.sources.checking import make_topics

from .apache import READ, apache_brokers

pytestmark = pytest.mark.slow  # nox -s kafka


@pytest.fixture
def name(request):
    """Return a name for the topic, the group and the like of this test alone."""
    return request.node.name.removeprefix("test_")[:60]


@pytest.fixture
def kafka(apache, name):
    kafka = Kafka.parse(apache.config(name))
    apache.make(kafka.ownership_topic)
    return kafka


def folders(path, names):
    for one in names:
        (path / one).mkdir()
    return [path / one for one in names]


def state_of(its, id_="main"):
    return its.pipelines[id_].status().state


def problem_of(its):
    return " ".join(its.pipelines["main"].status().problems)


def committed(apache, name, partition=0):
    """Return the offset that is committed for a partition; 0 if none is."""
    return (apache.committed(name, name)[partition] or (0,))[0]


async def test_offsets_that_retention_passed_are_named_and_set_anew_by_kafkas_own_tool(apache, kafka, name, tmp_path):
    apache.make(name)
    apache.produce(name, range(25), partition=0)
    a, b, c = folders(tmp_path, "abc")
    async with member(a, kafka, name) as its:
        await until(lambda: len(its.workspace.rows) == 2 and committed(apache, name) == 20)
    apache.delete_before(name, 0, 23)
    async with member(b, kafka, name) as its:
        await until(lambda: state_of(its) == "misconfigured")
        assert f"{name}, partition 0: offset 20 is gone, and the first that is there is 23" in problem_of(its)
        assert its.pipelines["main"].counts.kafka.skipped_offsets == {(name, 0, 20): 3}
    wanted = "--group", name, "--topic", name, "--reset-offsets", "--to-earliest", "--execute"
    apache.consumer_groups(*wanted)
    apache.produce(name, range(25, 33), partition=0)
    async with member(c, kafka, name) as its:
        await until(lambda: its.workspace.rows)
    assert its.workspace.rows == [list(range(23, 33))]


async def test_aborted_transactions_are_no_events_and_gaps_leave_no_lag(apache, kafka, name, tmp_path):
    """The last messages of each partition are the brokers' own, of a transaction's end: no consumer ever gets them."""
    apache.make(name)
    producer = Producer({"bootstrap.servers": apache.address, "transactional.id": name, "log_level": 0})
    producer.init_transactions(PATIENCE)
    for values, is_kept in (
        (range(15), True),
        (range(900, 950), False),
        (range(15, 40), True),
        (range(990, 995), False),
    ):
        producer.begin_transaction()
        for n in values:
            producer.produce(name, b'{"n":%d}' % n, partition=n % 4)
        (producer.commit_transaction if is_kept else producer.abort_transaction)(PATIENCE)
    async with member(tmp_path, kafka, name) as its:
        await until(lambda: len(its.workspace.rows) == 4)
        await until(lambda: [one and one[0] for one in apache.committed(name, name)] == apache.ends(name))
    assert [len(rows) for rows in its.workspace.rows] == [10] * 4
    assert numbers(its.workspace) == list(range(40))


async def test_what_was_compacted_away_is_passed_over(apache, kafka, name, tmp_path):
    settings = {"cleanup_policy": "compact", "min_cleanable_dirty_ratio": "0.01", "segment_ms": "1000"}
    apache.make(name, partitions=1, **settings)
    for n in range(30):
        apache.put(name, b'{"n":%d}' % n, key=b"%d" % (n % 20))
        apache.flush()
    # What is in the newest segment isn't compacted: it begins with this message, which comes a segment.ms later.
    await trio.sleep(1.5)
    apache.put(name, b'{"n":30}', key=b"last")
    apache.flush()
    left = [*range(10, 31)]
    with trio.fail_after(PATIENCE):
        while await trio.to_thread.run_sync(apache.count, name) > len(left):  # noqa: ASYNC110  (of what brokers do)
            await trio.sleep(1)
    async with member(tmp_path, kafka, name, trigger=rows_trigger(len(left))) as its:
        await until(lambda: its.workspace.rows)
    assert its.workspace.rows == [left]


async def test_partitions_are_added_while_batches_are_published(apache, kafka, name, tmp_path, monkeypatch):
    """Their end in batches that were published before is their beginning; who takes over has another disk."""
    monkeypatch.setattr("collector.sources.kafka.LOOK_SECONDS", 0.2)
    apache.make(name)
    apache.produce(name, range(20))
    a, b = folders(tmp_path, "ab")
    async with member(a, kafka, name) as its:
        its.workspace.surprises = [DeliveryError("away")] * 10_000
        await until(lambda: len((apache.committed(name, name)[0] or (0, {"b": ()}))[1]["b"]) == 2)
        apache.add_partitions(name, 6)
        apache.produce(name, range(20, 25), partition=5)
        await until(lambda: its.world.journal.waiting("main").rows == 5)
    apache.produce(name, range(25, 30), partition=4)
    async with member(b, kafka, name) as its:
        await until(lambda: len(its.workspace.rows) == 3)
    assert numbers(its.workspace) == list(range(30))


async def test_kafkas_own_tool_shows_what_is_in_no_snapshot_yet(apache, kafka, name, tmp_path):
    apache.make(name)
    apache.produce(name, range(25), partition=0)
    async with member(tmp_path, kafka, name) as its:
        await until(lambda: len(its.workspace.rows) == 2 and committed(apache, name) == 20)
        shown = await trio.to_thread.run_sync(apache.consumer_groups, "--group", name, "--describe")
        state = await trio.to_thread.run_sync(apache.consumer_groups, "--group", name, "--describe", "--state")
    lines = [line.split() for line in shown.splitlines()]
    [mine] = [line for line in lines if line[1:3] == [name, "0"]]
    assert mine[3:6] == ["20", "25", "5"]
    assert "Stable" in state


async def test_metadata_grows_to_what_brokers_take_and_no_further(apache, kafka, name, tmp_path, monkeypatch):
    """Batches of a row while the workspace is away; a limit of their number isn't in the way here."""
    monkeypatch.setattr("collector.sources.chain.MAX_BATCHES", 10**6)
    apache.make(name)
    apache.produce(name, range(400), partition=0)
    a, b = folders(tmp_path, "ab")
    async with member(a, kafka, name, trigger=rows_trigger(1)) as its:
        its.workspace.surprises = [DeliveryError("away")] * 10**6
        published = lambda: (apache.committed(name, name)[0] or (0, {}))[1]  # noqa: E731
        await until(lambda: len(json.dumps(published(), separators=(",", ":"))) > MAX_METADATA)
        sealed = await its.world.journal.batches("main", "sealed", "evaluated")
        assert 100 < len(sealed) < 300
        await until(lambda: len(published()["b"]) == len(sealed))
    async with member(b, kafka, name, trigger=rows_trigger(1)) as its:
        await until(lambda: len(its.workspace.rows) == 400)
    assert numbers(its.workspace) == list(range(400))


async def test_a_coordinator_that_hangs_holds_deliveries_up_and_loses_none(apache, kafka, name, tmp_path):
    """A delivery that gets no fence for 5 s is tried again, and the collector stays (fault B of the first form)."""
    apache.make(name)
    async with member(tmp_path, kafka, name) as its:
        apache.produce(name, range(10))
        await until(lambda: its.workspace.rows)
        number = apache.coordinator(name)
        apache.signal(number, signal.SIGSTOP)
        try:
            # The partitions of the other brokers go on, or do once those lead them.
            await trio.to_thread.run_sync(apache.produce, name, range(10, 20))
            await until(lambda: len(its.workspace.tries) > 1 or len(its.workspace.rows) > 1)
        finally:
            apache.signal(number, signal.SIGCONT)
        await until(lambda: len(its.workspace.rows) == 2)
    assert numbers(its.workspace) == list(range(20))
    apache.wait_up()


async def test_forty_collectors_over_64_slots_are_each_at_one_service(apache, name, tmp_path):
    kafka = Kafka.parse(apache.config(name))
    assert make_topics(kafka) == [kafka.ownership_topic]
    topics = [f"{name}-{number}" for number in range(40)]
    apache.make(*topics, partitions=1)
    async with AsyncExitStack() as stack:
        members = []
        for folder in folders(tmp_path, "abc"):
            its = await stack.enter_async_context(member(folder, kafka))
            for topic in topics:
                its.start(topic, id_=topic)
            members.append(its)
        here = lambda its: {one for one in topics if state_of(its, one) == "waiting"}  # noqa: E731
        await until(lambda: all(here(its) for its in members) and sum(len(here(its)) for its in members) == len(topics))
        for topic in topics:
            apache.produce(topic, range(10), partition=0)
        await until(lambda: sum(len(its.workspace.rows) for its in members) == len(topics))
        found = [here(its) for its in members]
    assert set.union(*found) == set(topics)
    assert min(map(len, found)) >= 5  # the slots are spread


async def test_a_right_that_is_lost_is_told_and_work_goes_on_when_it_is_back(apache, name, tmp_path):
    config = apache.config(name)
    apache.make(config["ownership_topic"], name)
    apache.allow_service(config, [name])
    async with member(tmp_path, Kafka.parse(apache.secured(config)), name) as its:
        apache.produce(name, range(10))
        await until(lambda: len(its.workspace.rows) == 1)
        for batches, (kind, what) in enumerate([("topic", name), ("group", name)], 2):
            apache.forbid(READ, kind, what)
            apache.produce(name, range(10 * batches - 10, 10 * batches))
            await until(lambda: state_of(its) == "misconfigured")
            assert kind in problem_of(its).lower()
            assert "authorization" in problem_of(its).lower()
            apache.allow(READ, kind, what)
            await until(lambda: len(its.workspace.rows) == batches)  # noqa: B023  (it is waited for here)
            await until(lambda: state_of(its) == "waiting")
    assert numbers(its.workspace) == list(range(30))


async def test_offsets_expire_unless_they_are_touched(jars, tmp_path, monkeypatch):
    """Brokers drop what the living group has committed for topics that it isn't subscribed to, after a minute."""
    expiring = {"offsets_retention_minutes": 1, "offsets_retention_check_interval_ms": 1000}
    a, b, there = folders(tmp_path, ["a", "b", "brokers"])
    with apache_brokers(1, there, jars, **expiring) as brokers:
        name = "expiring"
        kafka = Kafka.parse(brokers.config(name))
        brokers.make(name, kafka.ownership_topic)
        brokers.produce(name, range(10))
        monkeypatch.setattr("collector.sources.kafka.TOUCH_SECONDS", 15)
        async with member(a, kafka, name) as its:
            await until(lambda: its.workspace.rows and all(brokers.committed(name, name)))
            await trio.sleep(90)  # longer than a minute and the look for what has expired
            assert all(brokers.committed(name, name))
            monkeypatch.setattr("collector.sources.kafka.TOUCH_SECONDS", 10**6)
            await until(lambda: not any(brokers.committed(name, name)))
            async with member(b, kafka, name) as after:
                its.nursery.cancel_scope.cancel()
                await until(lambda: state_of(after) == "misconfigured")
                assert "have expired or were deleted" in problem_of(after)
                after.nursery.cancel_scope.cancel()
