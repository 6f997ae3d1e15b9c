"""Buffered sending from trio and asyncio, against a small real server that gives the answers it is told to."""

import asyncio

import anyio
import pytest
import trio
from fakes import running_service

from collector.client import AsyncCollectorClient
from collector.client import requests as module
from collector.errors import BadBody, RequestRefused

from .processes import run as program_run

NEVER = 3600.0
RUNNERS = {"trio": trio.run, "asyncio": lambda work: asyncio.run(work())}


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(module.random, "uniform", lambda _low, _high: 0.0)  # no pauses
    with running_service() as made:
        yield made


@pytest.fixture(params=RUNNERS)
def run(request, service):
    """Run a test's work, given a client."""

    def with_client(work):
        async def whole():
            async with AsyncCollectorClient(service.url) as client:
                await work(client)

        RUNNERS[request.param](whole)

    return with_client


async def wait_for_requests(service, number):
    await anyio.to_thread.run_sync(service.wait_for_requests, number)


def test_events_go_as_soon_as_max_rows_wait(run, service):
    async def work(client):
        async with client.buffered("main", max_rows=3, max_delay=NEVER) as events:
            for number in range(3):
                await events.send({"n": number})
            await wait_for_requests(service, 1)
            assert service.batches() == [[0, 1, 2]]

    run(work)


def test_an_event_goes_alone_once_it_has_waited_for_max_delay(run, service):
    async def work(client):
        async with client.buffered("main", max_delay=0.001) as events:
            for number in range(3):
                assert events.send_nowait({"n": number})
                await wait_for_requests(service, number + 1)

    run(work)
    assert service.batches() == [[0], [1], [2]]


def test_flush_returns_once_the_service_has_what_was_taken(run, service):
    async def work(client):
        async with client.buffered("main", max_delay=NEVER) as events:
            await events.flush()
            await events.send({"n": 1})
            await events.flush()
            assert (events.waiting, events.sent, service.batches()) == (0, 1, [[1]])
            await events.send({"n": 2})
        assert events.sent == 2

    run(work)
    assert service.batches() == [[1], [2]]


def test_the_end_of_the_block_sends_what_waits_though_it_failed(run, service):
    async def fail(client):
        async with client.buffered("main", max_delay=NEVER) as events:
            await events.send({"n": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(fail)
    assert service.batches() == [[1]]


def test_what_is_one_too_many_is_dropped_or_waits_for_room(run, service):
    async def work(client):
        async with client.buffered("main", max_rows=1, max_waiting=2) as events:
            service.gate.clear()
            taken = [events.send_nowait({"n": number}) for number in range(4)]
            assert (taken, events.waiting, events.dropped) == ([True, True, False, False], 2, 2)
            service.gate.set()
            for number in range(4, 10):
                await events.send({"n": number})
                assert events.waiting <= 2

    run(work)
    assert service.numbers() == [0, 1, *range(4, 10)]


def test_many_tasks_may_send_and_each_event_arrives_once(run, service):
    async def work(client):
        async with client.buffered("main", max_rows=20, max_waiting=40) as events, anyio.create_task_group() as tasks:
            for start in range(0, 800, 100):
                tasks.start_soon(send_many, events, start)

    async def send_many(events, start):
        for number in range(start, start + 100):
            await events.send({"n": number})

    run(work)
    assert sorted(service.numbers()) == list(range(800))


def test_trouble_that_passes_is_sat_out_with_the_same_key(run, service):
    service.answers = ["cut", 429, 502, 503, 504, 507] * 3

    async def work(client):
        async with client.buffered("main", max_delay=NEVER) as events:
            await events.send({"n": 1})

    run(work)
    assert service.batches() == [[1]]
    assert len({key for _, _, key, _ in service.requests}) == 1


def test_what_is_refused_is_counted_and_told_and_the_next_goes_on(run, service):
    service.answers = [400, 201, 400]
    lost = []

    async def work(client):
        async with client.buffered("main", on_lost=lambda rows, error: lost.append((rows, error.status))) as events:
            await events.send({"n": 1})
            with pytest.raises(RequestRefused, match="400"):
                await events.flush()
            await events.send({"n": 2})
            await events.flush()
            assert (events.sent, events.refused) == (1, 1)
            await events.send({"n": 3})

    with pytest.raises(RequestRefused, match="400"):
        run(work)
    assert lost == [([{"n": 1}], 400), ([{"n": 3}], 400)]
    assert service.batches() == [[2]]


def test_events_that_cannot_be_written_are_lost_alone(run, service):
    class Unspeakable:
        def __str__(self):
            raise OSError("no")

    async def work(client):
        async with client.buffered("main", max_delay=NEVER) as events:
            await events.send({"n": Unspeakable()})
            with pytest.raises(BadBody, match="can't be put into a table"):
                await events.flush()
            await events.send({"n": 2})

    run(work)
    assert service.batches() == [[2]]


def test_cancelling_loses_what_waits_and_says_so(run, service, caplog):
    async def work(client):
        with anyio.CancelScope() as scope:
            async with client.buffered("main", max_delay=NEVER) as events:
                await events.send({"n": 1})
                scope.cancel()
                await events.flush()
        assert events.waiting == 1

    run(work)
    assert service.requests == []
    assert "1 events of main are lost: sending them was cancelled" in caplog.text


def test_nothing_is_taken_once_the_block_has_ended(run):
    async def work(client):
        async with client.buffered("main") as events:
            with pytest.raises(ValueError, match="at least one column"):
                events.send_nowait({})
        with pytest.raises(RuntimeError, match="closed"):
            await events.send({"n": 1})

    run(work)


def test_behind_a_limit_of_a_proxy_all_events_arrive_once(run, service):
    service.max_bytes = 20_000

    async def work(client):
        async with client.buffered("main", max_rows=2_000, max_delay=NEVER) as events:
            for number in range(6_000):
                await events.send({"n": number, "text": "x" * 10})
        assert (events.sent, events.refused, events.waiting) == (6_000, 0, 0)

    run(work)
    assert service.numbers() == list(range(6_000))


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_child_of_a_fork_sends_none_of_its_parents_events_and_takes_none(service, tmp_path, runner):
    """Its event loop is a copy that doesn't run; what it took would never be sent."""
    program = """
import asyncio, trio
async def work():
    async with AsyncCollectorClient(URL).buffered("main", max_delay=3600) as events:
        for n in range(10):
            await events.send({"n": n})
        child = os.fork()
        if not child:
            try:
                events.send_nowait({"n": 10})
            except RuntimeError as error:
                os._exit(0 if "belongs to the process that opened it" in str(error) and not events.waiting else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
trio.run(work) if sys.argv[1] == "trio" else asyncio.run(work())
"""
    program_run(tmp_path / "program.py", program, service, runner)
    assert service.batches() == [list(range(10))]
