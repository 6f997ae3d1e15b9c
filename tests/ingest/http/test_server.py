"""The server with a plain ASGI app, over real sockets on the real clock."""

import os
import resource
import socket
import ssl
import time
from contextlib import ExitStack, asynccontextmanager, suppress

import pytest
import trio
import trio.testing
import trustme
from machine import PATIENCE
from structlog.testing import capture_logs

from collector.errors import ConfigError
from collector.ingest.http import server as module
from collector.ingest.http.server import OWN_FILES, SEND_TIMEOUT, make_tls, serve_http

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
MUCH = b"x" * 50_000_000  # more than the kernel holds for a client that doesn't read
SOON = 0.2


class App:
    """Answers each request with a body; counts those in flight, and keeps what it was asked."""

    def __init__(self, body=b"hello", *, reads=True):
        self.body = body
        self.reads = reads
        self.in_flight = 0
        self.scopes = []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        self.in_flight += 1
        try:
            while self.reads and (await receive()).get("more_body"):
                pass
            headers = [(b"content-length", str(len(self.body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": self.body})
        finally:
            self.in_flight -= 1


class OpenDoor:
    """A door with nothing before the app."""

    front_door = None
    is_starting = False

    def __init__(self, app, max_connections):
        self._app = app
        self._max_connections = max_connections

    def admits(self, count):
        return count < self._max_connections

    async def __call__(self, scope, receive, send):
        await self._app(scope, receive, send)


@asynccontextmanager
async def serving(app, tls=None, max_connections=100):
    """Serve an app; gives a function that connects to it, and what ends it."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    end = trio.Event()
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_http, OpenDoor(app, max_connections), listener, tls, end.wait)

            async def connect():
                return await trio.open_tcp_stream("127.0.0.1", port)

            yield connect, end
            end.set()


async def answer_of(stream):
    """Read until the server closes, or says what it has to."""
    data = b""
    while b"hello" not in data:
        try:
            received = await stream.receive_some()
        except trio.BrokenResourceError:
            break
        if not received:
            break
        data += received
    return data


async def until(check):
    while not check():  # noqa: ASYNC110  (it comes to pass in the kernel, too)
        await trio.sleep(0.01)


async def test_a_connection_serves_one_request_after_the_other():
    async with serving(App()) as (connect, _), await connect() as stream:
        for _ in range(2):
            await stream.send_all(GET)
            assert (await answer_of(stream)).startswith(b"HTTP/1.1 200")


async def test_a_connection_over_the_limit_is_refused_until_another_has_gone():
    async with serving(App(), max_connections=1) as (connect, _):
        async with await connect() as first:
            await first.send_all(GET)
            await answer_of(first)
            async with await connect() as second:
                refused = await answer_of(second)
            assert refused.startswith(b"HTTP/1.1 503")
            assert b"retry-after" in refused.lower()
        while refused.startswith(b"HTTP/1.1 503"):  # the server sees soon that the first has gone
            async with await connect() as third:
                await third.send_all(GET)
                refused = await answer_of(third)
        assert refused.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nX: "], ids=["nothing", "half a head"])
async def test_who_does_not_send_a_whole_head_in_time_is_closed(monkeypatch, head):
    monkeypatch.setattr(module, "IDLE_TIMEOUT", SOON)
    async with serving(App()) as (connect, _), await connect() as stream:
        await stream.send_all(head)
        assert await answer_of(stream) == b""


async def drip(stream):
    while True:
        await stream.send_all(b"G")
        await trio.sleep(SOON / 5)


async def test_who_drips_a_head_is_closed_in_time(monkeypatch):
    """What comes in pieces is waited for no longer than what comes not at all."""
    monkeypatch.setattr(module, "IDLE_TIMEOUT", SOON)
    async with serving(App()) as (connect, _), await connect() as stream:
        with trio.fail_after(PATIENCE), pytest.raises(trio.BrokenResourceError):
            await drip(stream)


async def test_who_does_not_read_its_answer_in_time_is_closed(monkeypatch):
    monkeypatch.setattr(module, "SEND_TIMEOUT", SOON)
    app = App(MUCH)
    async with serving(app) as (connect, _), await connect() as stream:
        await stream.send_all(GET)
        await until(lambda: app.scopes)
        await until(lambda: not app.in_flight)


async def test_it_ends_in_time_though_a_client_does_not_read():
    app = App(MUCH)
    async with serving(app) as (connect, end), await connect() as stream:
        await stream.send_all(GET)
        await until(lambda: app.in_flight)
        started = trio.current_time()
        end.set()
        await until(lambda: not app.in_flight)
        assert trio.current_time() - started < SEND_TIMEOUT / 2


async def test_it_is_cancelled_at_once_though_a_client_does_not_read(monkeypatch):
    """As at a second signal."""
    app = App(MUCH)
    with trio.CancelScope() as everything:
        async with serving(app) as (connect, _), await connect() as stream:
            await stream.send_all(GET)
            await until(lambda: app.in_flight)
            started = trio.current_time()
            everything.cancel()
            await trio.sleep_forever()
    assert app.in_flight == 0
    assert trio.current_time() - started < SEND_TIMEOUT / 2


async def test_an_answer_that_comes_before_the_end_of_its_body_arrives():
    async with serving(App(reads=False)) as (connect, _), await connect() as stream:
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n")
        await trio.sleep(SOON)  # the answer is on its way, and the server would be gone
        await stream.send_all(b"x" * 5_000_000)
        assert (await answer_of(stream)).startswith(b"HTTP/1.1 200")


def take_all_files(hoard):
    while True:
        hoard.callback(os.close, os.open(os.devnull, os.O_RDONLY))


async def test_it_goes_on_once_files_can_be_opened_again():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serving(App()) as (connect, _), await connect() as stream:
        address = stream.socket.getpeername()
        with capture_logs() as logs, ExitStack() as hoard, socket.socket() as client:
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
            hoard.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            client.settimeout(PATIENCE)
            with pytest.raises(OSError, match="Too many open files"):
                take_all_files(hoard)
            client.connect(address)
            await until(lambda: logs)
            hoard.close()
            client.sendall(GET)
            assert await trio.to_thread.run_sync(client.recv, 1000)


async def test_the_last_files_of_the_process_are_no_clients():
    """It ended where clients had taken all of them: what it imported, and the worker processes, found none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serving(App()) as (connect, _), await connect() as stream:
        await stream.send_all(GET)
        assert (await answer_of(stream)).startswith(b"HTTP/1.1 200")
        async with await connect() as admitted, await connect() as refused:
            last = max(one.socket.fileno() for one in (admitted, refused))
            resource.setrlimit(resource.RLIMIT_NOFILE, (last + OWN_FILES, hard))
            try:
                async with await connect() as another:
                    await another.send_all(GET)
                    assert (await answer_of(another)).startswith(b"HTTP/1.1 503")
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_connection_that_fails_leaves_the_others_be(monkeypatch):
    async def fail(_self):
        raise RuntimeError

    async with serving(App()) as (connect, _), await connect() as sound:
        await sound.send_all(GET)
        await answer_of(sound)
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr(module._Connection, "_shake_hands", fail)  # noqa: SLF001
            async with await connect() as failing:
                assert await answer_of(failing) == b""
        assert [entry["log_level"] for entry in logs] == ["error"]
        await sound.send_all(GET)
        assert await answer_of(sound)


# Whoever has sent a whole request gets a whole answer


def stall(seconds=1.0):
    """Stop the event loop, as a stopped process or a suspended machine does."""
    time.sleep(seconds)


async def test_an_answer_that_a_stall_interrupts_goes_on(monkeypatch):
    """The time in which a client takes nothing isn't counted while we give nothing."""
    monkeypatch.setattr(module, "SEND_TIMEOUT", SOON)
    app = App(MUCH)
    async with serving(app) as (connect, _), await connect() as stream:
        await stream.send_all(GET)
        await until(lambda: app.in_flight)
        await trio.testing.wait_all_tasks_blocked(SOON / 10)  # the kernel holds no more
        stall()
        received = len(take(stream))
        assert received > 0
        while received < len(MUCH):
            await trio.sleep(0.001)
            received += len(take(stream))


def take(stream):
    """Take what is there, without a checkpoint."""
    with suppress(BlockingIOError):
        return stream.socket._sock.recv(10**6)  # noqa: SLF001
    return b""


async def test_an_answer_over_tls_that_a_stall_interrupts_goes_on(authority, tls, monkeypatch):
    monkeypatch.setattr(module, "SEND_TIMEOUT", SOON)
    app = App(MUCH)
    async with serving(app, tls) as (connect, _), await connect() as stream:
        talk = trio.SSLStream(stream, trusting(authority), server_hostname="127.0.0.1", https_compatible=True)
        await talk.send_all(GET)
        await until(lambda: app.in_flight)
        await trio.testing.wait_all_tasks_blocked(SOON / 10)  # the kernel holds no more
        stall()
        received = len(take(stream))  # of what is encrypted, which is longer
        assert received > 0
        while received < len(MUCH):
            await trio.sleep(0.001)
            received += len(take(stream))


async def test_whoever_is_over_the_limit_reads_its_refusal_though_it_goes_on_sending():
    """To close at once would reset the connection, and the refusal be lost with it."""
    async with serving(App(), max_connections=1) as (connect, _), await connect() as first:
        await first.send_all(GET)
        await answer_of(first)
        for _ in range(20):
            async with await connect() as stream:
                await trio.testing.wait_all_tasks_blocked(0.005)  # refused, and all but closed
                await stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
                await trio.testing.wait_all_tasks_blocked(0.005)
                await stream.send_all(b"x" * 100_000)
                refused = await answer_of(stream)
                assert refused.startswith(b"HTTP/1.1 503")
                assert refused.endswith(b"}")


async def test_many_that_are_over_the_limit_wait_for_their_refusal(monkeypatch):
    monkeypatch.setattr(module, "MAX_REFUSED", 2)
    async with serving(App(), max_connections=0) as (connect, _):
        streams = [await connect() for _ in range(10)]
        for stream in streams:
            assert (await answer_of(stream)).startswith(b"HTTP/1.1 503")
            await stream.aclose()


async def test_a_client_that_sends_for_long_after_its_answer_may_read_it(monkeypatch):
    monkeypatch.setattr(module, "LINGER", 1)
    async with serving(App(reads=False)) as (connect, _), await connect() as stream:
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n")
        for _ in range(15):
            await trio.sleep(0.1)
            await stream.send_all(b"x" * 1000)
        assert (await answer_of(stream)).startswith(b"HTTP/1.1 200")


async def test_a_client_that_sends_for_ever_after_its_answer_is_closed(monkeypatch):
    monkeypatch.setattr(module, "MAX_LINGER", 3 * SOON)
    async with serving(App(reads=False)) as (connect, _), await connect() as stream:
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n")
        with trio.fail_after(PATIENCE), pytest.raises(trio.BrokenResourceError):
            await drip(stream)


async def test_who_connected_before_the_end_is_answered():
    """Its request may lie in the queue of the listener, which is closed with it."""
    async with serving(App()) as (connect, end), await connect() as first:
        address = first.socket.getpeername()
        end.set()
        late = [socket.create_connection(address) for _ in range(5)]  # without a checkpoint before the end
        for client in late:
            client.send(GET)
        for client in late:
            with client:
                assert (await trio.to_thread.run_sync(client.recv, 1000)).startswith(b"HTTP/1.1 200")


# TLS


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority, tmp_path):
    """What the server needs for TLS."""
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    return make_tls(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))


def trusting(authority):
    """What a client needs for TLS."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tls_speaks_http_1_1_only(authority, tls):
    context = trusting(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with serving(App(), tls) as (connect, _):
        stream = trio.SSLStream(await connect(), context, server_hostname="127.0.0.1", https_compatible=True)
        await stream.send_all(GET)
        assert (await answer_of(stream)).startswith(b"HTTP/1.1 200")
        assert stream.selected_alpn_protocol() == "http/1.1"
        await trio.aclose_forcefully(stream)


async def test_tls_over_the_limit_is_refused_in_words_too(authority, tls, monkeypatch):
    monkeypatch.setattr(module, "REFUSED_LINGER", 1.0)  # for which it waits
    async with serving(App(), tls, max_connections=0) as (connect, _):
        context = trusting(authority)
        stream = trio.SSLStream(await connect(), context, server_hostname="127.0.0.1", https_compatible=True)
        await stream.send_all(GET)
        assert (await answer_of(stream)).startswith(b"HTTP/1.1 503")
        await trio.aclose_forcefully(stream)


async def test_who_speaks_no_tls_where_it_is_asked_for_is_closed(tls, monkeypatch):
    monkeypatch.setattr(module, "HANDSHAKE_TIMEOUT", SOON)
    async with serving(App(), tls) as (connect, _):
        for said in (GET, b""):
            async with await connect() as stream:
                await stream.send_all(said)
                assert b"HTTP" not in await answer_of(stream)


def test_files_that_are_no_certificate_and_key_are_a_bad_config(tls, tmp_path):
    (tmp_path / "no.pem").write_text("hello", encoding="utf-8")
    for certificate, key in [("no.pem", "key.pem"), ("cert.pem", "no.pem"), ("cert.pem", "gone.pem")]:
        with pytest.raises(ConfigError, match="can't be used for TLS"):
            make_tls(str(tmp_path / certificate), str(tmp_path / key))
