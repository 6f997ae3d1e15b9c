"""A collector's own page: its last snapshots, plots, log and failed batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from collector.views.page.drawing import clock, draw
from collector.views.page.past import drift_series, failures_series, value_series
from collector.views.page.plots import Point, Series, plot
from collector.views.page.view import View
from collector.wording import counted, lasting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collector.status.status import Status
    from collector.store.records import Batch
    from collector.views.page.overview import Frame
    from collector.views.page.past import Past

_PLOT = (560, 120)
_VALUES = 8
_KINDS = {
    "CreateReport": "report",
    "CheckReport": "check",
    "UploadReport": "delivery",
    "MakeDashboard": "dashboard",
    "SkipEvents": "events",
    "JoinLabels": "labels",
}


@dataclass(frozen=True)
class Detail:
    """What is read of one collector for its page alone: its last snapshots whole, its log, and its failed batches."""

    status: Status
    pasts: tuple[Past, ...]
    log: tuple[dict[str, Any], ...]
    failed: tuple[Batch, ...]


def detail_pieces(detail: Detail) -> dict[str, str]:
    """Draw the pieces of the page that show a collector's past."""
    status, pasts = detail.status, detail.pasts
    series = [drift_series(pasts), failures_series(pasts), *value_series(pasts, _VALUES), _rows_series(pasts)]
    plots = [one for one in (plot(each, *_PLOT, margin=6) for each in series if len(each.points) > 1) if one]
    return {
        "plots": draw("plots.html", plots=plots),
        "snapshots": draw("snapshots.html", pasts=pasts, status=status),
        "failed": draw("failed.html", batches=detail.failed, id=status.id),
        "log": draw("log.html", entries=[_shown(entry) for entry in detail.log], kinds=_KINDS),
    }


def detail_view(frame: Frame, status: Status, pieces: Mapping[str, str]) -> View:
    """Show a collector in a frame, with what was drawn of its past."""
    row = frame.drawn[status.id].row
    told = {"labels": _labels(status, frame.now), "kafka": _kafka(status), "reference": _reference(status, frame.now)}
    told["logged"] = _logged(status)
    state = draw("state.html", row=row, status=status, **told)
    tone = row.concerns[0].tone if row.concerns else "good"
    title, cells = f"{status.id} · Evidently collector", {"state": frame.cells[row.key]}
    return View(frame.number, frame.now, title, tone, {**pieces, "state": state}, cells)


def _labels(status: Status, now: float) -> str:
    """Say how far batches that wait for labels have come; nothing without labels in the config."""
    if status.labels is None:
        return ""
    batches, rows, labelled = (status.labels[name] for name in ("waiting_batches", "waiting_rows", "labelled_rows"))
    told = [f"{fate} {count}" for fate, count in status.labels["rows"].items() if count]
    if batches:
        due = max(0.0, status.labels["next_close"] - now)
        so_far = f"{labelled} of {rows} rows in {counted(batches, 'batch')} have one"
        told.insert(0, f"{so_far}, the next batch closes in {lasting(due)}")
    return "; ".join(told) or "no batch waits for labels"


def _logged(status: Status) -> str:
    """Say what became of logged requests and responses; nothing unless the config has ``input``."""
    if status.logged is None:
        return ""
    halves, made, expired = (status.logged.get(name, 0) for name in ("halves", "kept", "expired"))
    told = f"{counted(made, 'event')} made; {halves} requests or responses wait for their other half"
    return f"{told}; {expired} expired" if expired else told


def _kafka(status: Status) -> str:
    """Say where a collector with events from Kafka is at work, and how far it has read."""
    told = status.kafka
    if told is None:
        return ""
    posted = f"what is posted goes to topic {told['gateway']}" if told.get("gateway") else ""
    if status.state == "standby":
        where = f"at work at {told['owner'] or 'another service of the group'}"
    else:
        where = "" if told["lag"] is None else f"{counted(told['lag'], 'message')} not read yet"
    return "; ".join(filter(None, (where, posted)))


def _reference(status: Status, now: float) -> str:
    """Say what reports are compared with; nothing if that is a file that somebody gave."""
    if status.reference is None:
        return ""
    source, rows = status.reference["from"], status.reference["rows"]
    if "needs" in status.reference:
        return f"none yet: it is made of {source}, and {rows} of {status.reference['needs']} rows are there"
    return f"{source}: {counted(rows, 'row')}, made {lasting(now - status.reference['since'])} ago"


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"time": clock(datetime.fromisoformat(entry["time"]).timestamp())}


def _rows_series(pasts: Sequence[Past]) -> Series:
    return Series("rows", tuple(Point(past.time, past.rows) for past in reversed(pasts)))
