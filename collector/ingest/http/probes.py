"""Probes: whether the service lives and accepts events, in a word for machines or check by check for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.errors import NotReady
from collector.ingest.http.problems import Answer, answer_for, json_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.status.status import ConfigState, Status
    from collector.store.journal import Journal
    from collector.supervision.supervisor import Supervisor

# Endpoints that need no secret.
OPEN_ROUTES = frozenset({"livez", "readyz"})
# States in which a collector keeps events, but does nothing more with them until something is mended.
_TROUBLED = {"undelivered", "misconfigured", "crashed"}
_WITHHELD = "GET / says more"
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what is wrong with it; events are accepted all the same unless ``is_vital``."""

    name: str
    trouble: str = ""
    is_vital: bool = False

    def __str__(self) -> str:
        if not self.trouble:
            return f"[+]{self.name} ok"
        return f"[-]{self.name} failed: {self.trouble}" if self.is_vital else f"[!]{self.name}: {self.trouble}"


class Probes:
    """Looks at all that may be wrong with the service."""

    def __init__(self, supervisor: Supervisor, journal: Journal, exposure: str = "") -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._exposure = exposure

    def checks(self, *, is_trusted: bool) -> list[Check]:
        """Return the checks and their results; without the secret, they name no collector and no config error."""
        status, limit = self._supervisor.service_status(), self._supervisor.config.limits.max_buffered_bytes
        is_full = self._journal.buffered_bytes_in_all >= limit
        return [
            Check("disk", self._journal.trouble, is_vital=True),
            Check("room", f"{limit} bytes are undelivered, which is the limit; events are refused" if is_full else ""),
            Check("config", _config_trouble(status.config, is_trusted=is_trusted)),
            Check("collectors", _collectors_trouble(status.collectors, is_trusted=is_trusted)),
            *kafka_checks(status.collectors, is_trusted=is_trusted),
            *([Check("access", self._exposure)] if self._exposure else []),
        ]


def health_answer(route: str, word: str, checks: list[Check], *, is_verbose: bool) -> Answer:
    """Answer 200 with a word if no vital check fails, else 503; ``is_verbose``: in Kubernetes' form, a line a check."""
    failed = next((check for check in checks if check.trouble and check.is_vital), None)
    refusal = None if failed is None else answer_for(NotReady(failed.trouble), f"GET /{route}")
    if is_verbose:
        end = f"{route} check {'passed' if refusal is None else 'failed'}"
        text = "".join(f"{line}\n" for line in (*map(str, checks), end))
        return Answer(200, text.encode(), _TEXT) if refusal is None else _in_words(refusal, text)
    return json_answer({"status": word}) if refusal is None else refusal


def kafka_checks(collectors: Sequence[Status], *, is_trusted: bool) -> list[Check]:
    """Tell whether the services of the group agree; nothing without collectors whose events come from Kafka."""
    told = [f"{one.id}: {one.kafka['mismatch']}" for one in collectors if one.kafka and one.kafka["mismatch"]]
    trouble = "; ".join(told) if is_trusted or not told else _WITHHELD
    return [Check("kafka", trouble)] if any(one.kafka for one in collectors) else []


def _in_words(refusal: Answer, text: str) -> Answer:
    return Answer(refusal.status, text.encode(), {**refusal.headers, **_TEXT})


def _config_trouble(config: ConfigState, *, is_trusted: bool) -> str:
    if config.error:
        return f"the last edit isn't in force: {config.error if is_trusted else _WITHHELD}"
    if config.needs_restart:
        return f"a restart is needed to take in what changed: {', '.join(config.needs_restart)}"
    return ""


def _collectors_trouble(collectors: Sequence[Status], *, is_trusted: bool) -> str:
    troubled = [f"{one.id} ({one.state})" for one in collectors if one.state in _TROUBLED]
    if not troubled:
        return ""
    return f"{len(troubled)} of {len(collectors)} in trouble: {', '.join(troubled) if is_trusted else _WITHHELD}"
