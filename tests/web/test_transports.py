"""Answers that drip, from real sockets, to transports of both kinds."""

import contextlib
import itertools
import socket
import threading

import httpx
import pytest
import trio
from machine import PATIENCE

from collector.web.transports import AsyncTransport, Transport

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "a status": (b"", b"H"),
    "headers": (OK, b"X: y\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunks": (CHUNKED, b"1\r\nx\r\n"),
    "the extension of a chunk": (CHUNKED + b"1;", b"x"),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n"),
}
TIMEOUT = 0.3
# No silence is as long as the time-out.
PAUSE = TIMEOUT / 5


@contextlib.contextmanager
def serving(begins, drops):
    """Answer each connection with what it begins with, and then a drop at a time until its client leaves."""
    has_ended = threading.Event()

    def drip(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            connection.sendall(begins)
            for drop in drops:
                connection.sendall(drop)
                if has_ended.wait(PAUSE):
                    return

    def listen():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],)).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listening = threading.Thread(target=listen)
        listening.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        has_ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listening.join()


def ask(url, timeout):
    with httpx.Client(transport=Transport(trust_env=False)) as client:
        return client.get(url, timeout=timeout)


def ask_on_trio(url, timeout, *, is_timed=True):
    async def asking():
        async with httpx.AsyncClient(transport=AsyncTransport(is_timed=is_timed, trust_env=False)) as client:
            with trio.fail_after(PATIENCE):
                return await client.get(url, timeout=timeout)

    return trio.run(asking)


@pytest.mark.parametrize("how", [ask, ask_on_trio])
@pytest.mark.parametrize("what", DRIPS)
def test_an_answer_that_drips_is_given_up_once_its_time_is_up(what, how):
    begins, drop = DRIPS[what]
    with serving(begins, itertools.repeat(drop)) as url, pytest.raises((httpx.ReadTimeout, httpx.RemoteProtocolError)):
        how(url, TIMEOUT)


@pytest.mark.parametrize("how", [ask, ask_on_trio])
def test_interim_answers_without_end_are_given_up_though_time_is_left(how):
    flood = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1_000
    with serving(b"", itertools.repeat(flood)) as url, pytest.raises(httpx.RemoteProtocolError, match="interim"):
        how(url, PATIENCE)


def test_an_answer_that_is_not_timed_may_take_longer_than_any_silence_in_it():
    length = 10
    begins = OK + b"Content-Length: %d\r\n\r\n" % length
    with serving(begins, itertools.repeat(b"x", length)) as url:
        assert ask_on_trio(url, PAUSE * (length - 1), is_timed=False).text == "x" * length
