"""What goes wrong at a workspace: all of it is a matter of delivery, and says of which workspace."""

import pytest
import trio
from worlds import collector

from collector.config import CollectorServiceConfig
from collector.errors import DeliveryError, DeliveryRefused, SnapshotRejected
from collector.pipeline.asking import ask_workspace
from collector.pipeline.work import Work

SERVICE = CollectorServiceConfig(delivery_timeout=30)


def raising(error):
    async def ask():
        await trio.lowlevel.checkpoint()
        raise error

    return ask


async def answer():
    await trio.lowlevel.checkpoint()
    return "saved"


async def test_an_answer_is_returned(world):
    async with world() as w:
        assert await ask_workspace(Work(collector(), SERVICE, w.tools), answer, "b1") == "saved"


async def test_one_that_never_answers_is_given_up_with_doubt(world, autojump_clock):
    async with world(autojump_clock) as w:
        work = Work(collector(), SERVICE, w.tools)
        began = trio.current_time()
        with pytest.raises(DeliveryError, match=f"{work.config.shown_url} took longer than 30 s") as raised:
            await ask_workspace(work, trio.sleep_forever, "b1")
        assert (raised.value.is_ambiguous, trio.current_time() - began) == (True, pytest.approx(30))


async def test_the_time_that_it_takes_to_start_is_not_taken_for_taking_long(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.starting_time = 60

        async def ask():
            await trio.sleep(85)
            return "saved"

        assert await ask_workspace(Work(collector(), SERVICE, w.tools), ask, "b1") == "saved"


@pytest.mark.parametrize("error", [DeliveryRefused("no such project"), SnapshotRejected("never")], ids=["no", "never"])
async def test_what_a_workspace_says_itself_passes_as_it_is(world, error):
    async with world() as w:
        with pytest.raises(DeliveryError) as raised:
            await ask_workspace(Work(collector(), SERVICE, w.tools), raising(error), "b1")
        assert raised.value is error


@pytest.mark.parametrize("error", [KeyError("a"), RecursionError("x" * 10**6)], ids=["a bug", "a long one"])
async def test_an_error_that_nobody_foresaw_leaves_it_open_whether_it_was_done(world, error):
    async with world() as w:
        work = Work(collector(), SERVICE, w.tools)
        with pytest.raises(DeliveryError) as raised:
            await ask_workspace(work, raising(error), "b1")
        said = str(raised.value)
        assert said.startswith(f"{work.config.shown_url} can't be delivered to: {type(error).__name__}: ")
        assert (raised.value.is_ambiguous, len(said) <= 500) == (True, True)


async def test_a_place_that_a_client_may_not_name_is_not_even_asked(world, tmp_path):
    async with world() as w:
        posted = collector(api_url=str(tmp_path.parent)).model_copy(update={"is_posted": True})
        with pytest.raises(DeliveryRefused, match="api_url"):
            await ask_workspace(Work(posted, SERVICE, w.tools), raising(AssertionError("it was asked")), "b1")
