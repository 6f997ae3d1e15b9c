"""Looking: the service's state, read once a second for all open pages, and never while none is open."""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from collector.views.history import History
from collector.views.page.detail import Detail, detail_pieces, detail_view
from collector.views.page.overview import Frame, Query, make_frame, overview_view, steady_status
from collector.views.page.past import Past
from collector.views.page.rows import SPARK_SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from collector.status.status import Status
    from collector.store.journal import Journal
    from collector.supervision.supervisor import Supervisor
    from collector.views.page.view import View

    Pasts = tuple[Past, ...]

INTERVAL = 1.0
# Seconds. A rate over a longer time says nothing about now.
_FORGOTTEN = 90.0
# Seconds after which a log is read again: the status doesn't change with each of its lines.
_MAX_AGE = 5.0
# How many collectors' own pages are kept; those looked at last stay.
_DETAILS = 32
PAST_SNAPSHOTS = 50


class Looking:
    """Looks at the service at most once a second; in between, all readers get the same view."""

    def __init__(self, supervisor: Supervisor, journal: Journal) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._start = secrets.token_hex(4)  # tells views of this process from those of an earlier one
        self._looks = 0
        self._looked = -math.inf
        self._lock = trio.Lock()
        self._history = History()
        self._frame: Frame | None = None
        self._pasts: dict[str, tuple[object, Pasts]] = {}
        self._details: OrderedDict[str, _Held] = OrderedDict()

    async def overview(self, query: Query) -> View:
        """Show all collectors that a person looks for."""
        return overview_view(await self._look(), query)

    def overview_before(self, query: Query, number: str) -> View | None:
        """Return what was shown of the look with that number, if nobody has looked since."""
        is_last = self._frame is not None and self._frame.number == number
        return overview_view(self._frame, query) if self._frame is not None and is_last else None

    async def collector(self, collector_id: str) -> View:
        """Show one collector; raise UnknownCollector."""
        self._supervisor.pipeline(collector_id)
        frame = await self._look()
        if collector_id not in frame.drawn:  # it was added since the last look
            self._looked = -math.inf
            frame = await self._look()
            self._supervisor.pipeline(collector_id)  # raises if it was deleted
        status = frame.drawn[collector_id].seen
        async with self._lock:
            held = self._details.get(collector_id)
            if held is None or held.is_old(status):
                drawn = await trio.to_thread.run_sync(detail_pieces, await self._read(status))
                held = _Held(steady_status(status), trio.current_time(), drawn)
                self._details[collector_id] = held
            self._details.move_to_end(collector_id)
            while len(self._details) > _DETAILS:
                self._details.popitem(last=False)
            return await trio.to_thread.run_sync(detail_view, frame, status, held.pieces)

    async def _look(self) -> Frame:
        async with self._lock:
            silence = trio.current_time() - self._looked
            if self._frame is None or silence >= INTERVAL:
                self._looked = trio.current_time()
                if silence > _FORGOTTEN:
                    self._history = History()
                status = self._supervisor.service_status()
                self._history.note(status)
                await self._read_pasts(status.collectors)
                self._looks += 1
                number, pasts = f"{self._start}-{self._looks}", {key: pasts for key, (_, pasts) in self._pasts.items()}
                self._frame = await trio.to_thread.run_sync(
                    make_frame, number, status, pasts, self._history, self._frame
                )
            return self._frame

    async def _read_pasts(self, collectors: Iterable[Status]) -> None:
        """Read the snapshots of the collectors that have made one since the last look."""
        marks = {one.id: (one.snapshots, one.last_snapshot.get("batch"), one.outbox, one.failed) for one in collectors}
        known = {key: held for key, held in self._pasts.items() if key in marks}
        news = [key for key, mark in marks.items() if key not in known or known[key][0] != mark]
        for key, pasts in (await self._journal_pasts(news)).items() if news else ():
            known[key] = marks[key], pasts
        self._pasts = known

    async def _journal_pasts(self, collector_ids: list[str], *, is_whole: bool = False) -> dict[str, Pasts]:
        limit = PAST_SNAPSHOTS if is_whole else SPARK_SNAPSHOTS
        found = await self._journal.look_back(collector_ids, limit, is_whole=is_whole)
        return {key: tuple(map(Past.of, snapshots)) for key, snapshots in found.items()}

    async def _read(self, status: Status) -> Detail:
        pasts = (await self._journal_pasts([status.id], is_whole=True))[status.id]
        log = await self._journal.logs(status.id)
        failed = await self._journal.batches(status.id, "failed")
        return Detail(status, pasts, tuple(log[:PAST_SNAPSHOTS]), tuple(failed))


@dataclass(frozen=True)
class _Held:
    """A collector's page as it was drawn, and the status for which it was."""

    status: Status
    time: float
    pieces: Mapping[str, str]

    def is_old(self, status: Status) -> bool:
        """Tell whether it has to be drawn again."""
        return self.status != steady_status(status) or trio.current_time() - self.time >= _MAX_AGE
