"""Columns: what the screen tells of each collector beside its id, and what is left out first where it is narrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collector.status.findings import bad_tests
from collector.views.words import short
from collector.wording import lasting

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.status.segments import BySegment
    from collector.status.status import Status
    from collector.views.history import History

# Only colours that are clear on black and on white. Each says no more than its sign or word says.
SIGNS = {
    "starting": ("○", "dim"),
    "waiting": ("●", "green"),
    "evaluating": ("◐", "bold"),
    "undelivered": ("▲", "magenta"),
    "misconfigured": ("✖", "red"),
    "crashed": ("✖", "red"),
    "retired": ("◌", "dim"),
    "standby": ("◌", "dim"),
    "restoring": ("◐", "bold"),
}
GAP = 2
_WIDE = 170

Piece = tuple[str, str]


@dataclass(frozen=True)
class Column:
    """One column; of those that don't fit, the one with the highest ``rank`` is left out first."""

    title: str
    width: int
    rank: int
    show: Callable[[Status], Piece]
    is_right: bool = False


def choose_columns(width: int, now: float, history: History | None) -> list[Column]:
    """Return the columns that ``width`` has room for, in their order."""
    chosen = _all_columns(now, history, is_wide=width >= _WIDE)
    while chosen and sum(column.width + GAP for column in chosen) > width:
        chosen.remove(max(chosen, key=lambda column: column.rank))
    return chosen


def _all_columns(now: float, history: History | None, *, is_wide: bool) -> list[Column]:
    text, bar, result = (22, 16, 28) if is_wide else (11, 6, 13)
    return [
        Column("state", 13, 6, lambda status: (status.state, SIGNS.get(status.state, ("", ""))[1])),
        Column("open", 5, 0, lambda status: (short(status.rows_waiting), ""), is_right=True),
        *([] if history is None else _rates(history, 20 if is_wide else 8)),
        Column("", bar, 4, lambda status: (_bar(status, now, bar), "")),
        Column("next batch", text, 2, lambda status: (_awaited(status, now, is_long=is_wide), "")),
        Column("last snapshot", result, 1, lambda status: _result(status.last_snapshot, is_long=is_wide)),
        Column("age", 4, 5, lambda status: (_age(status.last_snapshot, now), ""), is_right=True),
        Column("outbox", 6, 7, lambda status: (str(status.outbox or "-"), ""), is_right=True),
        Column("failed", 6, 8, lambda status: (str(status.failed or "-"), ""), is_right=True),
    ]


def _rates(history: History, width: int) -> list[Column]:
    def rate(status: Status) -> Piece:
        rows = history.rate(status.id)
        return ("" if rows is None else short(rows)), ""

    return [
        Column("rows/s", 6, 1, rate, is_right=True),
        Column("", width, 3, lambda status: (history.bars(status.id, width), "")),
    ]


# What the trigger waits for


def shares_of(status: Status, now: float) -> tuple[float | None, float | None]:
    """Tell how near the next batch is by rows and by time, from 0 to 1 and beyond; None where it isn't due by these."""
    rows = status.rows_waiting / status.rows_needed if status.rows_needed else None
    if status.last_time is None or status.next_time is None or status.next_time <= status.last_time:
        return rows, None
    return rows, (now - status.last_time) / (status.next_time - status.last_time)


def due(status: Status, now: float) -> str:
    """Say when the next batch is due; nothing if only rows make it due."""
    if status.next_time is None:
        return ""
    return f"in {lasting(status.next_time - now)}" if status.next_time > now else "due"


def _bar(status: Status, now: float, width: int) -> str:
    """Draw how near the next batch is: by rows or by time, whichever is nearer."""
    shares = [share for share in shares_of(status, now) if share is not None]
    if not shares:
        return ""
    full = int(min(1.0, max(0.0, *shares, 0.0)) * width)
    return "━" * full + "╌" * (width - full)


def _awaited(status: Status, now: float, *, is_long: bool) -> str:
    rows = f"{short(status.rows_waiting)}/{short(status.rows_needed)}" if status.rows_needed else ""
    time = due(status, now)
    if rows and time and not is_long:
        by_rows, by_time = shares_of(status, now)
        return rows if (by_rows or 0) >= (by_time or 0) else time
    return " or ".join(filter(None, [rows, time]))


# What the last snapshot said


def _result(last: dict[str, Any], *, is_long: bool) -> Piece:
    """Say how tests and drift stand. If there is room for one, say the tests, unless only the drift is bad."""
    if not last:
        return "-", "dim"
    segments = _segments(last.get("by_segment"))
    pieces = (_failed(last.get("failed_metrics", 0)), _tests(last.get("tests", {})), _drift(last), segments)
    found = [piece for piece in pieces if piece is not None]
    if not found:
        return f"{short(last.get('rows', 0))} rows", ""
    style = "red" if any(style == "red" for _, style in found) else "green"
    if is_long:
        return ", ".join(text for text, _ in found), style
    return next((piece for piece in found if piece[1] == "red"), found[0])


def _failed(metrics: int) -> Piece | None:
    return (f"{metrics} not computed", "red") if metrics else None


def _tests(tests: dict[str, int]) -> Piece | None:
    if not tests:
        return None
    bad, total = bad_tests(tests), sum(tests.values())
    return (f"{bad}/{total} failed", "red") if bad else (f"{total} passed", "green")


def _drift(last: dict[str, Any]) -> Piece | None:
    if "drifted_columns" not in last:
        return None
    style = "red" if last.get("has_drift") else "green"
    return f"{last['drifted_columns']}/{last.get('columns', '?')} drifted", style


def _segments(by_segment: BySegment | None) -> Piece | None:
    if not by_segment or not by_segment["bad"]:
        return None
    return f"{len(by_segment['bad'])}/{len(by_segment['names'])} segments", "red"


def _age(last: dict[str, Any], now: float) -> str:
    return lasting(now - last["time"]) if "time" in last else ""
