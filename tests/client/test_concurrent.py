"""The client for trio and asyncio: in several processes and event loops, and in bursts."""

import asyncio
import pickle

import anyio
import anyio.lowlevel
import httpx
import pandas as pd
import pytest
import trio
from fakes import running_service

from collector.client import AsyncCollectorClient
from collector.client.connecting import AT_ONCE

from .processes import run

RUNNERS = {"trio": trio.run, "asyncio": lambda work: asyncio.run(work())}


@pytest.fixture
def service():
    with running_service() as made:
        yield made


ASKING = """
import asyncio, trio
client = AsyncCollectorClient(URL)

async def ask(number):
    for asked in range(30):
        assert await client.get_collector(f"{number}-{asked}") == {"path": f"/{number}-{asked}"}

def work(number):
    trio.run(ask, number) if sys.argv[2] == "trio" else asyncio.run(ask(number))

if "used before" in sys.argv:
    work("before")
if __name__ == "__main__":
    context = mp.get_context(sys.argv[1])
    if sys.argv[1] == "forkserver":
        context.set_forkserver_preload(["__main__"])
    children = [context.Process(target=work, args=(number,)) for number in range(2)]
    for child in children:
        child.start()
    work(3)
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
"""


@pytest.mark.parametrize(
    ("method", "runner"),
    [("fork", "trio"), ("fork", "asyncio"), pytest.param("forkserver", "asyncio", marks=pytest.mark.slow)],
)
def test_a_process_gets_the_answers_to_its_own_requests(service, tmp_path, runner, method):
    run(tmp_path / "program.py", ASKING, service, method, runner, "used before")


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_client_is_used_in_one_event_loop_after_the_other(service, runner):
    client = AsyncCollectorClient(service.url, retries=0)

    async def work():
        assert await client.get_collector("a") == {"path": "/a"}
        await client.aclose()

    for _ in range(2):
        RUNNERS[runner](work)


def test_a_client_is_pickled_as_it_was_made():
    client = pickle.loads(pickle.dumps(AsyncCollectorClient("http://h:1", "s3cret", timeout=3, retries=1)))
    assert client._given == ("http://h:1", "s3cret")  # noqa: SLF001
    assert client._choices == {"timeout": 3, "retries": 1, "verify": True}  # noqa: SLF001


@pytest.mark.parametrize("runner", RUNNERS)
def test_of_any_number_of_sends_at_once_those_beyond_a_bound_wait_for_their_turn(service, runner, monkeypatch):
    """Those wait for as long as it takes, and cost nothing; in httpx's pool they would cost each other time."""
    at_once = most = 0

    async def work():
        async with AsyncCollectorClient(service.url, retries=0) as client:
            send = httpx.AsyncClient.send

            async def count(*args, **options):
                nonlocal at_once, most
                at_once += 1
                most = max(most, at_once)
                await anyio.lowlevel.checkpoint()
                response = await send(*args, **options)
                at_once -= 1
                return response

            monkeypatch.setattr(httpx.AsyncClient, "send", count)
            async with anyio.create_task_group() as tasks:
                for number in range(AT_ONCE * 4):
                    tasks.start_soon(client.send_data, "main", pd.DataFrame({"n": [number]}))

    RUNNERS[runner](work)
    assert 1 < most <= AT_ONCE
    assert sorted(service.numbers()) == list(range(AT_ONCE * 4))
