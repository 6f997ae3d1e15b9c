"""The guard: who may ask. No page of another site may use an operator's browser to command the service.

A browser says with each request which page made it (``Origin``, ``Sec-Fetch-Site``); no other client does. A page
whose own name was made to lead to this machine (DNS rebinding) is of the same site, but its name stands in ``Host``.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.config.callers import hostname, is_ip_address
from collector.errors import BadMediaType, Forbidden, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.config import CollectorServiceConfig

SECRET_HEADER = "evidently-secret"  # noqa: S105  (its name)
_OWN_SITES = {"", "none", "same-origin"}
_EXPOSED = (
    "other machines can reach the service, and it has no secret: whoever does may read and change all; start it with "
    "--secret-file, or with --host 127.0.0.1"
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request's headers say of who made it; "" for each that isn't there."""

    method: str
    host: str = ""
    origin: str = ""
    fetch_site: str = ""
    fetch_mode: str = ""
    fetch_dest: str = ""

    @property
    def is_page(self) -> bool:
        """Whether a web page of some other origin than ours made it."""
        return not self._follows_link and (bool(self.origin) or self.fetch_site.lower() not in _OWN_SITES)

    @property
    def has_own_origin(self) -> bool:
        """Whether it was made by a page of the very address that it is sent to."""
        scheme, _, authority = self.origin.lower().partition("://")
        host = self.host.lower()
        return bool(host) and host in {authority, authority + _DEFAULT_PORTS.get(scheme, "")}

    @property
    def _follows_link(self) -> bool:
        """Whether a person follows a link or typed the address: this changes nothing, and no page reads the answer."""
        return (self.method, self.fetch_mode) == ("GET", "navigate") and self.fetch_dest in {"", "document"}


class Guard:
    """Lets requests in by where they come from, and by the service's secret, if it has one.

    ``exposure`` says what an operator should know of whom it lets in; "" if there is nothing.
    """

    def __init__(
        self, secret: str | None, find_config: Callable[[], CollectorServiceConfig], *, is_loopback: bool
    ) -> None:
        self._secret = secret
        self._find_config = find_config
        self._is_open_to_neighbours = is_loopback and secret is None
        self.exposure = "" if is_loopback or secret is not None else _EXPOSED

    def authorize(self, secret: str | None) -> None:
        """Raise Unauthorized unless a request carries the service's secret, if it has one."""
        if not self.is_authorized(secret):
            raise Unauthorized

    def is_authorized(self, secret: str | None) -> bool:
        """Tell whether a request carries the service's secret, or it has none."""
        if self._secret is None:
            return True
        given = (secret or "").encode("latin-1", "replace")  # the bytes of the header, which were decoded as latin-1
        return hmac.compare_digest(given, self._secret.encode())

    def check_events(self) -> None:
        """Raise Forbidden if events may not be shown: other machines can ask, and no secret is asked for."""
        if self.exposure:
            raise Forbidden(f"events aren't shown, as {self.exposure}")

    def check_page(self, caller: Caller) -> None:
        """Raise Forbidden if a page made the request that is neither ours nor allowed."""
        if not caller.is_page or self.allows(caller.origin):
            return
        if caller.has_own_origin and caller.fetch_site.lower() in _OWN_SITES:
            return
        page = f"of {caller.origin}" if caller.origin else "of another site"
        raise Forbidden(
            f"a web page {page} made this request, and may not use the service; if it should, add its origin to "
            f'"allowed_origins" in the config file, as in ["{_example(caller.origin)}"]'
        )

    def allows(self, origin: str) -> bool:
        """Tell whether pages of an origin may use the service."""
        return bool(origin) and origin.lower() in self._find_config().allowed_origins

    def check_host(self, host: str) -> None:
        """Raise Forbidden if the service is called by a name that may be anyone's, where that matters."""
        allowed = self._find_config().allowed_hosts
        if is_plain_host(host) or not (allowed or self._is_open_to_neighbours):
            return
        if host.lower() in allowed or hostname(host) in allowed:
            return
        raise Forbidden(
            f"the service isn't called '{hostname(host)}'; if it is, add that name to \"allowed_hosts\" in the config "
            "file, or call it by localhost or its IP address"
        )

    @staticmethod
    def check_config(caller: Caller, media_type: str) -> None:
        """Raise BadMediaType if a page sends a config as what every page may send without being asked."""
        if caller.origin and media_type != "application/json":
            raise BadMediaType(
                f"a request with an Origin header must send a config as application/json, not as '{media_type}'"
            )


def is_plain_host(host: str) -> bool:
    """Tell whether a Host header is one that no page can have made its own: none, localhost or an IP address."""
    name = hostname(host)
    return name in {"", "localhost"} or is_ip_address(name)


def _example(origin: str) -> str:
    return origin if "://" in origin else "https://dashboard.example"
