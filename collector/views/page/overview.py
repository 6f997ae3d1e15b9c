"""The overview: all collectors at one moment, those that need attention first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlencode

from collector.views.page.concerns import Concern, grouped
from collector.views.page.drawing import draw
from collector.views.page.rows import Row, Show, cells_of, matching, row_of
from collector.views.page.view import View
from collector.views.words import short
from collector.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collector.status.status import ServiceStatus, Status
    from collector.views.history import History
    from collector.views.page.concerns import Group
    from collector.views.page.past import Past

# Further rows are only counted; a person can narrow the search.
MAX_ROWS = 500
_MAX_TEXT = 200
FILTERS: dict[Show, str] = {
    "all": "All",
    "trouble": "In trouble",
    "tests": "Tests failed",
    "drift": "Drifted",
    "well": "Well",
}


@dataclass(frozen=True)
class Query:
    """What a person looks for among the collectors."""

    show: Show = "all"
    text: str = ""

    @classmethod
    def of(cls, show: str, text: str) -> Query:
        """Read what a browser sends."""
        return cls(next((one for one in get_args(Show) if one == show), "all"), text.strip()[:_MAX_TEXT])

    def path(self, **changes: str) -> str:
        """Return the address of such an overview, or of one that differs from it."""
        wanted = {"show": self.show, "q": self.text} | changes
        given = {name: value for name, value in wanted.items() if value and (name, value) != ("show", "all")}
        return f"/?{urlencode(given)}" if given else "/"


@dataclass(frozen=True)
class Drawn:
    """A row, what it was made of, and its HTML; ``seen`` is the status with what changes with each event."""

    seen: Status
    steady: Status
    pasts: Sequence[Past]
    row: Row
    html: str


@dataclass(frozen=True)
class Frame:
    """The whole service at one moment."""

    number: str
    service: ServiceStatus
    drawn: Mapping[str, Drawn]
    cells: Mapping[str, Mapping[str, str]]
    groups: Sequence[Group]

    @property
    def now(self) -> float:
        """When it was seen."""
        return self.service.time


def make_frame(
    number: str,
    service: ServiceStatus,
    pasts: Mapping[str, Sequence[Past]],
    history: History,
    before: Frame | None,
) -> Frame:
    """Draw the rows of collectors, but for those that are as they were before."""
    had = {} if before is None else before.drawn
    drawn = {one.id: _drawn(one, pasts.get(one.id, ()), had.get(one.id)) for one in service.collectors}
    cells = {drawn[one.id].row.key: cells_of(one, service.time, history) for one in service.collectors}
    concerns = [concern for one in drawn.values() for concern in one.row.concerns]
    rates = [history.rate(one.id) for one in service.collectors]
    known = [rate for rate in rates if rate is not None]
    cells["chips"] = {"rate": f"{short(sum(known))} rows/s" if known else ""}
    for show in FILTERS:
        cells["chips"][show] = str(sum(show in one.row.shows for one in drawn.values()))
    return Frame(number, service, drawn, cells, grouped([*_of_service(service), *concerns]))


def steady_status(status: Status) -> Status:
    """Return a status without what changes with each event."""
    return replace(status, rows_waiting=0, rows_accepted=0, bytes_buffered=0, rows_skipped=0)


def overview_view(frame: Frame, query: Query) -> View:
    """Show what a person looks for in a frame."""
    rows = matching({key: one.row for key, one in frame.drawn.items()}, query.show, query.text)
    shown, bad = rows[:MAX_ROWS], sum(bool(one.row.concerns) for one in frame.drawn.values())
    tone = frame.groups[0].first.tone if frame.groups else "good" if frame.drawn else "calm"
    pieces = {
        "verdict": draw("verdict.html", frame=frame, bad=bad, verdict=_verdict(frame, bad), tone=tone),
        "chips": draw("chips.html", query=query, filters=FILTERS),
        "rest": draw("rest.html", found=len(rows), shown=len(shown), query=query, everyone=len(frame.drawn)),
    } | {row.key: frame.drawn[row.id].html for row in shown}
    title = f"({bad}) Evidently collector" if bad else "Evidently collector"
    return View(frame.number, frame.now, title, tone, pieces, frame.cells, tuple(row.key for row in shown))


def _drawn(status: Status, pasts: Sequence[Past], before: Drawn | None) -> Drawn:
    steady = steady_status(status)
    if before is not None and before.steady == steady and before.pasts is pasts:
        return replace(before, seen=status)
    row = row_of(status, pasts)
    return Drawn(status, steady, pasts, row, draw("row.html", row=row))


def _verdict(frame: Frame, bad: int) -> str:
    number = len(frame.drawn)
    if frame.service.trouble:
        return "No events are accepted"
    if bad:
        return f"{bad} of {counted(number, 'collector')} {'needs' if bad == 1 else 'need'} attention"
    if frame.groups:
        return "The config file needs attention"
    if not number:
        return "No collectors yet"
    return "The collector is well" if number == 1 else f"All {number} collectors are well"


def _of_service(service: ServiceStatus) -> list[Concern]:
    found, config = [], service.config
    if service.trouble:
        todo = "make room on the disk, or repair it; events are then accepted again without a restart"
        found.append(Concern("disk", "", "the disk refuses writes", service.trouble, todo))
    if config.error:
        found.append(Concern("config", "", "the last edit of the config isn't in force", config.error, "fix the file"))
    if config.needs_restart:
        names = ", ".join(config.needs_restart)
        found.append(Concern("config", "", f"a restart is needed to apply {names}", todo="restart the service"))
    return found
