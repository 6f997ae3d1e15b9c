"""HTTP/1.1 as hypercorn speaks it, over our connections: for all that the front door leaves.

hypercorn's own connections send shielded from cancellation, for as long as a client likes not to read, and speak HTTP/2
to whoever asks for it. We use its protocol alone. Its import is slow, so events are accepted before that.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import h11
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.events import Response
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState, H11SendableEvent
from hypercorn.utils import parse_socket_addr

from collector.ingest.http.door import ASK_FOR_BODY, HAS_LEFT
from collector.ingest.http.problems import problem_answer

if TYPE_CHECKING:
    import trio
    from hypercorn.events import Event
    from hypercorn.protocol.events import Event as StreamEvent

    from collector.ingest.http.door import Door


class Connection(Protocol):
    """What is written through."""

    async def send(self, data: bytes) -> None:
        """Send it, one call at a time."""

    def close_soon(self) -> None:
        """Send nothing more."""

    def note(self, *, is_idle: bool | None = None) -> None:
        """Hear that a request has begun, or that it was answered; or that the protocol's state has changed."""


class Http11s:
    """Makes a protocol for each connection that needs one."""

    def __init__(self, door: Door) -> None:
        self._app = ASGIWrapper(door)
        self._context = WorkerContext(None)
        self._config = Config()
        self._config.errorlog = None  # hypercorn's log would only repeat ours
        self._config.include_server_header = False

    @staticmethod
    def requests() -> TaskGroup:
        """Return the context of a connection's requests."""
        return TaskGroup()

    def make(
        self, connection: Connection, socket: trio.socket.SocketType, requests: TaskGroup, *, is_tls: bool
    ) -> Http11:
        """Make one; its requests run in a group of tasks."""

        async def send(event: Event) -> None:
            if isinstance(event, RawData):
                await connection.send(event.data)
            elif isinstance(event, Closed):
                connection.close_soon()
                connection.note()
            elif isinstance(event, Updated):
                connection.note(is_idle=event.idle)

        client, server = (
            parse_socket_addr(socket.family, name) for name in (socket.getpeername(), socket.getsockname())
        )
        state = ConnectionState({})
        return Http11(self._app, self._config, self._context, requests, state, is_tls, client, server, send)

    async def end(self) -> None:
        """Have each connection end with the answer to the request that is in flight."""
        await self._context.terminated.set()


class _Connection(h11.Connection):
    """Keeps hypercorn from asking for bodies, which it would do before the app has seen the head; and is lenient.

    Empty lines between requests are ignored (RFC 9112, 2.2). Bytes after the last request are ignored too, and are no
    reason to refuse it.
    """

    refusal = ""  # why a request is refused whose head or body can't be read

    def next_event(self) -> type[h11.NEED_DATA | h11.PAUSED] | h11.Event:
        """Return what comes next; raise RemoteProtocolError if it isn't HTTP/1.1."""
        try:
            return self._next_event()
        except h11.RemoteProtocolError as error:
            self.refusal = f"the request isn't HTTP/1.1 as it should be: {error}"
            raise

    def _next_event(self) -> type[h11.NEED_DATA | h11.PAUSED] | h11.Event:
        data, _ = self.trailing_data
        if data and self.their_state is h11.MUST_CLOSE:
            return h11.NEED_DATA
        if self.their_state is h11.IDLE and (empty := len(data) - len(data.lstrip(b"\r\n"))):
            self._receive_buffer.maybe_extract_at_most(empty)
        return super().next_event()

    @property
    def they_are_waiting_for_100_continue(self) -> bool:
        """False, so that hypercorn never asks for a body that a client holds back: the app does that."""
        return False


class Http11(H11Protocol):
    """Nothing but HTTP/1.1."""

    connection: _Connection

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connection = _Connection(h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size)
        self.connection_state[ASK_FOR_BODY] = self.ask_for_body
        self.has_left = False
        self.connection_state[HAS_LEFT] = lambda: bool(self.has_left)
        self._is_last = self._is_cut_off = False

    async def ask_for_body(self) -> None:
        """Ask a client for the body that it holds back until then, if it does."""
        if self.connection.client_is_waiting_for_100_continue:
            await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    @property
    def has_begun(self) -> bool:
        """Whether the beginning of a request waits for its rest."""
        return bool(self.connection.trailing_data[0])

    @property
    def is_answering(self) -> bool:
        """Whether a request is here whole, and its answer isn't."""
        return self.connection.their_state in {h11.DONE, h11.MUST_CLOSE}

    async def receive(self, data: bytes) -> None:
        """Take what has come; nothing if the client sends no more."""
        await self.handle(RawData(data))

    async def end(self) -> None:
        """Take it that the connection is over."""
        await self.handle(Closed())

    async def _check_protocol(self, event: h11.Request) -> None:
        """Do nothing: a request that looks like the beginning of HTTP/2 is an ordinary one here."""

    async def _create_stream(self, request: h11.Request) -> None:
        """Ignore requests for another protocol, as HTTP allows: a websocket's request is answered like any GET."""
        names = {name for name, _ in request.headers}
        # A proxy before us may have seen the body end elsewhere, so what follows can't be trusted (RFC 9112, 6.1).
        self._is_last = {b"content-length", b"transfer-encoding"} <= names
        headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
        version = request.http_version
        await super()._create_stream(
            h11.Request(method=request.method, target=request.target, headers=headers, http_version=version)
        )

    async def stream_send(self, event: StreamEvent) -> None:
        """Say with an answer that the connection ends with it: one before the end of a body, or with two ends.

        It does, and a client that wasn't told would send its next request into the closing, and get no answer.
        """
        if isinstance(event, Response) and self.connection.our_state is h11.SEND_BODY:
            self._is_cut_off = True  # an answer has begun; hypercorn would send a 500 behind it
        if self._is_cut_off:
            await self.send(Closed())
            return
        if isinstance(event, Response) and (self._is_last or self.connection.their_state is h11.SEND_BODY):
            event = replace(event, headers=[*event.headers, (b"connection", b"close")])
        await super().stream_send(event)

    async def _send_error_response(self, status_code: int) -> None:
        """Say why a request is refused that can't be read."""
        answer = problem_answer(status_code, self.connection.refusal)
        headers = [*answer.headers.items(), ("content-length", str(len(answer.body))), ("connection", "close")]
        headers += [(name.decode(), value.decode()) for name, value in self.config.response_headers("h11")]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=answer.body))
        await self._send_h11_event(h11.EndOfMessage())

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        """Add the status's usual phrase: some clients reject a status line without one."""
        if isinstance(event, h11.Response) and not event.reason:
            phrase = HTTPStatus(event.status_code).phrase.encode()
            event = h11.Response(status_code=event.status_code, headers=list(event.headers), reason=phrase)
        await super()._send_h11_event(event)
