"""Speaking to a service from a command: errors come with a hint what to type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from collector.client import CollectorClient
from collector.client.connecting import checked_url
from collector.commands.options import read_secret
from collector.errors import CommandError, ConfigError, RequestRefused, ServiceUnavailable
from collector.wording import listed, no_collector

# Tries within 3 s: enough for a service that is just starting, and not too long if the address is mistyped.
RETRIES = 4
# Tries over some minutes, for a command that sends many rows: the service may restart, or have too much to do.
PATIENT_RETRIES = 10


@dataclass(frozen=True)
class Service:
    """Where a service is, and what lets us in, as the options say."""

    url: str
    secret: str | None = None
    secret_file: Path | None = None
    cafile: str | None = None

    @contextmanager
    def open(self, retries: int = RETRIES) -> Iterator[CollectorClient]:
        """Open a client whose errors are CommandErrors."""
        with _translated(), self._client(retries) as client:
            yield client

    def _client(self, retries: int) -> CollectorClient:
        try:
            checked_url(self.url)
        except ConfigError as error:
            raise CommandError(str(error), "write it as --url http://HOST:PORT") from error
        secret = read_secret(self.secret, self.secret_file)
        return CollectorClient(self.url, secret, retries=retries, verify=self.cafile or True)


@contextmanager
def as_collectors_answer() -> Iterator[None]:
    """Read an answer without checking it: if something is missing, raise that it isn't a collector's answer."""
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        said = no_collector("the service")
        raise CommandError(said, "give the collector's address with --url") from error


def choose_id(client: CollectorClient, collector_id: str | None) -> str:
    """Return the id that was given, or else that of the only collector there is."""
    return str(choose_collector(client.status(), None)["id"]) if collector_id is None else collector_id


def choose_collector(status: dict[str, Any], collector_id: str | None) -> dict[str, Any]:
    """Return the status of the collector that is meant, which may be left open where there is only one."""
    with as_collectors_answer():
        at_work = [one for one in status["collectors"] if one["state"] != "retired"]
        collectors: dict[str, dict[str, Any]] = {one["id"]: one for one in at_work}
    if collector_id is None and len(collectors) == 1:
        [collector_id] = collectors
    if collector_id in collectors:
        return collectors[collector_id]
    if not collectors:
        raise CommandError("the service has no collector yet", "'evidently-collector init' writes a config with one")
    said = "the service has several collectors" if collector_id is None else f"it has no collector '{collector_id}'"
    raise CommandError(said, f"name one with --id: {listed(list(collectors), 10)}")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ServiceUnavailable as error:
        raise CommandError(str(error), _about_silence(error)) from error
    except RequestRefused as error:
        raise CommandError(
            error.detail or f"the service answered {error.status}", _HINTS.get(error.status, "")
        ) from error


def _about_silence(error: ServiceUnavailable) -> str:
    if "CERTIFICATE" in str(error).upper():
        return "name the authority that signed its certificate with --cafile"
    if isinstance(error.__cause__, httpx.ConnectError):
        return "start the service with 'evidently-collector', or give its address with --url"
    return "try again in a while"


_HINTS = {
    401: "give the service's secret with --secret-file, or as EVIDENTLY_COLLECTOR_SECRET",
    404: "'evidently-collector status' names the collectors that are there",
    413: "send fewer rows at a time with --rows",
}
