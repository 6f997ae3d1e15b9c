"""The HTTP server: connections, bounded in number and in time.

Each is in the lane or at the front door until a request comes that is for neither; that and what follows goes through
hypercorn's protocol (see http11.py), between whose requests the connection is in the lane again.
"""

from __future__ import annotations

import fcntl
import importlib
import math
import os
import resource
import ssl
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
import trio

from collector.errors import ConfigError
from collector.ingest.http.lane import IS_AVAILABLE, Lane
from collector.ingest.http.posted import read_posted
from collector.ingest.http.problems import CLOSE, problem_answer

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from collector.ingest.http.door import Door
    from collector.ingest.http.http11 import Http11, Http11s

_log = structlog.get_logger()

# Seconds between two requests, and until the head of a request has come whole.
IDLE_TIMEOUT = 15.0
HANDSHAKE_TIMEOUT = 5.0
# Seconds in which a client may read nothing of an answer. What fits the socket's buffer is sent at once.
SEND_TIMEOUT = 10.0
# Seconds. After its last answer, a client is read until it pauses for this long. To close at once would reset the
# connection, and lose an answer that came before the end of a body.
LINGER = 1.0
MAX_LINGER = 30.0
# Longer for a client that is refused as it connects: it may have only begun to send its request.
REFUSED_LINGER = 4.0
# Before connections are accepted again, after no more files could be opened.
ACCEPT_PAUSE = 0.1
# Connections over the limit that are refused at the same time; more wait to be accepted.
MAX_REFUSED = 64
# The last descriptors that the process may open aren't for clients: imports and the journal need some.
OWN_FILES = 8
# Seconds for what is in flight when the server ends; all that matters was answered before.
GRACEFUL_TIMEOUT = 0.2

_MAX_RECV = 2**16
_REFUSED = problem_answer(503, "the service has as many connections as it may; try again in a while")


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
    """Accept connections, but for moments in which many are being refused."""
    accepting = trio.socket.from_stdlib_socket(listener)
    try:
        while True:
            await server.wait_refused()
            try:
                accepted, _ = await accepting.accept()
            except OSError as error:  # the client is gone, or no more files can be opened
                _log.warning("a connection could not be accepted; trying again", error=error.strerror)
                await trio.sleep(ACCEPT_PAUSE)
            else:
                if _takes_own_file(accepted):
                    await server.refuse(accepted)
                else:
                    connections.start_soon(server.connect, accepted)
    finally:
        with listener:
            _accept_rest(listener, server, connections)


def _accept_rest(listener: socket.socket, server: _Server, connections: trio.Nursery) -> None:
    """Accept clients that connected before the end: they may have sent a request, and hear that it came too late."""
    with suppress(OSError):
        while True:
            accepted, _ = listener.accept()
            connections.start_soon(server.connect, trio.socket.from_stdlib_socket(accepted))


def _takes_own_file(accepted: trio.socket.SocketType) -> bool:
    """Tell whether a connection took one of the last descriptors: a new one is always the lowest that is free."""
    return accepted.fileno() >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OWN_FILES


class _Server:
    """What the connections share."""

    def __init__(self, door: Door, tls: ssl.SSLContext | None) -> None:
        self.door = door
        self.tls = tls
        self.lane = Lane(lambda: door.front_door) if IS_AVAILABLE and tls is None else None
        self._http11s: Http11s | None = None
        self._connections: set[_Connection] = set()
        self._refused = 0
        self._left = trio.Event()

    async def connect(self, accepted: trio.socket.SocketType) -> None:
        """Serve a connection to its end, or refuse it."""
        if not self.door.admits(len(self._connections)):
            await self.refuse(accepted)
            return
        connection = _Connection(self, accepted)
        self._connections.add(connection)
        try:
            await connection.run()
        except* Exception as errors:  # noqa: BLE001  (a bug that one client brings out must not end the service)
            _log.error("a connection failed; its client must send again", exc_info=errors)
        finally:
            self._connections.remove(connection)

    async def wait_refused(self) -> None:
        """Return once fewer connections than ``MAX_REFUSED`` are being refused."""
        while self._refused >= MAX_REFUSED:
            self._left = trio.Event()
            await self._left.wait()

    async def refuse(self, accepted: trio.socket.SocketType) -> None:
        """Tell a client that there are too many, and close its connection."""
        self._refused += 1
        try:
            await _Connection(self, accepted).run(_REFUSED.spelled_out(int(time.time()), CLOSE))
        finally:
            self._refused -= 1
            self._left.set()

    async def close_idle(self) -> None:
        """Close connections that are idle for too long; moving a deadline at each request would cost more."""
        while True:
            await trio.sleep(IDLE_TIMEOUT / 8)
            for connection in self._connections:
                connection.close_if_idle(trio.current_time() - IDLE_TIMEOUT)

    async def http11s(self) -> Http11s:
        """Return what makes hypercorn's protocol for the connections that need it."""
        if self._http11s is None:
            module = await trio.to_thread.run_sync(importlib.import_module, "collector.ingest.http.http11")
            self._http11s = self._http11s or module.Http11s(self.door)
        return self._http11s

    async def end(self) -> None:
        """Close connections once they have no request in flight."""
        if self._http11s is not None:
            await self._http11s.end()
        for connection in self._connections:
            connection.close_if_idle(math.inf)


class _Connection:
    """A client's connection."""

    def __init__(self, server: _Server, accepted: trio.socket.SocketType) -> None:
        self._server = server
        self._socket = accepted
        with suppress(OSError):  # the client may be gone
            self._socket.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        self._tls: trio.SSLStream[_Plain] | None = None
        if server.tls is not None:
            plain = _Plain(self._receive_plain, self._write_plain, accepted)
            self._tls = trio.SSLStream(plain, server.tls, server_side=True, https_compatible=True)
        self._whole = trio.CancelScope()
        self._reading = trio.CancelScope()
        self.idle_since: float | None = trio.current_time()  # None while a request is in flight
        self._protocol: Http11 | None = None
        self._send_lock = trio.Lock()
        self.is_closing = False
        self._last_linger = math.inf
        self._changed = trio.Event()

    async def run(self, refusal: bytes = b"") -> None:
        """Serve it to its end, or refuse it, and close it."""
        try:
            with self._whole:
                await self._shake_hands()
                if refusal:
                    await self._refuse(refusal)
                elif data := await self._serve_usual():
                    await self._serve_all(data, await self._server.http11s())
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass  # the client is gone, or doesn't speak TLS
        finally:
            self._socket.close()

    def fileno(self) -> int:
        """Return its file descriptor."""
        return self._socket.fileno()

    def close_if_idle(self, since: float) -> None:
        """Close it if it has been idle since then. It stays open if a request lies unread, as after a stall."""
        if self.is_closing or self.idle_since is None or self.idle_since > since:
            return
        if not self._has_unread:
            self._reading.cancel()

    @property
    def _has_unread(self) -> bool:
        size = fcntl.ioctl(self._socket.fileno(), termios.FIONREAD, bytes(4))
        return any(size)

    async def _refuse(self, refusal: bytes) -> None:
        await self._write(refusal)
        self.close_soon()
        self._whole.deadline = trio.current_time() + REFUSED_LINGER
        while await self._receive(_MAX_RECV):
            pass

    async def _shake_hands(self) -> None:
        if self._tls is not None:
            with trio.fail_after(HANDSHAKE_TIMEOUT):
                await self._tls.do_handshake()

    async def _serve_usual(self) -> bytes:
        """Answer requests at the front door until one isn't for it, and return that; no bytes at the end."""
        with self._reading:
            while data := await self._next():
                if self.is_closing:
                    self.linger()
                elif rest := await self._answer(data):
                    return rest
        return b""

    async def _serve_all(self, data: bytes, http11s: Http11s) -> None:
        """Serve it to its end, from the bytes on that aren't for the front door."""
        async with http11s.requests() as requests:
            protocol = http11s.make(self, self._socket, requests, is_tls=self._tls is not None)
            self._protocol, self._reading = protocol, trio.CancelScope()
            with self._reading:
                while data:
                    await self._wait_answered(protocol)
                    if self.is_closing:
                        self.linger()
                    elif rest := await self._answer(data):
                        await protocol.receive(rest)
                    data = await self._next()
                protocol.has_left = True
                await self._wait_answered(protocol)  # a client that sends no more may still read
                await protocol.receive(b"")
            await protocol.end()

    @property
    def _is_free(self) -> bool:
        """Whether the next bytes begin a request that may be answered."""
        has_begun = self._protocol is not None and self._protocol.has_begun
        return self.idle_since is not None and not (self.is_closing or has_begun)

    async def _next(self) -> bytes:
        """Return the next bytes that the lane doesn't answer."""
        while True:
            lane = self._server.lane
            if lane is None or self._server.door.front_door is None or not self._is_free:
                return await self._receive(_MAX_RECV)
            left = await lane.wait(self)
            if not (left.unsent or left.is_last):
                return left.data
            await self._write(left.unsent)
            if left.is_last:
                self.close_soon()

    async def _wait_answered(self, protocol: Http11) -> None:
        """Return once all requests that came whole are answered: bytes that come before an answer are read after it."""
        while protocol.is_answering and self.idle_since is None and not self.is_closing:
            self._changed = trio.Event()
            await self._changed.wait()

    async def _answer(self, data: bytes) -> bytes:
        """Have the front door answer requests; return the bytes that aren't for it."""
        rest: bytes | None = data
        while rest:
            door = self._server.door
            front_door, posted = door.front_door, None
            if (front_door or door.is_starting) and self._is_free:
                posted = read_posted(rest)
            if posted is not None and front_door is None:
                front_door = await door.wait_front_door()
            if front_door is None or posted is None:
                return rest
            self.idle_since = None
            answer, rest = await front_door.answer(posted, rest, self._receive_more, self._write)
            await self._write(answer)
            self.idle_since = trio.current_time()
        if rest is None:
            self.close_soon()
        return b""

    async def _receive_more(self, max_bytes: int) -> bytes:
        """Receive more of a body, which mostly is here already; writing it to a file is the checkpoint."""
        here = self._read(max_bytes) if self._tls is None else None
        return await self._receive(max_bytes) if here is None else here

    async def _receive(self, max_bytes: int) -> bytes:
        if self._tls is not None:
            return bytes(await self._tls.receive_some(max_bytes))
        return await self._receive_plain(max_bytes)

    async def _receive_plain(self, max_bytes: int) -> bytes:
        while True:  # without the stream's check for other users, which takes as long as the rest
            await trio.lowlevel.wait_readable(self._socket)
            if (here := self._read(max_bytes)) is not None:
                return here

    def _read(self, max_bytes: int) -> bytes | None:
        """Read what is here: no bytes at the end, None if nothing has come yet.

        Raises BrokenResourceError if the client has broken the connection off, as trio's streams do.
        """
        try:
            return os.read(self._socket.fileno(), max_bytes)
        except BlockingIOError:
            return None
        except OSError as error:
            raise trio.BrokenResourceError from error

    async def send(self, data: bytes) -> None:
        """Send it, one call at a time."""
        async with self._send_lock:
            await self._write(data)

    def note(self, *, is_idle: bool | None = None) -> None:
        """Note that a request has begun or was answered, or that the protocol's state has changed."""
        if is_idle is not None:
            self.idle_since = trio.current_time() if is_idle else None
        self._changed.set()

    async def _write(self, data: bytes) -> None:
        try:
            if self._tls is None:
                await self._write_plain(data)
            else:
                await self._tls.send_all(data)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            self._whole.cancel()

    async def _write_plain(self, data: bytes) -> None:
        """Write data; raise TooSlowError if the client reads nothing for ``SEND_TIMEOUT``.

        The client isn't to blame for a stall of ours: what it can read after one is still written.
        """
        left, is_late = memoryview(data), False
        while True:
            with suppress(BlockingIOError):  # takes what the kernel has room for, and never waits
                left = left[os.write(self._socket.fileno(), left) :]
                is_late = False
            if not left:
                return
            if is_late:
                raise trio.TooSlowError
            with trio.move_on_after(SEND_TIMEOUT) as waiting:
                await trio.lowlevel.wait_writable(self._socket)
            is_late = waiting.cancelled_caught

    def close_soon(self) -> None:
        """Tell the client that nothing more comes, and give it a while to read that and to close its side.

        Not async: a request calls this when it has been cancelled, because it was answered.
        """
        self.is_closing = True
        self._last_linger = trio.current_time() + MAX_LINGER
        self.linger()
        if self._tls is None:
            with suppress(OSError):
                self._socket.shutdown(trio.socket.SHUT_WR)

    def linger(self) -> None:
        """Give the client more time: it is still sending."""
        self._whole.deadline = min(trio.current_time() + LINGER, self._last_linger)


class _Plain(trio.abc.Stream):
    """The stream below TLS: a connection's socket, read and written as it is without TLS."""

    def __init__(
        self,
        receive: Callable[[int], Awaitable[bytes]],
        write: Callable[[bytes], Awaitable[None]],
        accepted: trio.socket.SocketType,
    ) -> None:
        self._receive, self._write, self._socket = receive, write, accepted

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive what comes next."""
        return await self._receive(max_bytes or _MAX_RECV)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write it."""
        await self._write(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        """Return once something can be written."""
        await trio.lowlevel.wait_writable(self._socket)

    async def aclose(self) -> None:
        """Close the socket."""
        self._socket.close()
        await trio.lowlevel.checkpoint()
