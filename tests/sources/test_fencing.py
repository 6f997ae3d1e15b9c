import pytest
import trio

from collector.errors import DeliveryError, OwnershipLost
from collector.sources.chain import Chain
from collector.sources.fencing import FENCE_PATIENCE, Fencing
from collector.sources.grants import Grants


class Answers:
    """Commits that are answered as a test says: an error by its name, "" if it is taken; None: never."""

    def __init__(self, grants):
        self.grants = grants
        self.answers = []
        self.ordered = []
        self.seconds = 0.0
        self.then = lambda: None

    def order(self, _, chain):
        self.ordered.append(chain)
        return _Answer(self, self.answers.pop(0) if self.answers else "")


class _Answer:
    def __init__(self, answers, error):
        self.answers, self.error = answers, error

    async def wait(self):
        await trio.sleep(self.answers.seconds)
        if self.error is None:
            await trio.sleep_forever()
        self.answers.then()
        return self.error


@pytest.fixture
def grants():
    grants = Grants()
    grants.give([1])
    return grants


@pytest.fixture
def answers(grants):
    return Answers(grants)


@pytest.fixture
def chains():
    return [Chain({("t", 0): 1})]


@pytest.fixture
def fencing(grants, answers, chains):
    async def read():
        await trio.lowlevel.checkpoint()
        return chains[-1]

    return Fencing(answers, grants.of(1), read, clock=trio.current_time)


async def test_a_commit_tells_when_it_was_asked_for(fencing, answers, autojump_clock):
    await trio.sleep(5)
    answers.seconds = 2
    assert await fencing.commit() == 5


@pytest.mark.parametrize("error", ["ILLEGAL_GENERATION", "STALE_MEMBER_EPOCH", "REBALANCE_IN_PROGRESS", "_TRANSPORT"])
async def test_a_commit_that_is_refused_for_an_instant_is_sent_again_as_things_stand_then(
    fencing, answers, chains, error, autojump_clock
):
    answers.answers = [error]
    newer = Chain({("t", 0): 2})
    answers.then = lambda: chains.append(newer)
    await fencing.commit()
    assert answers.ordered == [chains[0], newer]


async def test_a_commit_of_who_is_no_member_is_sent_until_the_grant_ends(fencing, answers, grants, autojump_clock):
    answers.answers = ["UNKNOWN_MEMBER_ID"] * 10
    with trio.move_on_after(2) as patience:
        await fencing.commit()
    assert patience.cancelled_caught
    grants.take([1])
    with pytest.raises(OwnershipLost):
        await fencing.commit()


async def test_a_commit_that_is_taken_after_the_grant_ended_is_no_fence(fencing, answers, grants, autojump_clock):
    answers.then = lambda: (grants.take([1]), grants.give([1]))
    with pytest.raises(OwnershipLost):
        await fencing.commit()


async def test_what_is_sent_is_sent_after_a_commit(fencing, answers, grants, autojump_clock):
    async with fencing.sending():
        assert len(answers.ordered) == 1
        assert grants.is_sending(grants.of(1))
    assert not grants.is_sending(grants.of(1))


async def test_a_fence_that_took_more_than_a_second_is_none(fencing, answers, autojump_clock):
    """Fault D of the first form: the second was counted from the answer, which lay unread in a frozen process."""
    answers.seconds = 1.5
    answers.then = lambda: setattr(answers, "seconds", 0.1)
    async with fencing.sending():
        assert len(answers.ordered) == 2


async def test_without_a_fence_for_some_seconds_the_batch_is_tried_again(fencing, answers, grants, autojump_clock):
    """Fault B of the first form: the collector's task ended while its slot stayed owned; 11 450 rows were missing."""
    answers.answers = ["_TRANSPORT"] * 1000
    began = trio.current_time()
    with pytest.raises(DeliveryError, match="didn't confirm") as refused:
        async with fencing.sending():
            pytest.fail("nobody said that it is ours")
    assert refused.value.is_ambiguous
    assert trio.current_time() - began == pytest.approx(FENCE_PATIENCE, abs=0.3)
    assert not grants.is_sending(grants.of(1))
    answers.answers = []
    async with fencing.sending():
        pass


async def test_a_commit_that_nobody_waits_for_any_longer_comes_before_the_next(fencing, answers, autojump_clock):
    """The older one would else replace the newer."""
    answers.seconds = 10
    with trio.move_on_after(1):
        await fencing.commit()
    began = trio.current_time()
    await fencing.commit()
    assert len(answers.ordered) == 2
    assert trio.current_time() - began >= 19  # the fake waits anew for the first


async def test_nothing_is_sent_for_a_collector_that_went(fencing, grants, autojump_clock):
    grants.take([1])
    with pytest.raises(OwnershipLost):
        async with fencing.sending():
            pytest.fail("it is another's")


async def test_what_came_of_each_commit_is_counted(grants, answers, chains, autojump_clock):
    counted = []

    async def read():
        await trio.lowlevel.checkpoint()
        return chains[-1]

    answers.answers = ["REBALANCE_IN_PROGRESS", "UNKNOWN_MEMBER_ID", ""]
    await Fencing(answers, grants.of(1), read, trio.current_time, counted.append).commit()
    assert counted == ["failed", "fenced", "ok"]
