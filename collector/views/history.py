"""History: how many rows came lately, from successive statuses."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.status.status import ServiceStatus

# Samples, one a second: as many as a wide terminal shows bars. A rate is taken over some seconds of them.
SAMPLES = 31
SECONDS_OF_A_RATE = 3.0
BARS = "▁▂▃▄▅▆▇█"


class History:
    """Rows accepted by each collector, sampled once a second."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, dict[str, int]]] = deque(maxlen=SAMPLES)
        self._latest: tuple[float, dict[str, int]] = (0.0, {})

    def note(self, service: ServiceStatus) -> None:
        """Take what a status says; times that go back begin a new history, as the service's clock was set."""
        self._latest = service.time, {status.id: status.rows_accepted for status in service.collectors}
        if self._samples and service.time < self._samples[-1][0]:
            self._samples.clear()
        if not self._samples or service.time - self._samples[-1][0] >= 1:
            self._samples.append(self._latest)

    def rate(self, collector_id: str) -> float | None:
        """Return the rows a second of late; None until there are two statuses."""
        now = self._latest[0]
        since = next((one for one in reversed(self._samples) if now - one[0] >= SECONDS_OF_A_RATE), None)
        first = since or next(iter(self._samples), self._latest)
        return _rate(first, self._latest, collector_id) if now > first[0] else None

    def bars(self, collector_id: str, width: int) -> str:
        """Draw the rows of the last seconds, a bar a sample, the newest on the right, the tallest for the most."""
        rates = [_rate(first, then, collector_id) for first, then in pairwise(self._samples)][-width:]
        most = max(rates, default=0) or 1
        return "".join(BARS[round(rate / most * (len(BARS) - 1))] for rate in rates).rjust(width)


def _rate(first: tuple[float, dict[str, int]], then: tuple[float, dict[str, int]], collector_id: str) -> float:
    """Return the rows a second between two samples; 0 if the collector's count began again."""
    rows = then[1].get(collector_id, 0) - first[1].get(collector_id, then[1].get(collector_id, 0))
    return max(0, rows) / (then[0] - first[0])
