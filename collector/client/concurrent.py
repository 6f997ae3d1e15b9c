"""The client for trio and asyncio."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
import httpx

from collector.client.arrow import arrow_body, cut, table_of
from collector.client.reaching import Reaching
from collector.client.requests import MAX_ANSWER_BYTES, Pause, unavailable, window_query
from collector.errors import UnreadableAnswer
from collector.web.answers import aread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from typing import Self

    import pandas as pd
    import pyarrow as pa

    from collector.client.async_buffer import AsyncEventBuffer
    from collector.client.buffering import Lost
    from collector.client.requests import Config, Outcome, Steps, What

T = TypeVar("T")


class AsyncCollectorClient(Reaching[httpx.AsyncClient, anyio.Semaphore]):
    """Talks to a collector service from trio or asyncio; like CollectorClient. Any number of tasks may send at once."""

    async def create_collector(self, id: str, collector: Config | dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        """Add or replace a collector; return its config as the service has it."""
        return await self._run(self._talk.create(id, collector))

    async def send_data(self, id: str, data: pd.DataFrame | pa.Table) -> dict[str, Any]:  # noqa: A002
        """Send events, one a row; when it returns they are durable. The index is not kept.

        More than 64 MiB, or than passes on the way, go in several requests; if one fails, those before it are kept.
        Cancellation: what was sent before it may have been kept.
        """
        table = await anyio.to_thread.run_sync(table_of, data)
        return await self._run(self._talk.send_rows(id, cut(table)))

    async def send_labels(self, id: str, labels: pd.DataFrame | pa.Table) -> dict[str, Any]:  # noqa: A002
        """Send what has become known of events, a row for each, with their key; when it returns it is durable.

        It is for collectors whose config has ``labels``, and goes as events do.
        """
        table = await anyio.to_thread.run_sync(table_of, labels)
        return await self._run(self._talk.send_rows(id, cut(table), "labels"))

    async def send_body(
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
        return await self._run(self._talk.send_body(id, body, media_type, idempotency_key, what))

    async def send_batch(
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
        body = await anyio.to_thread.run_sync(lambda: arrow_body(table_of(data)))
        return await self._run(self._talk.send_batch(id, body, window_query(start, end)))

    def buffered(
        self,
        id: str,  # noqa: A002
        *,
        max_rows: int = 10_000,
        max_delay: float = 1.0,
        max_waiting: int = 100_000,
        on_lost: Lost | None = None,
    ) -> AbstractAsyncContextManager[AsyncEventBuffer]:
        """Accept single events, and send them from a task of the block: ``async with client.buffered("main") as b``.

        They go, ``max_rows`` in a request, once that many wait, or the first has waited for ``max_delay`` seconds.
        When ``max_waiting`` wait, ``send`` waits for room and ``send_nowait`` drops. The service's absence is sat out.
        Events that it refuses are lost: logged, counted, and given to ``on_lost`` with the error; ``flush`` and the end
        of the block raise the error. The block ends once all is sent, however long that takes.
        What is too large for a limit on the way goes in halves. A forked child can't use it, only open one of its own.
        Cancellation: what is not yet sent is lost, but for the request on its way.
        """
        from collector.client.async_buffer import open_buffer
        from collector.client.buffering import BufferBounds

        return open_buffer(self, id, BufferBounds(max_rows, max_delay, max_waiting), on_lost)

    async def set_reference(self, id: str, reference: pd.DataFrame | pa.Table) -> dict[str, Any]:  # noqa: A002
        """Set the reference dataset, from the next batch on."""
        body = await anyio.to_thread.run_sync(lambda: arrow_body(table_of(reference)))
        return await self._run(self._talk.set_reference(id, body))

    async def get_collector(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Return a collector's config; its secret is masked."""
        return await self._run(self._talk.ask(dict, "GET", id))

    async def get_logs(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """Return what became of a collector's last batches, newest first."""
        return await self._run(self._talk.ask(list, "GET", id, "logs"))

    async def delete_collector(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Remove a collector with all its events; ``rows_dropped`` says how many were not delivered, if it is known."""
        return await self._run(self._talk.ask(dict, "DELETE", id))

    async def rename_collector(self, id: str, new_id: str) -> dict[str, Any]:  # noqa: A002
        """Give a collector another id, and return its config; its events, batches and log go with it."""
        return await self._run(self._talk.rename(id, new_id))

    async def tap(self, id: str, after: int | None = None, rows: int = 10) -> dict[str, Any]:  # noqa: A002
        """Return a few of the newest events that came ``after`` what the last answer called ``next``, in ``rows``."""
        return await self._run(self._talk.tap(id, after, rows))

    async def get_failed(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """List the batches whose report failed, oldest first; they are kept."""
        return await self._run(self._talk.ask(list, "GET", id, "failed"))

    async def retry_failed(self, id: str) -> list[dict[str, Any]]:  # noqa: A002
        """Have the batches evaluated again whose report failed; return them."""
        return await self._run(self._talk.ask(list, "POST", id, "failed"))

    async def show_dashboard(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Have a collector's dashboard made again in its workspace; returns how many panels it has."""
        return await self._run(self._talk.ask(dict, "POST", id, "dashboard"))

    async def flush(self, id: str) -> dict[str, Any]:  # noqa: A002
        """Seal and evaluate what waits now; ``batch_id`` is None if nothing does."""
        return await self._run(self._talk.ask(dict, "POST", id, "flush"))

    async def status(self) -> dict[str, Any]:
        """Return how the service, its config file and each of its collectors stand."""
        return await self._run(self._talk.ask(dict, "GET"))

    async def aclose(self) -> None:
        """Close the connections."""
        for http in self._let_go(_here()):
            await http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _run(self, steps: Steps[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = None
            if isinstance(step, httpx.Request):
                outcome = await self._send(step)
            elif isinstance(step, Pause):
                await anyio.sleep(step.seconds)
            else:
                outcome = await anyio.to_thread.run_sync(step)

    async def _send(self, request: httpx.Request) -> Outcome:
        try:
            async with self._turn() as http:
                response = await http.send(request, stream=True)
                try:
                    return await aread(response, MAX_ANSWER_BYTES)
                finally:
                    await response.aclose()
        except (httpx.RequestError, UnreadableAnswer) as error:
            return unavailable(request, error, self._way.by)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[httpx.AsyncClient]:
        """Wait for a connection that is free."""
        pool = self._pool_of(_here(), anyio.Semaphore)
        async with pool.turns:
            http = pool.take(self._connection)
            try:
                yield http
            finally:
                pool.free.append(http)

    def _connection(self) -> httpx.AsyncClient:
        from collector.web.transports import AsyncTransport

        return httpx.AsyncClient(transport=AsyncTransport(is_timed=True, **self._way.options))


def _here() -> tuple[int, object]:
    """Return which process and event loop this is."""
    try:
        return os.getpid(), asyncio.get_running_loop()
    except RuntimeError:
        import trio

        return os.getpid(), trio.lowlevel.current_trio_token()
