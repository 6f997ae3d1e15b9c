"""Clients: who asks others over HTTP, one for each way there: with TLS or without, and by which proxy."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import trio

from collector.web.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from collector.web.proxies import Proxy

# Seconds without a byte, after which an answer is given up.
SILENCE = 60.0
# A service that asks for a longer pause is asked again after this one.
LONGEST_PAUSE = 3600.0


class Clients:
    """Clients that are made as they are needed, and kept."""

    def __init__(self) -> None:
        self._clients: dict[tuple[bool, Proxy | None], httpx.AsyncClient] = {}

    async def client_for(self, url: str) -> tuple[httpx.AsyncClient, str]:
        """Return the client for ``url``, and the words that name its proxy; raise BadEnvironment."""
        proxy = proxy_for(url)
        by = f" by {proxy}" if proxy else ""
        return await self._client(url, proxy), by

    async def _client(self, url: str, proxy: Proxy | None) -> httpx.AsyncClient:
        import anyio.to_thread
        import httpx

        from collector.web.answers import AS_IS
        from collector.web.transports import AsyncTransport
        from collector.web.trust import trusted, trusting_nobody

        way = (url.lower().startswith("https:"), proxy)
        if way not in self._clients:
            has_tls_to_proxy = proxy is not None and proxy.url.startswith("https:")
            trust = await anyio.to_thread.run_sync(trusted) if way[0] or has_tls_to_proxy else trusting_nobody()
            through = proxy and httpx.Proxy(proxy.url, ssl_context=trust if has_tls_to_proxy else None)
            # No limit on connections: each collector sends one request at a time, and a dead service must not take the
            # others' share.
            transport = AsyncTransport(
                is_timed=False, trust_env=False, limits=httpx.Limits(), verify=trust, proxy=through
            )
            made = httpx.AsyncClient(timeout=SILENCE, trust_env=False, headers=AS_IS, transport=transport)
            self._clients.setdefault(way, made)
        return self._clients[way]

    async def aclose(self) -> None:
        """Close their connections."""
        for client in self._clients.values():
            await client.aclose()


@asynccontextmanager
async def open_clients() -> AsyncIterator[Clients]:
    """Open clients; their connections are closed with the block, which takes a second at most."""
    clients = Clients()
    try:
        yield clients
    finally:
        with trio.move_on_after(1, shield=True):
            await clients.aclose()


# Statuses after which the same request may be sent again.
BUSY = frozenset({408, 425, 429, 503})


def retry_after(response: httpx.Response) -> float:
    """Return the pause that an answer asks for, in seconds or as a date (RFC 9110, 10.2.3); an hour at most."""
    text = response.headers.get("Retry-After", "")
    try:
        pause = float(text) if text.isdecimal() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    # not a date, or one without a zone, or one beyond what a clock can show
    except (ValueError, TypeError, ArithmeticError, LookupError):
        return 0.0
    return min(max(pause, 0.0), LONGEST_PAUSE)
