"""Webhooks: a message is posted to an http(s) address, within bounds of time and of what is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from collector import __version__
from collector.config.alerts import NO_WEB_ADDRESS, without_address
from collector.errors import AlertRefused, AlertRejected, AlertUnsent, BadEnvironment, UnreadableAnswer
from collector.web.clients import BUSY, Clients, retry_after

if TYPE_CHECKING:
    import httpx

# Seconds for one try, whatever the other side does.
TIMEOUT = 30.0
_HEADERS = {"Content-Type": "application/json", "User-Agent": f"evidently-collector/{__version__}"}
# Statuses that blame the message. Others blame the address, or our right to use it.
_OF_THE_MESSAGE = frozenset({400, 413, 415, 422})


async def post(clients: Clients, url: str, body: str) -> str:
    """Post a message, and return what was answered, in words.

    Raises AlertUnsent if it didn't arrive, or that can't be known. No error names the address, which may be secret.
    """
    import httpx

    try:
        with trio.fail_after(TIMEOUT):
            client, by = await clients.client_for(url)
            return await _post(client, url, body, by)
    except trio.TooSlowError as error:
        raise AlertUnsent(f"no whole answer came within {TIMEOUT:g} s") from error
    except BadEnvironment as error:
        raise AlertRefused(f"it can't be reached: {error}") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise AlertRefused(f"it {NO_WEB_ADDRESS}") from error


async def _post(client: httpx.AsyncClient, url: str, body: str, by: str) -> str:
    import httpx

    from collector.web.answers import MAX_REFUSAL, UNREACHED, aread, reason_of

    try:
        async with client.stream("POST", url, content=body.encode(), headers=_HEADERS) as response:
            if response.is_success:  # nobody reads more of the answer, which may have no end
                return f"answered {response.status_code}"
            answer = await aread(response, MAX_REFUSAL)
    except UNREACHED as error:
        raise AlertUnsent(f"it can't be reached{by}: {reason_of(error)}") from error
    except (httpx.HTTPError, UnreadableAnswer) as error:
        raise AlertUnsent(f"it didn't answer as it should{by}: {reason_of(error)}") from error
    raise _refusal(answer, url)


def _refusal(answer: httpx.Response, url: str) -> AlertUnsent:
    status, words = answer.status_code, without_address(" ".join(answer.text.split()), url)
    said = f"it answered {status}{f' ({words})' if words else ''}"
    if status in BUSY:
        return AlertUnsent(said, retry_after(answer))
    if status >= 500:
        return AlertUnsent(said)
    if status in _OF_THE_MESSAGE:
        return AlertRejected(said)
    return AlertRefused(f"{said}; write an address that answers itself" if status < 400 else said)
