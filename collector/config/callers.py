"""Callers: which web pages may use the service, and by which names it may be called."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s*]+")
_HOST = re.compile(r"[^/?#@\s*:]+(:\d{1,5})?")
# A Host header as RFC 9110 has it: the name may be missing, and so may the port behind the colon.
_IN_HEADER = re.compile(r"(?:\[([^][]*)\]|([^][:]*))(?::\d*)?")


def hostname(host: str) -> str:
    """Return the name in a Host header: without port and brackets, in small letters; else all of it."""
    whole = host.strip().lower()
    found = _IN_HEADER.fullmatch(whole)
    name = whole if found is None else found[1] or found[2] or ""
    return name.removesuffix(".") or name


def is_ip_address(name: str) -> bool:
    """Tell whether a name is an IP address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _origin(text: str) -> str:
    origin = text.strip().lower().removesuffix("/")
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(
            f"'{text}' isn't the origin of a web page; write each as scheme://host or scheme://host:port, as in "
            "https://dashboard.example (no path, no '*', no 'null': those would let in pages that you don't know)"
        )
    return origin


def _host(text: str) -> str:
    host = text.strip().lower().removesuffix(".")
    if not _HOST.fullmatch(host) and not is_ip_address(host.strip("[]")):
        raise ValueError(f"'{text}' isn't a host name; write it as in collector.example, without scheme and path")
    return host


Origin = Annotated[str, AfterValidator(_origin)]
Host = Annotated[str, AfterValidator(_host)]
