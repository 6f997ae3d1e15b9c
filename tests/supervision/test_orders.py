"""Orders that are carried out one after the other, whoever gave them."""

import pytest
import trio
import trio.lowlevel

from collector.errors import ConfigError, StorageError
from collector.supervision.orders import Orders


async def returning(value):
    await trio.lowlevel.checkpoint()
    return value


async def raising(error):
    await trio.lowlevel.checkpoint()
    raise error


async def test_they_are_carried_out_one_after_the_other():
    orders, log = Orders(), []

    async def order(number):
        log.append(("begun", number))
        await trio.lowlevel.checkpoint()
        log.append(("ended", number))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(orders.carry_out, nursery)
        async with trio.open_nursery() as givers:
            for number in range(3):
                givers.start_soon(orders.give, lambda _, number=number: order(number))
        nursery.cancel_scope.cancel()
    assert [what for what, _ in log] == ["begun", "ended"] * 3
    assert sorted(number for what, number in log if what == "ended") == [0, 1, 2]


async def test_one_is_carried_out_to_its_end_though_its_giver_is_gone():
    orders, begun, gate, ended = Orders(), trio.Event(), trio.Event(), trio.Event()

    async def order(_):
        begun.set()
        await gate.wait()
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(orders.carry_out, nursery)
        async with trio.open_nursery() as giver:
            giver.start_soon(orders.give, order)
            await begun.wait()
            giver.cancel_scope.cancel()
        gate.set()
        await ended.wait()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("raised", "kind"), [(OSError(28, "No space left on device"), StorageError), (ConfigError.at("no"), ConfigError)]
)
async def test_what_the_giver_can_answer_for_is_raised_to_it_and_others_go_on(raised, kind):
    orders = Orders()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(orders.carry_out, nursery)
        with pytest.raises(kind):
            await orders.give(lambda _: raising(raised))
        assert await orders.give(lambda _: returning(7)) == 7
        nursery.cancel_scope.cancel()


async def test_a_mistake_of_ours_ends_the_one_who_carries_out():
    orders = Orders()
    with pytest.RaisesGroup(RuntimeError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(orders.carry_out, nursery)
            with pytest.raises(RuntimeError):
                await orders.give(lambda _: raising(RuntimeError("ours")))
            await trio.sleep_forever()
