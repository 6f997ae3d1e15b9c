"""The HTTP server: hypercorn's HTTP/1.1 over connections of our own, bounded in number and in time.

hypercorn's own server has no bound on connections, sends shielded from cancellation and for as long as a client likes
not to read, and speaks HTTP/2 to whoever asks for it. Of it we take the protocol, not the connections.
"""

from __future__ import annotations

import math
import os
import ssl
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import h11
import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.events import Response
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from collector.errors import ConfigError
from collector.ingest.front_door import read_posted
from collector.ingest.lane import IS_AVAILABLE, Lane
from collector.ingest.problems import problem_answer

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from hypercorn.events import Event
    from hypercorn.protocol.events import Event as StreamEvent
    from hypercorn.typing import AppWrapper

    from collector.ingest.door import Door

_log = structlog.get_logger()

# Between two requests, and until the head of a request is here whole.
IDLE_TIMEOUT = 15.0
HANDSHAKE_TIMEOUT = 5.0
# A piece of an answer that a client doesn't read; what a socket buffers goes at once.
SEND_TIMEOUT = 10.0
# What a client sends after its last answer is read for so long: closing at once would reset the connection, and an
# answer that came before the end of a body would be lost with it.
LINGER = 1.0
# What is on its way when the server ends; what mattered was answered before.
GRACEFUL_TIMEOUT = 0.2

_MAX_RECV = 2**16


async def serve_http(
    door: Door,
    listener: socket.socket,
    tls: ssl.SSLContext | None,
    wait_for_end: Callable[[], Awaitable[None]],
) -> None:
    """Answer requests through a door until ``wait_for_end`` returns; then end in ``GRACEFUL_TIMEOUT``.

    A connection that it doesn't admit, beside as many as there are, is answered 503 and closed. There are no lifespan
    events.
    """
    server = _Server(door, tls)
    async with trio.open_nursery() as answering:
        if server.lane is not None:
            answering.start_soon(server.lane.run)
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as listening:
                listening.start_soon(_listen, listener, server, connections)
                listening.start_soon(server.close_idle)
                await wait_for_end()
                listening.cancel_scope.cancel()
            await server.end()
            connections.cancel_scope.deadline = trio.current_time() + GRACEFUL_TIMEOUT
        answering.cancel_scope.cancel()


def make_tls(certfile: str, keyfile: str) -> ssl.SSLContext:
    """Make what TLS connections need; raise ConfigError if the files aren't a certificate and its key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certfile, keyfile, password=lambda: "")  # OpenSSL would ask on the terminal
    except (ssl.SSLError, OSError) as error:
        reason = error.strerror or str(error)
        raise ConfigError.at(
            f"{certfile} and {keyfile} can't be used for TLS ({reason}); give a certificate and its key without "
            "a passphrase, in PEM"
        ) from error
    return context


async def _listen(listener: socket.socket, server: _Server, connections: trio.Nursery) -> None:
    # trio waits a moment and goes on where no more files can be opened.
    accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    await trio.serve_listeners(server.connect, [accepting], handler_nursery=connections)


class _Server:
    """What the connections share."""

    def __init__(self, door: Door, tls: ssl.SSLContext | None) -> None:
        self.door = door
        self.app: AppWrapper = ASGIWrapper(door)
        self.tls = tls
        self.lane = Lane(lambda: door.front_door) if IS_AVAILABLE and tls is None else None
        self.context = WorkerContext(None)
        self.config = Config()
        self.config.errorlog = None  # it would only repeat what we log
        self.config.include_server_header = False
        self._connections: set[_Connection] = set()

    async def connect(self, stream: trio.SocketStream) -> None:
        """Serve a connection to its end."""
        if not self.door.admits(len(self._connections)):
            await self._refuse(stream)
            return
        connection = _Connection(self, stream)
        self._connections.add(connection)
        try:
            await connection.run()
        except* Exception as errors:  # noqa: BLE001  (a bug that one client brings out must not end the service)
            _log.error("a connection failed; its client is to send again", exc_info=errors)
        finally:
            self._connections.remove(connection)

    async def close_idle(self) -> None:
        """Close connections that have been idle for too long: to move a deadline at each request would cost more."""
        while True:
            await trio.sleep(IDLE_TIMEOUT / 8)
            for connection in self._connections:
                connection.close_if_idle(trio.current_time() - IDLE_TIMEOUT)

    async def end(self) -> None:
        """Close connections once they have no request in flight."""
        await self.context.terminated.set()
        for connection in self._connections:
            connection.close_if_idle(math.inf)

    async def _refuse(self, stream: trio.SocketStream) -> None:
        with stream.socket as refused, suppress(OSError):
            if self.tls is None:  # whoever comes for TLS would have to shake hands first
                await refused.send(_REFUSAL)  # as much as the kernel takes, which never waits
                refused.shutdown(trio.socket.SHUT_WR)


class _Connection:
    """A client's connection: hypercorn's protocol reads and writes through it."""

    def __init__(self, server: _Server, stream: trio.SocketStream) -> None:
        self._server = server
        self._socket = stream.socket
        self._stream: trio.abc.Stream = stream
        if server.tls is not None:
            self._stream = trio.SSLStream(stream, server.tls, server_side=True, https_compatible=True)
        self._whole = trio.CancelScope()
        self._reading = trio.CancelScope()
        self.idle_since: float | None = trio.current_time()  # None while a request is in flight
        self._send_lock = trio.Lock()
        self._is_closing = False
        self._changed = trio.Event()

    async def run(self) -> None:
        """Serve it to its end, and close it."""
        try:
            with self._whole:
                await self._shake_hands()
                async with TaskGroup() as requests:
                    await self._serve(self._make_protocol(requests))
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass  # the client is gone, or doesn't speak TLS
        finally:
            await trio.aclose_forcefully(self._stream)

    def fileno(self) -> int:
        """Give its file descriptor."""
        return self._socket.fileno()

    def close_if_idle(self, since: float) -> None:
        """Close it if no request has been in flight since then."""
        if self.idle_since is not None and self.idle_since <= since:
            self._reading.cancel()

    async def _shake_hands(self) -> None:
        if isinstance(self._stream, trio.SSLStream):
            with trio.fail_after(HANDSHAKE_TIMEOUT):
                await self._stream.do_handshake()

    def _make_protocol(self, requests: TaskGroup) -> _Http11:
        family = self._socket.family
        return _Http11(
            self._server.app,
            self._server.config,
            self._server.context,
            requests,
            ConnectionState({}),
            self._server.tls is not None,
            parse_socket_addr(family, self._socket.getpeername()),
            parse_socket_addr(family, self._socket.getsockname()),
            self._send,
        )

    async def _serve(self, protocol: _Http11) -> None:
        with self._reading:
            while data := await self._next(protocol):
                if not self._is_closing:
                    await self._handle(data, protocol)
            await protocol.handle(RawData(b""))
        await protocol.handle(Closed())

    async def _next(self, protocol: _Http11) -> bytes:
        """Give what comes next, but for what is answered in the lane."""
        while True:
            lane = self._server.lane
            is_free = self.idle_since is not None and not (self._is_closing or protocol.has_begun)
            if lane is None or self._server.door.front_door is None or not is_free:
                return await self._receive(_MAX_RECV)
            left = await lane.wait(self)
            if not (left.unsent or left.is_last):
                return left.data
            await self._write(left.unsent)
            if left.is_last:
                self._close_soon()

    async def _handle(self, data: bytes, protocol: _Http11) -> None:
        """Have the front door answer requests, until one comes that isn't for it: the rest is hypercorn's."""
        while protocol.is_answering and self.idle_since is None and not self._is_closing:
            self._changed = trio.Event()  # what comes before an answer is looked at after it
            await self._changed.wait()
        rest: bytes | None = data
        while rest:
            door = self._server.door
            front_door, posted = door.front_door, None
            if (front_door or door.is_starting) and self.idle_since is not None and not protocol.has_begun:
                posted = read_posted(rest)
            if posted is not None and front_door is None:
                front_door = await door.wait_front_door()
            if front_door is None or posted is None:
                await protocol.handle(RawData(rest))
                return
            self.idle_since = None
            answer, rest = await front_door.answer(posted, rest, self._receive)
            await self._write(answer)
            self.idle_since = trio.current_time()
        if rest is None:
            self._close_soon()

    async def _receive(self, max_bytes: int) -> bytes:
        if self._server.tls is not None:
            return bytes(await self._stream.receive_some(max_bytes))
        while True:  # without the stream's care for who else may use it, which takes as long as the rest
            await trio.lowlevel.wait_readable(self._socket)
            with suppress(BlockingIOError):
                return os.read(self._socket.fileno(), max_bytes)

    async def _send(self, event: Event) -> None:
        if isinstance(event, RawData):
            async with self._send_lock:
                await self._write(event.data)
        elif isinstance(event, Closed):
            self._close_soon()
            self._changed.set()
        elif isinstance(event, Updated):
            self.idle_since = trio.current_time() if event.idle else None
            self._changed.set()

    async def _write(self, data: bytes) -> None:
        if self._server.tls is None:
            with suppress(OSError):  # it takes as much as the kernel has room for, and never waits
                data = data[os.write(self._socket.fileno(), data) :]
            if not data:
                return
        try:
            with trio.fail_after(SEND_TIMEOUT):
                await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            self._whole.cancel()

    def _close_soon(self) -> None:
        """Say that nothing more comes, and leave the client a while to read and to say the same.

        Not async: it is called by a request that has been cancelled, as it has been answered.
        """
        self._is_closing = True
        self._whole.deadline = min(self._whole.deadline, trio.current_time() + LINGER)
        if self._server.tls is None:
            with suppress(OSError):
                self._socket.shutdown(trio.socket.SHUT_WR)


class _Http11(H11Protocol):
    """Nothing but HTTP/1.1."""

    @property
    def has_begun(self) -> bool:
        """Whether the beginning of a request waits for its rest."""
        return bool(self.connection.trailing_data[0])

    @property
    def is_answering(self) -> bool:
        """Whether a request is here whole, and its answer isn't."""
        return self.connection.their_state is h11.DONE

    async def _check_protocol(self, event: h11.Request) -> None:
        """Take no request for the beginning of HTTP/2."""

    async def _create_stream(self, request: h11.Request) -> None:
        """Ignore what asks for another protocol, as HTTP lets a server do: a websocket gets the answer to a GET."""
        headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
        version = request.http_version
        await super()._create_stream(
            h11.Request(method=request.method, target=request.target, headers=headers, http_version=version)
        )

    async def stream_send(self, event: StreamEvent) -> None:
        """Say with an answer that comes before the end of a body that the connection ends with it.

        It does, and a client that wasn't told would send its next request into the closing, and get no answer.
        """
        if isinstance(event, Response) and self.connection.their_state is h11.SEND_BODY:
            event = replace(event, headers=[*event.headers, (b"connection", b"close")])
        await super().stream_send(event)


def _refusal() -> bytes:
    answer = problem_answer(503, "the service has as many connections as it may; try again in a while")
    headers = {**answer.headers, "Content-Length": str(len(answer.body)), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 503 Service Unavailable\r\n{head}\r\n".encode() + answer.body


_REFUSAL = _refusal()
