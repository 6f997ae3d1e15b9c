"""Requests as bytes on a socket, answered with the front door and without: alike, but for who answers."""

import gzip
import re
import socket
import time
from contextlib import asynccontextmanager

import pytest
import trio
import zstandard
from machine import PATIENCE
from structlog.testing import capture_logs

from collector.formats.bounds import SMALL_BODY
from collector.ingest.http.front_door import FrontDoor
from collector.ingest.room import MAX_WRITE

BODY = b'{"a": {"0": 1}}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
HOST = b"Host: localhost\r\n"
POST = b"POST /main/data HTTP/1.1\r\n"
USUAL = POST + HOST + LENGTH + b"\r\n" + BODY
GZIPPED = gzip.compress(BODY, mtime=0)
ZSTD = zstandard.ZstdCompressor().compress(BODY)
CHUNKED = POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
# Each is answered by hypercorn, as something about it isn't usual.
UNUSUAL = {
    "bare line feeds": USUAL.replace(b"\r\n", b"\n"),
    "one bare line feed": POST + b"Host: localhost\n" + LENGTH + b"\r\n" + BODY,
    "a folded line": POST + HOST + b"X: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "both lengths": POST + HOST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + HOST + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY,
    "the same length twice": POST + HOST + LENGTH + LENGTH + b"\r\n" + BODY,
    "a list of lengths": POST + HOST + b"Content-Length: 15, 15\r\n\r\n" + BODY,
    "a signed length": POST + HOST + b"Content-Length: +15\r\n\r\n" + BODY,
    "a length in other digits": POST + HOST + "Content-Length: ٣\r\n\r\n".encode() + BODY,
    "a huge length": POST + HOST + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY,
    "a space before a colon": POST + HOST + b"Content-Length : 15\r\n\r\n" + BODY,
    "no host": POST + LENGTH + b"\r\n" + BODY,
    "two hosts": POST + HOST + HOST + LENGTH + b"\r\n" + BODY,
    "no length": POST + HOST + b"\r\n",
    "a list of encodings": POST + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + BODY,
    "chunks in HTTP/1.0": b"POST /main/data HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown expectation": POST + HOST + LENGTH + b"Expect: more\r\n\r\n" + BODY,
    "a page": POST + HOST + LENGTH + b"Origin: http://localhost\r\n\r\n" + BODY,
    "a foreign page": POST + HOST + LENGTH + b"Origin: http://evil.example\r\n\r\n" + BODY,
    "an unknown transfer encoding": POST + HOST + b"Transfer-Encoding: xchunked\r\n\r\n" + BODY,
    "a websocket": b"GET /main HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two spaces": USUAL.replace(b"POST ", b"POST  "),
    "a whole address": USUAL.replace(b" /main", b" http://x/main"),
    "a query": USUAL.replace(b"/data", b"/data?a=1"),
    "an encoded id": USUAL.replace(b"/main/", b"/m%61in/"),
    "another slash": USUAL.replace(b"/main/", b"//main/"),
    "control characters": POST + HOST + b"X: a\x01b\r\n" + LENGTH + b"\r\n" + BODY,
    "no ASCII": POST + HOST + b"X: \xe9\r\n" + LENGTH + b"\r\n" + BODY,
    "another route": b"GET /main HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another method": USUAL.replace(b"POST", b"PUT"),
    "garbage": b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
}
# Each is answered by the front door.
ANSWERED = {
    "a row": USUAL,
    "no table": USUAL.replace(BODY, b'{"a": {"0": 1 ]'),
    "an empty body": POST + HOST + b"Content-Length: 0\r\n\r\n",
    "nobody's": USUAL.replace(b"/main/", b"/nobody/"),
    "too much": POST + HOST + b"Content-Length: 10000001\r\n\r\n",
    "the last one": POST + HOST + LENGTH + b"Connection: close\r\n\r\n" + BODY,
    "CSV": POST + HOST + b"Content-Type: text/csv\r\nContent-Length: 4\r\n\r\na\n1\n",
    "chunks": CHUNKED + b"f\r\n" + BODY + b"\r\n0\r\n\r\n",
    "chunks with more": CHUNKED + b'8;a=b;c="d"\r\n' + BODY[:8] + b"\r\n007\r\n" + BODY[8:] + b"\r\n0\r\nX: y\r\n\r\n",
    "no chunk": CHUNKED + b"0\r\n\r\n",
    "h2c": POST
    + HOST
    + LENGTH
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
    + BODY,
    "h2c without a body": POST + HOST + b"Content-Length: 0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "HTTP/1.0": b"POST /main/data HTTP/1.0\r\n" + HOST + LENGTH + b"\r\n" + BODY,
    "HTTP/1.0 without a host": b"POST /main/data HTTP/1.0\r\n" + LENGTH + b"\r\n" + BODY,
    "gzip": POST + HOST + b"Content-Length: %d\r\nContent-Encoding: gzip\r\n\r\n" % len(GZIPPED) + GZIPPED,
    "no gzip": POST + HOST + LENGTH + b"Content-Encoding: gzip\r\n\r\n" + BODY,
    "gzip in chunks": CHUNKED[:-2]
    + b"Content-Encoding: gzip\r\n\r\n%x\r\n" % len(GZIPPED)
    + GZIPPED
    + b"\r\n0\r\n\r\n",
    "zstd": POST + HOST + b"Content-Length: %d\r\nContent-Encoding: zstd\r\n\r\n" % len(ZSTD) + ZSTD,
    "an unknown encoding": POST + HOST + LENGTH + b"Content-Encoding: br\r\n\r\n" + BODY,
    "a name that may be anyone's": USUAL.replace(b"localhost", b"evil.example"),
    "a key": POST + HOST + LENGTH + b"Idempotency-Key: k\r\n\r\n" + BODY,
    "no key": POST + HOST + LENGTH + b"Idempotency-Key: " + b"k" * 300 + b"\r\n\r\n" + BODY,
    "many headers": POST + HOST + LENGTH + b"".join(b"X-%d: y\r\n" % n for n in range(100)) + b"\r\n" + BODY,
}


class Watched(FrontDoor):
    """A front door that counts its answers."""

    count = 0

    async def answer(self, *args):
        self.count += 1
        return await super().answer(*args)

    def begin(self, *args):
        self.count += 1
        return super().begin(*args)


@asynccontextmanager
async def asked(make_service, *, front_door, **fields):
    """Open a service, and a connection to it; ``service.front_door`` counts."""
    with trio.fail_after(PATIENCE):
        async with make_service(**fields) as service, service.serving(front_door=front_door):
            if front_door:
                service.front_door = service.make_front_door(Watched)
            async with await trio.open_tcp_stream("127.0.0.1", service.port) as stream:
                yield service, stream


async def read_answers(stream, count=None):
    """Read until so many answers are whole, or the server closes; give them without what differs each time."""
    data = b""
    while count is None or not _is_whole(data, count):
        try:
            received = await stream.receive_some()
        except trio.BrokenResourceError:
            break
        if not received:
            break
        data += received
    return re.sub(rb"date: [^\r]*\r\n", b"", data)


async def test_a_body_that_came_in_a_stall_is_kept_though_its_time_is_over(make_service):
    """The time in which we read nothing isn't the client's; this one goes to a file meanwhile."""
    body = b'{"a": [' + b"1.50, " * ((MAX_WRITE + 30_000) // 6) + b"1.5]}"
    before = MAX_WRITE - 30_000
    async with asked(make_service, front_door=True, limits={"body_timeout": 2}) as (service, stream):
        await stream.send_all(POST + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body[:before])
        await trio.testing.wait_all_tasks_blocked(0.05)
        sent = stream.socket._sock.send(body[before:])  # noqa: SLF001  (without a checkpoint)
        time.sleep(2.1)  # noqa: ASYNC251  (it is the stall)
        assert sent == len(body) - before
        assert (await read_answers(stream, 1)).startswith(b"HTTP/1.1 201")
        assert service.rows() > MAX_WRITE // 6


def _is_whole(data, count):
    for _ in range(count):
        head, blank, rest = data.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head.lower())
        size = int(found[1]) if found else 0
        if not blank or len(rest) < size:
            return False
        data = rest[size:]
    return True


async def answer_to(make_service, request, *, front_door):
    """Send a request and nothing more; give the answer, who gave it, and the rows that were kept."""
    async with asked(make_service, front_door=front_door) as (service, stream):
        await stream.send_all(request)
        answer = await read_answers(stream, 1)
        return answer, getattr(service.front_door, "count", 0), service.rows()


@pytest.mark.parametrize("request_", UNUSUAL.values(), ids=UNUSUAL)
async def test_what_is_unusual_is_answered_by_hypercorn(make_service, request_):
    without, _, rows = await answer_to(make_service, request_, front_door=False)
    assert await answer_to(make_service, request_, front_door=True) == (without, 0, rows)


@pytest.mark.parametrize("request_", ANSWERED.values(), ids=ANSWERED)
async def test_what_is_usual_is_answered_as_hypercorn_would(make_service, request_):
    without, _, rows = await answer_to(make_service, request_, front_door=False)
    answer, count, kept = await answer_to(make_service, request_, front_door=True)
    assert (_comparable(answer), kept, count) == (_comparable(without), rows, 1)


def _comparable(answer):
    """Leave out what says that the connection ends: a client that sends no more is told so by one of them only."""
    return answer.lower().replace(b"connection: close\r\n", b"")


async def test_requests_that_come_together_are_answered_in_their_order(make_service):
    async with asked(make_service, front_door=True) as (service, stream):
        bad = USUAL.replace(b'"0"', b'"0')
        await stream.send_all(USUAL + bad.replace(b"th: 15", b"th: 14") + USUAL)
        answers = await read_answers(stream, 3)
        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"201", b"400", b"201"]
        assert (service.front_door.count, service.rows()) == (3, 2)


async def test_what_follows_an_unusual_request_is_usual_again(make_service):
    async with asked(make_service, front_door=True) as (service, stream):
        for request in (USUAL, UNUSUAL["another route"], USUAL, UNUSUAL["a query"], USUAL):
            await stream.send_all(request)
            assert re.match(rb"HTTP/1.1 20[01] ", await read_answers(stream, 1))
        assert (service.front_door.count, service.rows()) == (3, 4)


async def test_requests_of_both_kinds_that_come_together_are_all_answered(make_service):
    async with asked(make_service, front_door=True) as (service, stream):
        await stream.send_all(USUAL + UNUSUAL["another route"] + USUAL + USUAL)
        answers = await read_answers(stream, 4)
        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"201", b"200", b"201", b"201"]
        assert service.rows() == 3


async def test_who_sends_no_more_gets_whole_answers_to_all_that_it_sent(make_service):
    """A client may close its side first, as ``nc -N`` does; the last answer came without its body."""
    async with make_service() as service, service.serving():
        for _ in range(5):
            async with await trio.open_tcp_stream("127.0.0.1", service.port) as stream:
                await stream.send_all(USUAL + UNUSUAL["another route"] + USUAL)
                await stream.send_eof()
                answers = await read_answers(stream)
                assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"201", b"200", b"201"]
                assert answers.endswith(b"{}")


@pytest.mark.parametrize("size", [1, 7, 40, 60, 70])
async def test_a_request_in_pieces_is_one_request(make_service, size):
    async with asked(make_service, front_door=True) as (service, stream):
        for _ in range(2):
            for start in range(0, len(USUAL), size):
                await stream.send_all(USUAL[start : start + size])
                await trio.testing.wait_all_tasks_blocked(0.005)
            assert (await read_answers(stream, 1)).startswith(b"HTTP/1.1 201")
        assert service.rows() == 2


async def test_who_leaves_in_the_midst_of_a_body_leaves_nothing(make_service):
    async with asked(make_service, front_door=True) as (service, stream):
        await stream.send_all(USUAL[:-3])
        await stream.send_eof()
        assert await read_answers(stream) == b""
        assert service.rows() == 0


async def test_who_breaks_off_in_the_midst_of_a_body_is_no_error_of_ours(make_service):
    """A reset is what a client leaves that is killed, or whose time is over."""
    async with asked(make_service, front_door=True) as (service, stream):
        with capture_logs() as logs:
            await stream.send_all(USUAL[:-3])
            await service.draining.wait_for_request()
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await trio.aclose_forcefully(stream)
            service.draining.begin()
            await service.draining.wait_idle()
        assert logs == []
        assert service.rows() == 0


async def test_who_asks_whether_to_go_on_is_told(make_service):
    async with asked(make_service, front_door=True) as (service, stream):
        await stream.send_all(POST + HOST + LENGTH + b"Expect: 100-continue\r\n\r\n")
        assert (await read_answers(stream, 1)).startswith(b"HTTP/1.1 100")
        await stream.send_all(BODY)
        assert (await read_answers(stream, 1)).startswith(b"HTTP/1.1 201")
        assert service.rows() == 1


@pytest.mark.parametrize("front_door", [True, False], ids=["front door", "app"])
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"/main/", b"/nobody/"), b"404"),
        ((b"/main/data", b"/nobody/reference"), b"404"),
        ((b"/main/data", b"/main/x/y"), b"404"),
        ((b"POST", b"PUT"), b"405"),
        ((LENGTH, b"Content-Length: 100000000\r\n"), b"413"),
        ((b"localhost", b"evil.example"), b"403"),
        ((HOST, HOST + b"Origin: http://evil.example\r\n"), b"403"),
        ((LENGTH, LENGTH + b"Content-Encoding: br\r\n"), b"400"),
        ((LENGTH, LENGTH + b"Idempotency-Key: " + b"k" * 300 + b"\r\n"), b"400"),
        ((LENGTH, b"Content-Length: zz\r\n"), b"400"),
    ],
)
async def test_who_is_refused_is_not_asked_for_its_body_first(make_service, front_door, change, status):
    """A client that got 100 sends all of a body that nobody wants."""
    head = POST + HOST + LENGTH + b"Expect: 100-continue\r\n\r\n"
    async with asked(make_service, front_door=front_door) as (_, stream):
        await stream.send_all(head.replace(*change))
        answer = await read_answers(stream)
        assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [status]
        assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("path", [b"/main/data", b"/main/reference"])
async def test_a_body_that_came_without_being_asked_for_is_not_asked_for(make_service, path):
    async with asked(make_service, front_door=True) as (_, stream):
        await stream.send_all(USUAL.replace(b"/main/data", path).replace(LENGTH, LENGTH + b"Expect: 100-continue\r\n"))
        answer = await read_answers(stream, 1)
        assert answer.startswith(b"HTTP/1.1 201") or path != b"/main/data"


@pytest.mark.parametrize("front_door", [True, False], ids=["front door", "app"])
async def test_both_lengths_are_answered_and_then_the_connection_is_closed(make_service, front_door):
    """Whoever stands before us may have taken the other one, and what follows is then smuggled past it."""
    smuggled = USUAL
    for body, status in ((b"0\r\n\r\n", b"400"), (b"f\r\n" + BODY + b"\r\n0\r\n\r\n", b"201")):
        async with asked(make_service, front_door=front_door) as (service, stream):
            both = POST + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
            await stream.send_all(both + body + smuggled)
            answers = await read_answers(stream)
            assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [status]
            assert b"connection: close" in answers
            assert service.rows() == (status == b"201")


@pytest.mark.parametrize("front_door", [True, False], ids=["front door", "app"])
@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (USUAL, b"HTTP/1.1 201 Created\r\n"),
        (USUAL.replace(b"main", b"nobody"), b"HTTP/1.1 404 Not Found\r\n"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
        (b"garbage\r\n\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
    ],
)
async def test_a_status_says_what_it_means(make_service, front_door, request_, line):
    """Some clients take a status line without a reason for no answer: h2load counted each 201 as failed."""
    async with asked(make_service, front_door=front_door) as (_, stream):
        await stream.send_all(request_)
        assert (await read_answers(stream, 1)).startswith(line)


async def test_a_connection_of_http_1_0_is_kept_where_that_is_asked_for(make_service):
    old = USUAL.replace(b"HTTP/1.1", b"HTTP/1.0")
    kept = old.replace(HOST, HOST + b"Connection: Keep-Alive\r\n")
    async with asked(make_service, front_door=True) as (service, stream):
        for _ in range(2):
            await stream.send_all(kept)
            assert b"connection: keep-alive\r\n" in await read_answers(stream, 1)
        await stream.send_all(old)
        assert b"connection: close\r\n" in await read_answers(stream)
        assert (service.front_door.count, service.rows()) == (3, 3)


@pytest.mark.parametrize(
    "body", [b"zz\r\n", b"-f\r\n" + BODY + b"\r\n", b"f\r\n" + BODY + b"XX0\r\n\r\n" + USUAL, b"f\r\n" + BODY + b"\r\n"]
)
async def test_what_is_not_in_chunks_as_it_says_is_told_and_the_connection_closed(make_service, body):
    async with asked(make_service, front_door=True) as (service, stream):
        await stream.send_all(CHUNKED + body)
        await stream.send_eof()
        answer = await read_answers(stream)
        assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"400"]
        assert b"isn't in chunks as its Transfer-Encoding says" in answer
        assert service.rows() == 0


@pytest.mark.parametrize("chunk", [b"FFFFFFFFFFFFFFFF", b"15", b"8\r\n12345678\r\nd"])
async def test_chunks_have_the_same_bound_as_other_bodies(make_service, chunk):
    """They are refused before the first byte beyond it: one that announced 2**64 bytes had its client wait in vain."""
    async with asked(make_service, front_door=True, limits={"max_body_bytes": 20}) as (_, stream):
        await stream.send_all(CHUNKED + chunk + b"\r\n")
        answer = await read_answers(stream)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer


async def test_what_follows_chunks_in_the_same_piece_is_the_next_request(make_service):
    whole = CHUNKED + b"f\r\n" + BODY + b"\r\n0\r\n\r\n"
    async with asked(make_service, front_door=True) as (service, stream):
        await stream.send_all(whole + whole + USUAL)
        assert re.findall(rb"HTTP/1.1 (\d+)", await read_answers(stream, 3)) == [b"201"] * 3
        assert (service.rows(), service.front_door.count) == (3, 3)


async def test_a_small_body_that_unfolds_is_not_unfolded_among_others(make_service):
    """It would hold the event loop; it is read as large ones are, within the same limit."""
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < SMALL_BODY
    head = POST + HOST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with asked(make_service, front_door=True) as (service, stream):
        await stream.send_all(head + bomb)
        assert (await read_answers(stream, 1)).startswith(b"HTTP/1.1 413")
        assert service.rows() == 0


async def test_an_answer_before_the_end_of_a_body_says_that_the_connection_ends(make_service):
    async with asked(make_service, front_door=True, limits={"max_body_bytes": 20}) as (service, stream):
        await stream.send_all(POST + HOST + b"Content-Length: 21\r\n\r\nx")
        answer = await read_answers(stream)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer
        assert service.front_door.count == 1


async def test_a_body_that_does_not_come_in_time_is_refused(make_service):
    async with asked(make_service, front_door=True, limits={"body_timeout": 0.1}) as (service, stream):
        await stream.send_all(USUAL[:-1])
        assert (await read_answers(stream)).startswith(b"HTTP/1.1 408")
        assert service.front_door.count == 1


async def test_a_service_that_stops_refuses_and_says_that_the_connection_ends(make_service):
    async with asked(make_service, front_door=True) as (service, stream):
        service.draining.begin()
        await stream.send_all(USUAL)
        answer = await read_answers(stream)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"connection: close" in answer


async def test_a_body_of_several_chunks_is_kept_whole(make_service):
    """It is larger than what is received at a time, and than what is parsed on the event loop."""
    body = b'{"a": [' + b"1.5, " * 99_999 + b"1.5]}"
    async with asked(make_service, front_door=True) as (service, stream):
        await stream.send_all(POST + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert (await read_answers(stream, 1)).startswith(b"HTTP/1.1 201")
        assert (service.rows(), service.front_door.count) == (100_000, 1)
