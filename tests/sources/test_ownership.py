import json

import pytest
import trio

from collector.errors import GroupEnded, OldProtocol, OwnershipLost
from collector.sources.chain import Chain
from collector.sources.ownership import Ownership
from collector.status.counts import GroupCounts

from .fakes import FakeConsumer, FakeError, to_commit

CHAIN = Chain({("t", 0): 7})


@pytest.fixture
def ownership():
    return Ownership("tasks", 4, {"u": "http://me:8001"}, to_commit, GroupCounts())


@pytest.fixture
def consumer(ownership):
    consumer = FakeConsumer(ownership)
    consumer.subscribe(
        ["tasks"], on_assign=ownership.on_assign, on_revoke=ownership.on_revoke, on_lost=ownership.on_lost
    )
    return consumer


def turn(ownership, consumer):
    ownership.turn(consumer)
    ownership.tell()


def granted(ownership, consumer, slot=1):
    consumer.events.append(("on_assign", [slot]))
    turn(ownership, consumer)
    return ownership.grants.of(slot)


def test_every_service_leads_a_collector_to_the_same_slot():
    slots = [Ownership("tasks", 64, {}, to_commit, GroupCounts()).slot_of(f"c{number}") for number in range(1000)]
    assert len(set(slots)) == 64
    assert (
        Ownership("tasks", 64, {}, to_commit, GroupCounts()).slot_of("main") == 36
    )  # CRC-32 of "main" is 3 207 122 276


async def test_a_commit_is_done_once_the_brokers_have_answered(ownership, consumer):
    order = ownership.order(granted(ownership, consumer), CHAIN)
    turn(ownership, consumer)
    assert not order.done.is_set()
    turn(ownership, consumer)
    assert await order.wait() == ""
    [offsets] = consumer.committed
    assert [(one.topic, one.partition, one.offset) for one in offsets] == [("t", 0, 7), ("tasks", 1, 0)]


async def test_each_commit_names_the_collectors_that_were_begun_in_its_slot(ownership, consumer):
    grant = granted(ownership, consumer)
    ownership.begun[1] |= {"b": "", "a": "1f"}
    ownership.order(grant, CHAIN)
    turn(ownership, consumer)
    turn(ownership, consumer)
    told = json.loads(consumer.committed[0][1].metadata)
    assert told == {"n": 1, "i": ownership.id, "c": {"b": "", "a": "1f"}, "u": "http://me:8001"}


async def test_commits_are_numbered_beyond_those_that_others_sent(ownership, consumer):
    grant = granted(ownership, consumer)
    ownership.count_on(41)
    ownership.count_on(7)
    assert [ownership.order(grant, CHAIN).number for _ in range(2)] == [42, 43]


async def test_answers_find_their_commits_whatever_their_order(ownership, consumer):
    grant = granted(ownership, consumer)
    consumer.errors.extend(["", "REBALANCE_IN_PROGRESS"])
    orders = [ownership.order(grant, CHAIN) for _ in range(2)]
    turn(ownership, consumer)
    consumer.unanswered.reverse()
    turn(ownership, consumer)
    assert [await order.wait() for order in orders] == ["REBALANCE_IN_PROGRESS", ""]


async def test_what_librdkafka_refuses_at_once_is_an_answer(ownership, consumer):
    consumer.refuses.append(RuntimeError("closed"))
    order = ownership.order(granted(ownership, consumer), CHAIN)
    turn(ownership, consumer)
    assert await order.wait() == "RuntimeError"


async def test_a_commit_of_a_grant_that_was_lost_and_came_back_in_one_poll_is_not_sent(ownership, consumer):
    """Fault A of the first form: it would go out, and be taken, with the new epoch."""
    order = ownership.order(granted(ownership, consumer), CHAIN)
    consumer.events.extend([("on_lost", [1]), ("on_assign", [1])])
    turn(ownership, consumer)
    with pytest.raises(OwnershipLost):
        await order.wait()
    turn(ownership, consumer)
    assert consumer.committed == []


async def test_a_grant_and_its_revocation_in_one_poll_leave_nothing(ownership, consumer):
    """Fault C of the first form: kept in two lists, the revocation came first and the grant stayed: two owners."""
    consumer.events.extend([("on_assign", [1]), ("on_revoke", [1])])
    turn(ownership, consumer)
    assert ownership.grants.held == []
    assert consumer.assigned == set()
    assert ownership.counts.rebalances == 2


async def test_a_revocation_and_a_grant_in_one_poll_are_told_to_whoever_waits(ownership, consumer):
    before = granted(ownership, consumer)
    after = []
    async with trio.open_nursery() as nursery:

        async def follow():
            await ownership.wait_lost(before)
            after.append(await ownership.wait_granted(1))

        nursery.start_soon(follow)
        await trio.testing.wait_all_tasks_blocked()
        consumer.events.extend([("on_revoke", [1]), ("on_assign", [1])])
        turn(ownership, consumer)
    assert after == [ownership.grants.of(1)]
    assert after != [before]


async def test_a_commit_that_the_brokers_hold_up_keeps_nobody_from_polling(ownership, consumer):
    """A blocking commit was seen to take 23.8 s, while the session of the group ran out."""
    consumer.holding = True
    order = ownership.order(granted(ownership, consumer), CHAIN)
    turn(ownership, consumer)
    consumer.events.append(("on_assign", [2]))
    turn(ownership, consumer)
    assert ownership.grants.of(2) is not None
    assert not order.done.is_set()


async def test_a_service_is_a_member_until_it_is_cancelled(ownership, consumer):
    async with trio.open_nursery() as nursery:
        consumer.events.append(("on_assign", [1]))
        nursery.start_soon(ownership.run, consumer)
        grant = await ownership.wait_granted(1)
        assert await ownership.order(grant, CHAIN).wait() == ""
        nursery.cancel_scope.cancel()
    assert json.loads(consumer.committed[0][0].metadata)["b"] == []


# As brokers without it, and others, were seen to say it.
NO_PROTOCOL = "Fatal error: Broker: API version not supported: ConsumerGroupHeartbeat fatal error"
NO_FEATURE = "Fatal error: Local: Required feature not supported by broker"
FULL = "Fatal error: Broker: Consumer group has reached maximum number of members"


@pytest.mark.parametrize(
    ("said", "error"),
    [(NO_PROTOCOL, OldProtocol), (NO_FEATURE, OldProtocol), (FULL, GroupEnded)],
    ids=["old", "older", "full"],
)
def test_brokers_that_do_not_know_the_newer_protocol_are_told_from_those_that_refuse(ownership, consumer, said, error):
    consumer.messages.append(FakeError("_FATAL", said))
    with pytest.raises(GroupEnded) as raised:
        turn(ownership, consumer)
    assert type(raised.value) is error
    assert said in str(raised.value)


def test_trouble_that_passes_is_no_end(ownership, consumer):
    consumer.messages.append(FakeError("_ALL_BROKERS_DOWN"))
    turn(ownership, consumer)


async def test_who_waits_for_a_grant_is_told_when_the_service_left_the_group(ownership):
    """It would wait for ever on a place that is given up, and its collector be on standby for ever."""
    async with trio.open_nursery() as nursery:

        async def wait():
            with pytest.raises(OwnershipLost):
                await ownership.wait_granted(1)

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        ownership.end()
