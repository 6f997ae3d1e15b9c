"""The lane over real sockets; that its answers are those of everyone else is shown in test_front_door.py."""

import socket
import time
from contextlib import suppress

import pytest
import trio
from fakes import collector_config
from machine import PATIENCE

from collector.ingest.http.lane import Lane

from .test_front_door import BODY, UNUSUAL, USUAL, asked, read_answers


@pytest.fixture
async def many(make_service):
    """Open a service and twenty connections."""
    with trio.fail_after(PATIENCE):
        async with make_service() as service, service.serving():
            streams = [await trio.open_tcp_stream("127.0.0.1", service.port) for _ in range(20)]
            yield service, streams
            for stream in streams:
                await trio.aclose_forcefully(stream)


async def test_requests_of_many_connections_share_a_transaction(many, monkeypatch):
    service, streams = many
    begun = []
    begin = service.front_door.begin
    monkeypatch.setattr(service.front_door, "begin", lambda *args: begun.append(begin(*args)) or begun[-1])
    for _ in range(3):
        for stream in streams:  # without a checkpoint between them, as each takes it at once
            stream.socket._sock.send(USUAL)  # noqa: SLF001  (it is trio's way to the plain one)
        for stream in streams:
            assert (await read_answers(stream, 1)).startswith(b"HTTP/1.1 201")
    assert service.rows() == len(begun) == 60
    assert len({id(one.order.done) for one in begun}) < 60


async def test_the_answers_go_to_who_asked(many):
    service, streams = many
    bad = USUAL.replace(BODY, b'{"a": {"0": 1 ]')
    for number, stream in enumerate(streams):
        await stream.send_all(bad if number % 3 == 0 else UNUSUAL["a query"] if number % 3 == 1 else USUAL)
    for number, stream in enumerate(streams):
        status = b"400" if number % 3 == 0 else b"201"
        assert (await read_answers(stream, 1)).startswith(b"HTTP/1.1 " + status)
    assert service.rows() == 13


async def test_who_leaves_is_forgotten(many):
    _, streams = many
    for stream in streams[1:]:
        await stream.aclose()
    await streams[0].send_all(USUAL)
    assert (await read_answers(streams[0], 1)).startswith(b"HTTP/1.1 201")


async def test_who_leaves_before_its_answer_harms_nobody(many):
    """A reset is what a client leaves that closes with an answer unread."""
    service, streams = many
    for _ in range(5):
        for stream in streams[1:]:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await stream.send_all(USUAL)
            await trio.aclose_forcefully(stream)
        await streams[0].send_all(USUAL)
        assert (await read_answers(streams[0], 1)).startswith(b"HTTP/1.1 201")
        streams[1:] = [await trio.open_tcp_stream("127.0.0.1", service.port) for _ in range(5)]


class Idle:
    """A connection that does nothing by itself."""

    def __init__(self, socket_):
        self.idle_since = 0.0
        self.is_closing = False
        self.fileno = socket_.fileno


async def test_what_the_kernel_does_not_take_is_left_to_the_connection(make_service):
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                near.send(b"x" * 1000)
        far.send(USUAL)
        async with make_service() as service, service.serving(), trio.open_nursery() as nursery:
            lane = Lane(lambda: service.front_door)
            nursery.start_soon(lane.run)
            left = await lane.wait(Idle(near))
            nursery.cancel_scope.cancel()
            assert service.rows() == 1
    assert left.unsent.startswith(b"HTTP/1.1 201")
    assert (left.data, left.is_last) == (b"", False)


async def test_a_connection_that_idles_is_closed(make_service, monkeypatch):
    monkeypatch.setattr("collector.ingest.http.server.IDLE_TIMEOUT", 0.2)
    async with asked(make_service, front_door=True) as (_, stream):
        await stream.send_all(USUAL)
        assert (await read_answers(stream)).startswith(b"HTTP/1.1 201")


async def test_requests_that_came_in_a_stall_are_answered_though_their_connections_idled(many, monkeypatch):
    """A process that was stopped finds that all have idled for long, and that their next requests are there."""
    monkeypatch.setattr("collector.ingest.http.server.IDLE_TIMEOUT", 0.6)
    service, streams = many
    for _ in range(2):
        for stream in streams:  # without a checkpoint
            stream.socket._sock.send(USUAL)  # noqa: SLF001
        time.sleep(0.7)  # noqa: ASYNC251  (it is the stall)
        for stream in streams:
            assert (await read_answers(stream, 1)).startswith(b"HTTP/1.1 201")
    assert service.rows() == 40


async def test_switched_off_while_it_runs_hypercorn_answers(make_service):
    async with asked(make_service, front_door=True) as (service, stream):
        await stream.send_all(USUAL)
        await read_answers(stream, 1)
        front_door, service.front_door = service.front_door, None
        await stream.send_all(USUAL)
        assert (await read_answers(stream, 1)).startswith(b"HTTP/1.1 201")
        assert (front_door.count, service.rows()) == (1, 2)


async def test_a_collector_that_goes_between_two_requests_is_told(make_service):
    async with asked(make_service, front_door=True, collectors=("main", "other")) as (service, stream):
        for id_, status in (("main", b"201"), ("other", b"201"), ("main", b"404"), ("other", b"201")):
            await stream.send_all(USUAL.replace(b"/main/", b"/%b/" % id_.encode()))
            assert (await read_answers(stream, 1)).startswith(b"HTTP/1.1 " + status)
            if id_ == "other":
                service.supervisor.config = service.supervisor.config.without_collector("main")
        assert collector_config("other").id in service.supervisor.config.collectors


async def test_a_client_that_always_asks_again_at_once_leaves_time_for_others(many):
    """Its next request is waited for, but not for ever."""
    service, streams = many
    client = streams[0].socket._sock  # noqa: SLF001  (it is trio's way to the plain one)
    client.setblocking(True)

    def ask() -> float:
        began = time.perf_counter()
        for _ in range(1000):
            client.sendall(USUAL)
            client.recv(4096)
        return time.perf_counter() - began

    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.sleep(0.001)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        seconds = await trio.to_thread.run_sync(ask)
        nursery.cancel_scope.cancel()
    assert service.rows() == 1000
    assert turns > seconds / 0.02
