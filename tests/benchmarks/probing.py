"""Probing: how long answers take, as a process of its own sees it, while other things go on."""

from __future__ import annotations

import math
from pathlib import Path

from . import events
from .bench import Bench
from .processes import Talking
from .services import Service

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Prober(Talking):
    """Asks a service from now until ``stop``."""

    def __init__(self, bench: Bench, service: Service, mode: str, pause: float, request: bytes) -> None:
        directory = bench.new_directory("prober")
        (directory / "request").write_bytes(request)
        script = str(Path(__file__).with_name("prober.py"))
        super().__init__([script, mode, str(service.port), "request", str(pause)], directory, "prober.log", talks=True)
        self.hear()

    def stop(self) -> Probes:
        """End it; give what it saw."""
        process = self._process
        assert process.stdin is not None
        process.stdin.close()
        return Probes([(begun, seconds, status) for begun, seconds, status in self.hear()])


class Probes:
    """What a prober saw; statuses other than those of a service that works are errors."""

    def __init__(self, seen: list[tuple[float, float, int]]) -> None:
        if bad := {status for _, _, status in seen} - {200, 201}:
            raise RuntimeError(f"the prober was answered {bad}")
        self._seen = seen

    def within(self, begun: float, ended: float) -> list[float]:
        """Return the seconds of the answers to what was asked, or waited, in a span of time."""
        return sorted(took for at, took, _ in self._seen if at + took >= begun and at < ended)


def p99(seconds: list[float]) -> float:
    return seconds[min(len(seconds) - 1, math.ceil(len(seconds) * 0.99) - 1)]


def post_pace(bench: Bench, service: Service, collector_id: str = "main") -> Prober:
    """POST 200 single rows a second."""
    return Prober(bench, service, "pace", 0.005, events.request(f"/{collector_id}/data", events.json_body(1)))
