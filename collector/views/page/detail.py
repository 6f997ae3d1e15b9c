"""A collector's own page: its last snapshots, plots, log and failed batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from collector.views.page.drawing import clock, draw
from collector.views.page.past import drift_series, failures_series, value_series
from collector.views.page.plots import Point, Series, plot
from collector.views.page.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.status.status import Status
    from collector.store.records import Batch
    from collector.views.page.overview import Frame
    from collector.views.page.past import Past

_PLOT = (560, 120)
_VALUES = 8
_KINDS = {"CreateReport": "report", "UploadReport": "delivery"}


@dataclass(frozen=True)
class Detail:
    """What is read of one collector for its page alone: its log and its failed batches."""

    status: Status
    log: tuple[dict[str, Any], ...]
    failed: tuple[Batch, ...]


def detail_view(frame: Frame, detail: Detail) -> View:
    """Show a collector in a frame."""
    status, drawn = detail.status, frame.drawn[detail.status.id]
    series = [drift_series(drawn.pasts), failures_series(drawn.pasts), *value_series(drawn.pasts, _VALUES)]
    plots = [one for one in (plot(each, *_PLOT, margin=6) for each in [*series, _rows_series(drawn.pasts)]) if one]
    pieces = {
        "state": draw("state.html", row=drawn.row, status=status),
        "plots": draw("plots.html", plots=[one for one in plots if len(one.marks) > 1]),
        "snapshots": draw("snapshots.html", pasts=drawn.pasts, status=status),
        "failed": draw("failed.html", batches=detail.failed, id=status.id),
        "log": draw("log.html", entries=[_shown(entry) for entry in detail.log], kinds=_KINDS),
    }
    tone = drawn.row.concerns[0].tone if drawn.row.concerns else "good"
    title = f"{status.id} · Evidently collector"
    return View(frame.number, frame.now, title, tone, pieces, {"state": frame.cells[drawn.row.key]})


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"time": clock(datetime.fromisoformat(entry["time"]).timestamp())}


def _rows_series(pasts: Sequence[Past]) -> Series:
    return Series("rows", tuple(Point(past.time, past.rows) for past in reversed(pasts)))
