"""hypercorn's protocol over our connections, with a plain ASGI app."""

import json
import subprocess
import sys

import h11
import pytest
from hypercorn.config import Config
from hypercorn.events import Closed
from hypercorn.protocol.events import EndBody, Response, StreamClosed
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from collector.ingest.http.door import ASK_FOR_BODY
from collector.ingest.http.http11 import Http11

from .test_server import GET, App, answer_of, serving


@pytest.mark.parametrize(("body", "closes"), [(b"all", False), (b"a", True)], ids=["whole", "not whole"])
async def test_an_answer_before_the_end_of_a_body_says_that_the_connection_ends(body, closes):
    async with serving(App(reads=not closes)) as (connect, _), await connect() as stream:
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n" + body)
        assert (b"connection: close" in (await answer_of(stream)).lower()) == closes


async def test_who_waits_to_be_asked_for_a_body_is_asked_with_a_reason_phrase():
    async def ask(scope, receive, send):
        await scope["state"][ASK_FOR_BODY]()
        await App()(scope, receive, send)

    async with serving(ask) as (connect, _), await connect() as stream:
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        await stream.send_all(head)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 Continue\r\n")
        await stream.send_all(b"all")
        assert (await answer_of(stream)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_answer_that_is_cut_off_as_the_service_ends_ends_its_connection():
    """Behind its beginning hypercorn sent another, and a Ctrl-C during the start left a traceback in the log."""
    sent = []

    async def keep(event):
        sent.append(event)

    protocol = Http11(None, Config(), WorkerContext(None), None, ConnectionState({}), False, None, None, keep)
    protocol.connection.receive_data(GET)
    assert isinstance(protocol.connection.next_event(), h11.Request)
    await protocol.stream_send(Response(1, [(b"content-length", b"5")], 200))
    sent.clear()
    for event in (Response(1, [(b"content-length", b"0")], 500), EndBody(1), StreamClosed(1)):
        await protocol.stream_send(event)
    assert {type(event) for event in sent} == {Closed}


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /ä HTTP/1.1\r\nHost: localhost\r\n", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n", 400),
        ("GET / HTTP/1.1\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + "x" * 100_000 + "\r\n", 431),
    ],
    ids=["a path", "a header", "no host", "an encoding", "too much"],
)
async def test_a_head_that_can_not_be_read_is_told_why(head, status):
    async with serving(App()) as (connect, _), await connect() as stream:
        await stream.send_all(head.encode() + b"\r\n")
        answer = await answer_of(stream)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert told["status"] == status
    assert told["detail"].startswith("the request isn't HTTP/1.1 as it should be: ")


LAST = GET[:-2] + b"Connection: close\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"


@pytest.mark.parametrize("last", [LAST, OLD], ids=["closing", "of HTTP/1.0"])
@pytest.mark.parametrize("behind", [GET, b"\r\n", b"x" * 100_000], ids=["another", "an empty line", "much"])
async def test_a_last_request_is_answered_whatever_follows_it(last, behind):
    app = App()
    async with serving(app) as (connect, _), await connect() as stream:
        await stream.send_all(last + behind)
        assert (await answer_of(stream)).startswith(b"HTTP/1.1 200")
        assert await stream.receive_some() == b""
    assert len(app.scopes) == 1


async def test_empty_lines_between_requests_are_nothing():
    async with serving(App()) as (connect, _), await connect() as stream:
        for sent in (b"\r\n" + GET, GET + b"\r\n\r\n", b"\r", b"\n" + GET):
            await stream.send_all(sent)
            if GET in sent:
                assert (await answer_of(stream)).startswith(b"HTTP/1.1 200")


async def test_a_request_for_another_protocol_is_answered_as_http():
    app = App()
    asked = [
        b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n\r\n",
        b"Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n",
    ]
    async with serving(app) as (connect, _):
        for headers in asked:
            async with await connect() as stream:
                await stream.send_all(GET[:-2] + headers)
                assert (await answer_of(stream)).startswith(b"HTTP/1.1 200")
        async with await connect() as stream:
            await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert (await answer_of(stream)).startswith(b"HTTP/1.1 ")
    assert {scope["type"] for scope in app.scopes} == {"http"}


def test_events_are_accepted_before_hypercorn_is_imported():
    program = "import sys, collector.daemon; print([name for name in sys.modules if name.startswith('hypercorn')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
