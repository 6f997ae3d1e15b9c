"""Real consumers on a mock cluster; the journal is real, workers and workspace aren't."""

import json
import math
import threading
from contextlib import AsyncExitStack

import pyarrow as pa
import pytest
import trio
from bodies import arrow
from machine import PATIENCE
from members import member, numbers, until
from worlds import rows_trigger

from collector.config.kafka import Kafka
from collector.config.tasks import task_ids
from collector.errors import DeliveryError, EvaluationError, OldProtocol
from collector.sources.clients import ownership_options
from collector.sources.messages import Run
from collector.sources.ownership import Ownership
from collector.sources.reading import Reading
from collector.store.journal import Journal


@pytest.fixture
def kafka(brokers, request):
    """The ``kafka`` of a config whose group and topics are those of this test alone."""
    name = request.node.name.removeprefix("test_")[:200].replace("[", "-").replace("]", "")
    kafka = Kafka.parse(brokers.config(name))
    brokers.make(name, kafka.ownership_topic)
    return kafka


async def test_messages_become_snapshots_of_exactly_so_many_rows(brokers, kafka, tmp_path):
    topic = kafka.group_id
    brokers.produce(topic, range(35))
    async with member(tmp_path, kafka, topic) as its:
        await until(lambda: len(its.workspace.rows) == 3)
        brokers.produce(topic, range(35, 40))
        await until(lambda: len(its.workspace.rows) == 4)
    assert [len(rows) for rows in its.workspace.rows] == [10, 10, 10, 10]
    assert numbers(its.workspace) == list(range(40))


async def test_offsets_are_committed_up_to_what_is_delivered(brokers, kafka, tmp_path):
    topic = kafka.group_id
    brokers.produce(topic, range(25), partition=0)
    async with member(tmp_path, kafka, topic) as its:
        await until(lambda: len(its.workspace.rows) == 2)
        await until(
            lambda: brokers.committed(topic, topic)[0] is not None and brokers.committed(topic, topic)[0][0] == 20
        )
    assert [one[1]["b"] for one in brokers.committed(topic, topic)] == [[], [], [], []]


@pytest.mark.parametrize("ahead", [2**20, 0], ids=["at-once", "at-their-own-pace"])
async def test_who_comes_after_cuts_the_same_batches_and_delivers_each_once(
    brokers, kafka, tmp_path, monkeypatch, ahead
):
    """The first seals and delivers nothing; the second has another disk, and reads all batches without a stop."""
    monkeypatch.setattr("collector.sources.kafka.MAX_AHEAD", ahead)
    assigned, assign = [], Reading.assign
    monkeypatch.setattr(Reading, "assign", lambda *given: assigned.append(given[2]) or assign(*given))
    topic = kafka.group_id
    brokers.produce(topic, range(25))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with member(tmp_path / "a", kafka, topic) as first:
        first.workspace.surprises = [DeliveryError("away")] * 1000
        await until(lambda: len((brokers.committed(topic, topic)[0] or (0, {"b": ()}))[1]["b"]) == 2)
        sealed = [batch.id for batch in await first.world.journal.batches("main", "sealed", "evaluated")]
    brokers.produce(topic, range(25, 30))
    assigned.clear()
    async with member(tmp_path / "b", kafka, topic) as second:
        await until(lambda: len(second.workspace.rows) == 3)
    assert [batch for batch, _ in second.workspace.taken][:2] == sealed
    assert numbers(second.workspace) == list(range(30))
    first_tries = {batch: is_doubtful for _, batch, is_doubtful in reversed(second.workspace.tries)}
    assert [first_tries[batch] for batch, _ in second.workspace.taken] == [True, True, False]
    assert len(assigned) == 2 or not ahead  # once for all batches, and once to go on


async def test_what_came_of_several_partitions_is_kept_in_one_transaction(kafka, tmp_path, monkeypatch):
    kept, keep = [], Journal.keep_fetched
    monkeypatch.setattr(Journal, "keep_fetched", lambda *given: kept.append(given[3]) or keep(*given))
    topic = kafka.group_id
    async with member(tmp_path, kafka, topic, trigger=rows_trigger(5)) as its:
        await until(lambda: its.pipelines["main"].status().state == "waiting")
        for at in range(3):
            pieces = [(offset, b'{"n":%d}' % (4 * at + offset), 1) for offset in range(4)]
            its.pipelines["main"]._work.source.offer(Run(topic, at, 0, 4, pieces))  # noqa: SLF001  (as who fetches)
        await until(lambda: len(its.workspace.rows) == 2)
        assert its.world.journal.waiting("main").rows == 2
    assert kept == [{(topic, at): 4 for at in range(3)}]
    assert [len(rows) for rows in its.workspace.rows] == [5, 5]


async def test_what_was_delivered_before_the_end_and_not_committed_is_found(brokers, kafka, tmp_path):
    """Whoever comes after looks before it delivers an inherited batch."""
    topic = kafka.group_id
    brokers.produce(topic, range(10))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with member(tmp_path / "a", kafka, topic) as first:
        first.workspace.lost = [DeliveryError("no answer", is_ambiguous=True)] * 1000
        await until(lambda: first.workspace.taken)
    async with member(tmp_path / "b", kafka, topic, workspace=first.workspace):
        first.workspace.lost = []
        await until(lambda: brokers.committed(topic, topic)[0][0] > 0)
    assert numbers(first.workspace) == list(range(10))


async def test_a_service_that_comes_back_goes_on_from_its_journal(brokers, kafka, tmp_path):
    topic = kafka.group_id
    brokers.produce(topic, range(15))
    async with member(tmp_path, kafka, topic) as its:
        await until(lambda: len(its.workspace.rows) == 1 and its.world.journal.waiting("main").rows == 5)
    async with member(tmp_path, kafka, topic, workspace=its.workspace) as again:
        before = again.world.journal.waiting("main").accepted
        brokers.produce(topic, range(15, 20))
        await until(lambda: len(its.workspace.rows) == 2)
        assert again.world.journal.waiting("main").accepted - before == 5
    assert numbers(its.workspace) == list(range(20))


async def test_two_services_share_collectors_and_each_has_its_own_whole(brokers, kafka, tmp_path, monkeypatch):
    monkeypatch.setattr("collector.sources.group.OWNERS_SECONDS", 0.1)
    topics = [f"{kafka.group_id}-{number}" for number in range(6)]
    brokers.make(*topics)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with AsyncExitStack() as stack:
        members = []
        for name in "ab":
            its = await stack.enter_async_context(member(tmp_path / name, kafka))
            for topic in topics:
                its.start(topic, id_=topic)
            members.append(its)
        states = lambda its: [pipeline.status().state for pipeline in its.pipelines.values()]  # noqa: E731
        await until(lambda: all("waiting" in states(its) and "standby" in states(its) for its in members))
        for topic in topics:
            brokers.produce(topic, range(10))
        await until(lambda: sum(len(its.workspace.rows) for its in members) == len(topics))
        assert all(len(rows) == 10 for its in members for rows in its.workspace.rows)
        await until(lambda: [its.group.counts.members for its in members] == [2, 2])
        owned = [{id_ for id_, one in its.pipelines.items() if one.status().state != "standby"} for its in members]
        assert sorted(owned[0] | owned[1]) == topics
        assert not owned[0] & owned[1]


async def test_a_message_that_is_no_event_stops_its_collector_and_is_named(brokers, kafka, tmp_path):
    topic = kafka.group_id
    brokers.produce(topic, range(12), partition=2)
    brokers.put(topic, b"no event", partition=2)
    brokers.flush()
    async with member(tmp_path, kafka, topic) as its:
        await until(lambda: its.pipelines["main"].status().state == "misconfigured")
        [problem] = its.pipelines["main"].status().problems
        assert f"{topic}, partition 2, offset 12 isn't an event: JSON is malformed" in problem
        assert "errors_tolerance" in problem
        # What came before it goes on; it is named a moment before that is kept.
        await until(lambda: (len(its.workspace.rows), its.world.journal.waiting("main").rows) == (1, 2))


async def test_messages_that_are_no_events_are_left_out_and_go_to_the_dead_letter_topic(brokers, kafka, tmp_path):
    topic = kafka.group_id
    brokers.make(f"{topic}-dead")
    kafka = kafka.model_copy(update={"errors_tolerance": "all", "dead_letter_topic": f"{topic}-dead"})
    for value in (b'{"n": 0}', b'{"n": 1', b'"n": 2}', None, b'[{"n": 3}, {"n": NaN}]', b"[]", b"7"):
        brokers.put(topic, value)
    brokers.flush()
    async with member(tmp_path, kafka, topic, trigger=rows_trigger(3)) as its:
        await until(lambda: its.workspace.rows)
        letters = await trio.to_thread.run_sync(brokers.read, f"{topic}-dead", 3)  # the last may come after the batch
    assert its.workspace.rows[0][:2] == [0, 3]
    dead = {message.value(): dict(message.headers()) for message in letters}
    assert sorted(dead) == [b'"n": 2}', b"7", b'{"n": 1']
    headers = dead[b'{"n": 1']
    assert headers["__connect.errors.offset"] == b"1"
    assert headers["__connect.errors.connector.name"] == b"main"
    assert b"JSON is malformed" in headers["__connect.errors.exception.message"]


async def test_a_message_that_is_too_large_with_the_reason_beside_it_is_told_of_without_its_value(
    brokers, kafka, tmp_path
):
    """Its collector ended with each try, whatever was tolerated."""
    topic = kafka.group_id
    brokers.make(f"{topic}-dead")
    kafka = kafka.model_copy(update={"errors_tolerance": "all", "dead_letter_topic": f"{topic}-dead"})
    brokers.put(topic, b"x" * 999_900)
    brokers.produce(topic, range(10))
    async with member(tmp_path, kafka, topic) as its:
        await until(lambda: its.workspace.rows)
        [letter] = await trio.to_thread.run_sync(brokers.read, f"{topic}-dead", 1)
    assert (letter.value(), dict(letter.headers())["__connect.errors.offset"]) == (None, b"0")


async def test_tasks_of_a_collector_have_its_partitions_between_them_and_batches_of_their_own(brokers, kafka, tmp_path):
    topic = kafka.group_id
    async with member(tmp_path, kafka) as its:
        for id_ in task_ids("main", 3):
            its.start(topic, rows_trigger(5), id_, tasks_max=3)
        for partition in range(4):
            brokers.produce(topic, range(10 * partition, 10 * partition + 5), partition)
        await until(lambda: len(its.workspace.rows) == 4 and not its.world.journal.buffering())
        batches = {id_: await its.world.journal.batches(id_, "delivered") for id_ in its.pipelines}
        assert {id_: len(found) for id_, found in batches.items()} == {"main": 2, "main~task1": 1, "main~task2": 1}
        brokers.make(f"{topic}-small")  # its four partitions are too few for a fifth task
        its.start(f"{topic}-small", id_="small~task4", tasks_max=5)
        await until(lambda: its.pipelines["small~task4"].status().problems)
        assert "this task has none" in its.pipelines["small~task4"].status().problems[0]
    assert sorted(map(sorted, its.workspace.rows)) == [list(range(n, n + 5)) for n in (0, 10, 20, 30)]


async def test_other_tasks_do_not_take_over_batches_that_are_not_delivered(brokers, kafka, tmp_path):
    """They would cut them otherwise, under other ids, and what was delivered already would come twice."""
    topic = kafka.group_id
    brokers.produce(topic, range(10))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with member(tmp_path / "a", kafka, topic) as first:
        first.workspace.surprises = [DeliveryError("away")] * 1000
        await until(lambda: (brokers.committed(topic, topic)[0] or (0, {"b": ()}))[1]["b"])
    async with member(tmp_path / "b", kafka, topic, tasks_max=2) as second:
        await until(lambda: second.pipelines["main"].status().problems)
        assert "kafka.tasks_max was 1 when batches were sealed" in second.pipelines["main"].status().problems[0]
    assert second.workspace.rows == []


async def test_tables_of_arrow_become_rows_and_what_is_none_is_named(brokers, kafka, tmp_path):
    topic = kafka.group_id
    kafka = kafka.model_copy(update={"errors_tolerance": "all"})
    for value in (arrow(pa.table({"n": [0, 1, 2]})), b"no table", arrow(pa.table({"n": [3]})), None):
        brokers.put(topic, value)
    brokers.flush()
    async with member(tmp_path, kafka, topic, trigger=rows_trigger(4), value_format="arrow") as its:
        await until(lambda: its.workspace.rows)
        assert its.pipelines["main"].counts.kafka.rejected == {"not_a_table": 1, "too_large": 0}
    assert its.workspace.rows == [[0, 1, 2, 3]]


async def test_the_dead_letter_topic_is_told_where_the_events_are_of_a_report_that_failed(brokers, kafka, tmp_path):
    topic = kafka.group_id
    brokers.make(f"{topic}-dead")
    kafka = kafka.model_copy(update={"dead_letter_topic": f"{topic}-dead"})
    async with member(tmp_path, kafka) as its:
        its.world.workers.failures = [EvaluationError("no such column", "a traceback")]
        its.start(topic, trigger=rows_trigger(20))
        brokers.produce(topic, range(20), partition=1)
        [letter] = await trio.to_thread.run_sync(brokers.read, f"{topic}-dead", 1)
        await until(lambda: its.pipelines["main"].status().failed == 1)
        [failed] = await its.pipelines["main"].failed()
        brokers.produce(topic, range(20, 40), partition=1)  # the others go on
        await until(lambda: its.workspace.rows)
        assert its.pipelines["main"].counts.kafka.dead_letters == 1
    where = {"topic": topic, "partition": 1, "first": 0, "end": 20}
    told = {"collector": "main", "batch_id": failed.id, "error": "no such column", **where}
    assert json.loads(letter.value()) == told
    assert dict(letter.headers())["__connect.errors.exception.message"] == b"no such column"


async def test_the_status_says_how_much_is_not_read_yet(brokers, kafka, tmp_path, monkeypatch):
    monkeypatch.setattr("collector.sources.kafka.LAG_SECONDS", 0.05)
    topic = kafka.group_id
    async with member(tmp_path, kafka, topic, trigger=rows_trigger(10**6)) as its:
        pipeline = its.pipelines["main"]
        lag = lambda: pipeline.status().kafka["lag"]  # noqa: E731
        assert lag() is None  # nothing is known while it isn't at work
        await until(lambda: lag() == 0)
        await its.group.reading.pause(pipeline._work.source)  # noqa: SLF001  (as with no room)
        brokers.produce(topic, range(12))
        await until(lambda: lag() == 12)
        await its.group.reading.resume(pipeline._work.source)  # noqa: SLF001
        await until(lambda: lag() == 0)
        assert pipeline.counts.kafka.takeovers == 1
        assert pipeline.counts.kafka.commits["ok"] > 0


async def test_a_failed_batch_that_is_tried_again_outlives_a_takeover_by_another_service(brokers, kafka, tmp_path):
    """Its events are behind what is committed: they were dropped where the collector came back, and read by nobody."""
    topic = kafka.group_id
    brokers.produce(topic, range(10))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with member(tmp_path / "a", kafka) as first:
        first.world.workers.failures = [EvaluationError("no such column", "a traceback")]
        first.start(topic)
        await until(lambda: first.pipelines["main"].status().failed == 1)
        await until(lambda: sum(one[0] for one in brokers.committed(topic, topic) if one is not None) == 10)
        first.workspace.surprises = [DeliveryError("away")] * 1000
        await first.pipelines["main"].retry()
    async with member(tmp_path / "b", kafka, topic) as second:
        await until(lambda: second.pipelines["main"].status().state == "waiting")
    async with member(tmp_path / "a", kafka, topic) as third:
        await until(lambda: third.workspace.rows)
    assert numbers(third.workspace) == list(range(10))


async def test_what_was_posted_before_a_collector_took_events_from_kafka_is_delivered(brokers, kafka, tmp_path):
    async with member(tmp_path, kafka) as its:
        posted = await its.world.post(7)
        its.start(kafka.group_id, rows_trigger(5))
        brokers.produce(kafka.group_id, range(100, 105), partition=0)
        await until(lambda: len(its.workspace.rows) == 2 and not its.world.journal.buffering())
    assert sorted(its.workspace.rows) == [posted, list(range(100, 105))]


async def test_a_service_that_stops_leaves_the_group_though_brokers_leave_its_questions_unanswered(
    kafka, tmp_path, monkeypatch
):
    """It waited for them, and for brokers that hang without leaving; others had to wait for its session to end."""
    monkeypatch.setattr("collector.sources.group.LEAVING_SECONDS", math.inf)
    asked, answered = [], threading.Event()
    try:
        with trio.fail_after(PATIENCE):
            async with member(tmp_path, kafka, kafka.group_id) as its:
                await until(lambda: its.pipelines["main"].status().state == "waiting")
                for _ in range(2):
                    its.nursery.start_soon(its.group.ask, lambda _: asked.append(1) or answered.wait(PATIENCE))
                await until(lambda: len(asked) == 2)
    finally:
        answered.set()


async def test_brokers_without_the_newer_protocol_are_joined_by_the_older_one(brokers, kafka, tmp_path, monkeypatch):
    """The mock cluster knows both, and there is no way to take one from it."""
    kafka = kafka.model_copy(update={"librdkafka_options": {"log_level": "0"}})
    joined, subscribe = [], Ownership.run

    async def run(ownership, consumer):
        joined.append(consumer)
        if len(joined) == 1:
            raise OldProtocol("ConsumerGroupHeartbeat isn't supported")
        await subscribe(ownership, consumer)

    protocols = []
    monkeypatch.setattr(Ownership, "run", run)
    monkeypatch.setattr(
        "collector.sources.group.ownership_options",
        lambda config, *, is_old: protocols.append(is_old) or ownership_options(config, is_old=is_old),
    )
    async with member(tmp_path, kafka, kafka.group_id) as its:
        brokers.produce(kafka.group_id, range(10))
        await until(lambda: its.workspace.rows)
    assert protocols == [False, True]
    assert its.group.problem == ""


async def test_without_its_topic_a_collector_says_what_to_do(kafka, tmp_path, monkeypatch):
    monkeypatch.setattr("collector.sources.clients.ASKING_SECONDS", 0.5)  # for which it waits
    async with member(tmp_path, kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:9"}), "any") as its:
        await until(lambda: its.pipelines["main"].status().problems)
        [problem] = its.pipelines["main"].status().problems
        assert problem.startswith("the Kafka brokers at 127.0.0.1:9 don't answer")
