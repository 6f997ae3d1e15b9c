"""How a client reaches its service: at which address, with which secret, through which proxy, trusting whom."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import httpx

from collector.errors import ConfigError
from collector.web.proxies import proxy_for
from collector.web.trust import trusted, trusting_nobody

# Requests that one client has in flight at once; others wait for their turn, without a limit of time. Each request has
# an httpx client of its own, because httpcore needs 5 ms to find a connection in a pool of 100, and that grows by the
# square.
AT_ONCE = 100


def checked_url(base_url: str) -> str:
    """Return a service's address without a slash at its end; raise ConfigError if it is none.

    It may stand in brackets, as RFC 3986 and the docs of the original have it.
    """
    shown = re.sub("//[^/]*@", "//…@", base_url)  # the address may hold a password
    written = base_url.strip().removeprefix("<").removesuffix(">").rstrip("/")
    try:
        url = httpx.URL(written)
        url.host.encode("idna")  # the resolver does the same, but raises no clear error for an impossible name
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ConfigError.at(f"{shown!r} isn't an address: {error.__cause__ or error}") from error
    has_port = url.port is None or 0 < url.port < 2**16
    if url.scheme not in {"http", "https"} or not url.host or not has_port or url.query:
        raise ConfigError.at(f"{shown!r} isn't the address of a service; write it as http://HOST:PORT")
    return written


def secret_header(secret: str | None) -> dict[str, str]:
    """Return the header that carries a service's secret; raise ConfigError if none can."""
    if secret is None:
        return {}
    if not secret.isascii() or not secret.isprintable() or secret != secret.strip():
        raise ConfigError.at("the secret can't be sent: it may have ASCII letters, digits and signs, and no line break")
    return {"evidently-secret": secret}


@dataclass(frozen=True)
class Way:
    """How a service is reached: the options of an httpx transport, and the proxy in words, if there is one."""

    options: dict[str, Any]
    by: str


def way_to(url: str, verify: ssl.SSLContext | str | bool) -> Way:  # noqa: FBT001  (as in httpx)
    """Return how a service is reached; raise ConfigError or BadEnvironment for what can't be used."""
    # Imported here and not at the first send: a thread may send first, and a process forked meanwhile would wait for
    # the import's lock for ever.
    import_module("collector.web.transports")
    proxy = proxy_for(url)
    options = {"verify": _trusted(url, verify), "proxy": proxy and proxy.url, "trust_env": False}
    return Way(options, f" by {proxy}" if proxy else "")


def _trusted(url: str, verify: ssl.SSLContext | str | bool) -> ssl.SSLContext | bool:  # noqa: FBT001  (as in httpx)
    if isinstance(verify, str):
        try:
            return ssl.create_default_context(cafile=verify)
        except OSError as error:
            problem = f"no certificates can be read from it: {error.strerror or error}"
            raise ConfigError.at(problem, source=verify) from error
    if verify is not True:
        return verify
    return trusted() if url.startswith("https:") else trusting_nobody()
