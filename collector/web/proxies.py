"""Which proxy leads to an address: the environment's variables mean what curl takes them to mean.

``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``, small letters before capitals. Addresses of this very
machine are asked without one, whatever they say.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from collector.errors import BadEnvironment
from collector.wording import extra

# The port of a proxy that is named without one, as in curl.
_PORTS = {"http": 1080, "https": 443, "socks5": 1080, "socks5h": 1080}
# The port of an address that is written without one.
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """A proxy's address in full, and the variable that names it."""

    url: str
    variable: str

    def __str__(self) -> str:
        return f"the proxy that {self.variable} names"


def proxy_for(url: str, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy that leads to ``url``, None if there is to be none.

    Raises BadEnvironment with the variable's name if it can't be used.
    """
    try:
        target = urlsplit(url)
        port = target.port or _DEFAULT_PORTS.get(target.scheme)
    except ValueError:
        return None  # no proxy can be asked for it; whoever connects says what is wrong
    host = (target.hostname or "").rstrip(".").partition("%")[0]
    if _is_loopback(host):
        return None
    variable = next((name for name in _names(target.scheme) if environment.get(name)), None)
    spared = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if variable is None or any(_is_of(host, port, entry) for entry in re.split(r"[\s,]+", spared)):
        return None
    return Proxy(_checked(variable, environment[variable].strip()), variable)


def _names(scheme: str) -> list[str]:
    return [written for name in (f"{scheme}_proxy", "all_proxy") for written in (name, name.upper())]


def _checked(variable: str, value: str) -> str:
    """Return a proxy's address in full; raise BadEnvironment, whose message shows no password, for a wrong one."""
    whole = value if "://" in value else f"http://{value}"
    scheme = whole.partition("://")[0].lower()
    if scheme not in _PORTS:
        raise BadEnvironment(f"{variable} names a '{scheme}' proxy; http, https, socks5 and socks5h can be used")
    if scheme.startswith("socks") and find_spec("socksio") is None:
        raise BadEnvironment(f"{variable} names a {scheme} proxy, which takes {extra('socks')}")
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # the resolver does the same, but wouldn't name the variable
    except ValueError:
        host = None
    if not host or " " in host or port == 0:
        raise BadEnvironment(f"{variable} isn't the address of a proxy; write it as http://HOST:PORT")
    return SplitResult(
        scheme, parts.netloc if port else f"{parts.netloc.rstrip(':')}:{_PORTS[scheme]}", "", "", ""
    ).geturl()


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return (
        host == "localhost"
        or host.endswith(".localhost")
        or (address is not None and (address.is_loopback or address.is_unspecified))
    )


def _is_of(host: str, port: int | None, entry: str) -> bool:
    """Tell whether an entry of NO_PROXY, a name, domain, address or network, perhaps with a port, matches a host."""
    name, colon, its_port = entry.rpartition(":")
    if colon and its_port.isdecimal() and (":" not in name or name.endswith("]")):
        return int(its_port) == port and _is_of(host, port, name)
    if entry == "*":
        return True
    address, entry = _address(host), entry.replace("[", "").replace("]", "")
    if address is not None:
        with suppress(ValueError):
            return address in ip_network(entry, strict=False)
        return False
    domain = entry.strip(".").lower()
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Return a host as an address, in any spelling that the system takes; None for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        try:
            return IPv4Address(socket.inet_aton(host))  # 127.1 is one, too
        except (OSError, ValueError):  # ValueError: it isn't ASCII
            return None
    return getattr(address, "ipv4_mapped", None) or address
