"""HTTP to a service that can be cancelled, has time-outs and bounds, and ends in words for the operator.

Evidently's own client has neither time-outs nor retries, and loses the status of an answer.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import trio

from collector.errors import BadEnvironment, DeliveryError, DeliveryRefused, SnapshotTooLarge, UnreadableAnswer
from collector.web.clients import BUSY, retry_after

if TYPE_CHECKING:
    import httpx

    from collector.config import CollectorConfig
    from collector.web.clients import Clients

T = TypeVar("T")

# Bytes of a good answer. A list of a project's snapshots has some 500 bytes for each, and only two are read at a time.
MAX_ANSWER = 1_000_000
MAX_LISTING = 64_000_000
_LISTINGS = 2
# Bytes that are parsed in less time than a thread takes to start.
_QUICK = 65_536


class Connections:
    """Connections to services, shared by all collectors."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._listings = trio.CapacityLimiter(_LISTINGS)

    async def exchange(
        self, config: CollectorConfig, method: str, path: str, *, is_listing: bool = False, **arguments: Any
    ) -> httpx.Response:
        """Send a request and return its answer, whatever it is; raise DeliveryError if there is none."""
        import httpx

        from collector.web.answers import UNREACHED, aread, reason_of

        url, by = config.api_url.rstrip("/") + path, ""
        try:
            client, by = await self._clients.client_for(url)
            async with AsyncExitStack() as stack:
                if is_listing:
                    await stack.enter_async_context(self._listings)
                response = await stack.enter_async_context(client.stream(method, url, **arguments))
                return await aread(response, MAX_LISTING if is_listing else MAX_ANSWER)
        except BadEnvironment as error:
            raise DeliveryRefused(f"{config.shown_url} can't be reached: {error}") from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError) as error:
            raise DeliveryRefused(
                f"'{config.shown_url}' isn't the address of a service; write api_url as http://HOST:PORT"
            ) from error
        except UNREACHED as error:
            raise DeliveryError(f"{config.shown_url} can't be reached{by}: {reason_of(error)}") from error
        except (httpx.HTTPError, UnreadableAnswer) as error:
            message = f"{config.shown_url} didn't answer as it should{by}: {reason_of(error)}"
            raise DeliveryError(message, is_ambiguous=True) from error


async def read_as(kind: type[T], response: httpx.Response, config: CollectorConfig) -> T:
    """Return what a good answer holds; raise DeliveryRefused if it isn't of that kind, as no Evidently service's is."""
    try:
        if len(response.content) <= _QUICK:
            return msgspec.json.decode(response.content, type=kind)
        return await trio.to_thread.run_sync(lambda: msgspec.json.decode(response.content, type=kind))
    # the errors of msgspec, and of text that isn't UTF-8, are ValueErrors
    except (ValueError, RecursionError) as error:
        raise DeliveryRefused(
            f"{config.shown_url} answers, but not as an Evidently service does; is api_url the right address?"
        ) from error


def raise_for(response: httpx.Response, config: CollectorConfig) -> None:
    """Translate a refusal to what the operator can do about it."""
    status = response.status_code
    if response.is_success:
        return
    said = f"{config.shown_url} answered {status}{_detail(response)}"
    if status == 413:
        raise SnapshotTooLarge(f"{said}: the snapshot is over its body limit")
    if status in {401, 403}:
        raise DeliveryRefused(f"{said}: it refuses this api_secret; write the right one")
    if status == 404:
        project = f"'{config.project_id}'" if config.project_id else f"named '{config.project_name}'"
        raise DeliveryRefused(f"{said}: it has no project {project}; make it there, or give a project_name")
    if status == 405:
        generation = config.report_config.generation
        service = "evidently ui" if generation == "modern" else "evidently legacy_ui"
        raise DeliveryRefused(
            f"{said}: it accepts no {generation} snapshots; api_url must be the address of an '{service}'"
        )
    if status < 400:
        leads_to = response.headers.get("Location", "elsewhere")
        raise DeliveryRefused(f"{said}: it redirects to {leads_to}; write the address that answers itself as api_url")
    if status in BUSY:
        raise DeliveryError(said, retry_after=retry_after(response))
    if status >= 500:
        raise DeliveryError(said, is_ambiguous=True)
    raise DeliveryRefused(said)


def _detail(response: httpx.Response) -> str:
    from collector.web.answers import json_of

    try:
        data = json_of(response)
    except ValueError:
        return ""
    return f" ({str(data['detail'])[:300]})" if isinstance(data, dict) and "detail" in data else ""
