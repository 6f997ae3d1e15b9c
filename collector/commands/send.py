"""``send``: the rows of a file to a collector, in pieces, each of them once however often the command is run."""

from __future__ import annotations

import hashlib
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from collector.client.halving import Halving, Passage
from collector.commands.outlook import outlook
from collector.commands.pieces import read_pieces
from collector.commands.progress import open_bar
from collector.commands.remote import PATIENT_RETRIES, as_collectors_answer, choose_collector
from collector.commands.sources import open_source
from collector.errors import CommandError, RequestRefused, ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.client import CollectorClient
    from collector.client.requests import What
    from collector.commands.options import FileFormat
    from collector.commands.pieces import Piece
    from collector.commands.remote import Service
    from collector.commands.sources import Source

# Rows of a request at most. A request is never cut, so a large one would make batches larger than the trigger asks for.
MAX_ROWS = 10_000


@dataclass(frozen=True)
class Order:
    """What is to be sent, as the options say: ``rows`` in each request, beginning with row ``first``.

    They are events, or ``is_labels``: what has become known of some.
    """

    file: str
    collector_id: str | None = None
    format: FileFormat | None = None
    rows: int | None = None
    first: int = 1
    is_again: bool = False
    is_labels: bool = False


@dataclass
class Sent:
    """What has come of an order: the first row that the service hasn't, how many it has, and how many were new."""

    next: int
    rows: int = 0
    new: int = 0


def send(order: Order, service: Service) -> str:
    """Send a file; say how many rows were new, and what waits for what.

    Raises CommandError, saying where it stopped.
    """
    with service.open() as client:
        collector = choose_collector(client.status(), order.collector_id)
    with as_collectors_answer():
        wanted = None if order.is_labels else collector["rows_needed"]
        rows = order.rows or min(MAX_ROWS, wanted or MAX_ROWS)
    with open_source(order.file, order.format) as source, service.open(PATIENT_RETRIES) as client:
        sending = _Sending(client, collector["id"], source, order)
        with sending.told_if_stopped(), open_bar() as show:
            for piece in read_pieces(source, rows, order.first):
                sending.send(piece)
                sent = sending.sent
                done = source.done if source.rows is None else (sent.next - 1) / max(source.rows, 1)
                show(done, f"{Path(source.name).name}: {_rows(sent.rows)}")
    told = _told(sending.sent, source.name, collector["id"])
    if order.is_labels:
        return told
    with suppress(CommandError), service.open() as client:  # the rows are sent, whether or not this is answered
        status = client.status()
        return "\n".join([told, *outlook(status, choose_collector(status, collector["id"]))])
    return told


class _Sending:
    """Sends pieces. A piece's key is made of its content, its file and its place there."""

    def __init__(self, client: CollectorClient, collector_id: str, source: Source, order: Order) -> None:
        self.sent = Sent(order.first)
        self._client = client
        self._collector_id = collector_id
        self._source = source
        self._order = order
        self._passage = Passage()
        self._nonce = uuid.uuid4().hex if order.is_again else ""

    def send(self, piece: Piece) -> None:
        """Send a piece, and return once it is durable; one that is too large on the way goes in halves.

        The key of a half is that of its piece, with the half's path. Pieces are always cut in the same way, and so are
        halves, if the same command meets the same limits.
        """
        identity = f"{self._source.identity}\0{piece.start}\0{self._nonce}\0".encode()
        halving = Halving(piece, hashlib.sha256(identity + piece.body).hexdigest(), self._passage)
        for part, key in halving:
            try:
                what: What = "labels" if self._order.is_labels else "data"
                is_new = self._client.send_body(self._collector_id, part.body, part.media_type, key, what)
            except RequestRefused as error:
                if not halving.halves_after(error):
                    raise self._refused(part, error) from error
            except ServiceUnavailable as error:
                stopped = f"{self._source.name}: stopped before row {part.start}: {error}"
                raise CommandError(stopped, self._how_to_go_on()) from error
            else:
                self.sent.next += part.rows
                self.sent.rows += part.rows
                self.sent.new += part.rows if is_new else 0

    @contextmanager
    def told_if_stopped(self) -> Iterator[None]:
        """Say how far it has come if Ctrl-C stops it."""
        try:
            yield
        except KeyboardInterrupt as error:
            stopped = f"{self._source.name}: stopped before row {self.sent.next}"
            raise CommandError(stopped, self._how_to_go_on(), exit_code=130) from error

    def _refused(self, part: Piece, error: RequestRefused) -> CommandError:
        hint = (
            self._how_to_go_on()
            if error.status != 413
            else "this row is too large for the service, or a proxy before it"
        )
        return CommandError(f"{self._source.name}, {part.place_of(error.detail)}: {error.detail}", hint)

    def _how_to_go_on(self) -> str:
        if self._order.is_again:
            return f"go on with --again --from {self.sent.next}"
        return "the same command, run again within a day, goes on where this one stopped, and sends nothing twice"


def _told(sent: Sent, name: str, collector_id: str) -> str:
    if sent.new == sent.rows:
        return f"{name}: {_rows(sent.rows)} sent to {collector_id}"
    known = f"{sent.rows - sent.new:,} had been sent before"
    return f"{name}: {sent.new:,} of {_rows(sent.rows)} were new to {collector_id}, {known}; --again sends them as new"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
