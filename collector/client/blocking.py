"""The client that blocks."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import httpx

from collector.client.arrow import arrow_body, cut, table_of
from collector.client.reaching import Reaching
from collector.client.requests import MAX_ANSWER_BYTES, Pause, unavailable, window_query
from collector.errors import UnreadableAnswer
from collector.web.answers import read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Self

    import pandas as pd
    import pyarrow as pa

    from collector.client.buffer import EventBuffer
    from collector.client.buffering import Lost
    from collector.client.requests import Config, Outcome, Steps, What

T = TypeVar("T")


class CollectorClient(Reaching[httpx.Client, threading.Semaphore]):
    """Talks to a collector service. Threads may share it, and so may processes: each has connections of its own.

    ``timeout`` is in seconds, until an answer has come whole; connection errors, 429, 502, 503, 504 and 507 are tried
    ``retries`` times more, with pauses that grow. ``verify`` says whom to trust over TLS, as in httpx: a context, or a
    file with the certificates of an authority of one's own. Raises RequestRefused for what the service says no to,
    ServiceUnavailable when it can't be had, ConfigError or BadEnvironment for what can't be used to reach it.
    """

    def create_collector(self, id: str, collector: Config | dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        """Add or replace a collector; return its config as the service has it."""
        return self._run(self._talk.create(id, collector))

    def send_data(self, id: str, data: pd.DataFrame | pa.Table) -> dict[str, Any]:  # noqa: A002
        """Send events, one a row; when it returns they are durable. The index is not kept.

        More than 64 MiB, or than passes on the way, go in several requests; if one fails, those before it are kept.
        """
        return self._run(self._talk.send_rows(id, cut(table_of(data))))

    def send_labels(self, id: str, labels: pd.DataFrame | pa.Table) -> dict[str, Any]:  # noqa: A002
        """Send what has become known of events, a row for each, with their key; when it returns it is durable.

        It is for collectors whose config has ``labels``, and goes as events do.
        """
        return self._run(self._talk.send_rows(id, cut(table_of(labels)), "labels"))

    def send_body(
        self,
        id: str,  # noqa: A002
        body: bytes,
        media_type: str,
        idempotency_key: str,
        what: What = "data",
    ) -> bool:
        """Send events in any form that the service accepts, in one request; return whether they are new to it.

        They aren't if the key came before, in a call of which this is the repetition. ``what`` may be "labels".
        """
        return self._run(self._talk.send_body(id, body, media_type, idempotency_key, what))

    def send_batch(
        self,
        id: str,  # noqa: A002
        data: pd.DataFrame | pa.Table,
        start: datetime | str,
        end: datetime | str,
    ) -> dict[str, Any]:
        """Send events that are one whole batch, of the time from ``start`` to ``end``; return its ``batch_id``.

        It is evaluated at once, beside the events that wait. A time is ISO 8601 as text, or has a zone; without one it
        is UTC. The same batch, sent again, is the same batch still.
        """
        return self._run(self._talk.send_batch(id, arrow_body(table_of(data)), window_query(start, end)))

    def send_batch_body(self, id: str, body: bytes, media_type: str, query: dict[str, str]) -> bool:  # noqa: A002
        """Send a whole batch in any form that the service accepts, with what its route is asked; tell if it is new."""
        return self._run(self._talk.send_batch_body(id, body, media_type, query))

    def buffered(  # noqa: PLR0913  (each is a choice of its own)
        self,
        id: str,  # noqa: A002
        *,
        max_rows: int = 10_000,
        max_delay: float = 1.0,
        max_waiting: int = 100_000,
        when_full: Literal["block", "drop"] = "block",
        on_lost: Lost | None = None,
    ) -> EventBuffer:
        """Accept single events in microseconds, and send them from a thread: ``with client.buffered("main") as b``.

        They go, ``max_rows`` in a request, once that many wait, or the oldest has waited for ``max_delay`` seconds;
        at ``close``, at the end of the block, and when the process ends, a child of multiprocessing too, but not by
        ``os._exit`` or a signal that kills. Memory is bounded by ``max_waiting`` events; ``when_full`` says whether one
        more waits for room or is dropped and counted. The service's absence is sat out. Events that it refuses, or that
        could not be sent before the end, are lost: logged, counted, and given to ``on_lost`` with the error, in the
        thread; ``flush`` and ``close`` raise the error. What is too large for a limit on the way goes in halves. In a
        forked child the buffer begins empty: what waits is the parent's to send.
        """
        from collector.client.buffer import EventBuffer
        from collector.client.buffering import BufferBounds

        return EventBuffer(
            self._again(retries=0), id, BufferBounds(max_rows, max_delay, max_waiting), when_full, on_lost
        )

    def set_reference(self, id: str, reference: pd.DataFrame | pa.Table) -> dict[str, Any]:  # noqa: A002
        """Set the reference dataset, from the next batch on."""
        return self._run(self._talk.set_reference(id, arrow_body(table_of(reference))))

    def get_collector(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Return a collector's config; its secret is masked."""
        return self._run(self._talk.ask(dict, "GET", id))

    def get_logs(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """Return what became of a collector's last batches, newest first."""
        return self._run(self._talk.ask(list, "GET", id, "logs"))

    def delete_collector(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Remove a collector with all its events; ``rows_dropped`` says how many were not delivered, if it is known."""
        return self._run(self._talk.ask(dict, "DELETE", id))

    def rename_collector(self, id: str, new_id: str) -> dict[str, Any]:  # noqa: A002
        """Give a collector another id, and return its config; its events, batches and log go with it."""
        return self._run(self._talk.rename(id, new_id))

    def tap(self, id: str, after: int | None = None, rows: int = 10) -> dict[str, Any]:  # noqa: A002
        """Return a few of the newest events that came ``after`` what the last answer called ``next``, in ``rows``."""
        return self._run(self._talk.tap(id, after, rows))

    def get_failed(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """List the batches whose report failed, oldest first; they are kept."""
        return self._run(self._talk.ask(list, "GET", id, "failed"))

    def retry_failed(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """Have the batches evaluated again whose report failed; return them."""
        return self._run(self._talk.ask(list, "POST", id, "failed"))

    def show_dashboard(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Have a collector's dashboard made again in its workspace; returns how many panels it has."""
        return self._run(self._talk.ask(dict, "POST", id, "dashboard"))

    def flush(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Seal and evaluate what waits now; ``batch_id`` is None if nothing does."""
        return self._run(self._talk.ask(dict, "POST", id, "flush"))

    def status(self) -> dict[str, Any]:
        """Return how the service, its config file and each of its collectors stand."""
        return self._run(self._talk.ask(dict, "GET"))

    def close(self) -> None:
        """Close the connections."""
        for http in self._let_go(os.getpid()):
            http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = None
            if isinstance(step, httpx.Request):
                outcome = self._send(step)
            elif isinstance(step, Pause):
                time.sleep(step.seconds)
            else:
                outcome = step()

    def _send(self, request: httpx.Request) -> Outcome:
        try:
            with self._turn() as http:
                response = http.send(request, stream=True)
                try:
                    return read(response, MAX_ANSWER_BYTES)
                finally:
                    response.close()
        except (httpx.RequestError, UnreadableAnswer) as error:
            return unavailable(request, error, self._way.by)

    @contextmanager
    def _turn(self) -> Iterator[httpx.Client]:
        """Wait for a free connection."""
        pool = self._pool_of(os.getpid(), threading.Semaphore)
        with pool.turns:
            http = pool.take(self._connection)
            try:
                yield http
            finally:
                pool.free.append(http)

    def _connection(self) -> httpx.Client:
        from collector.web.transports import Transport

        return httpx.Client(transport=Transport(**self._way.options))
