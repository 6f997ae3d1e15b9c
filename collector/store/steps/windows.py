"""Steps on windows of event time: which have rows in open parts, and how one of them becomes a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.store.records import Cut
from collector.store.steps.collectors import set_clock
from collector.store.steps.parts import last_moved

if TYPE_CHECKING:
    import sqlite3

# A part that was made before the collector had windows counts as of the first open one.
_OPEN = "collector = ? AND batch IS NULL AND COALESCE(window, ?)"


def last_open_frame(db: sqlite3.Connection, collector: str) -> int:
    """Return the number of the newest open frame that is in no part; 0 if there is none."""
    query = "SELECT COALESCE(MAX(seq), 0) FROM frame WHERE collector = ? AND batch IS NULL AND seq > ?"
    return int(db.execute(query, (collector, last_moved(db, collector, None))).fetchone()[0])


def has_open_frames(db: sqlite3.Connection, collector: str, upto: int) -> bool:
    """Tell whether open frames up to a number are in no part."""
    query = "SELECT 1 FROM frame WHERE collector = ? AND batch IS NULL AND seq > ? AND seq <= ? LIMIT 1"
    return db.execute(query, (collector, last_moved(db, collector, None), upto)).fetchone() is not None


def open_windows(db: sqlite3.Connection, collector: str, first: float) -> list[float]:
    """Return the starts of the windows that have open parts, in their order; ``first`` is the first that is open."""
    query = "SELECT DISTINCT COALESCE(window, ?) FROM part WHERE collector = ? AND batch IS NULL ORDER BY 1"
    return [start for (start,) in db.execute(query, (first, collector))]


def move_window(db: sqlite3.Connection, collector: str, start: float, to: float) -> None:
    """Have the open parts of a window be of another."""
    db.execute(
        "UPDATE part SET window = ? WHERE collector = ? AND batch IS NULL AND window = ?", (to, collector, start)
    )


def seal_window(  # noqa: PLR0913  (all of them differ from call to call)
    db: sqlite3.Connection,
    collector: str,
    batch_id: str,
    window: tuple[float, float],
    open_from: tuple[float, float],
    now: float,
) -> Cut:
    """Make a batch of the open parts of a window, and enter from which moment windows are open: before, and now."""
    start, end = window
    before, after = open_from
    of_window = (collector, before, start)
    total, opened = db.execute(
        f"SELECT TOTAL(rows), MIN(opened) FROM part WHERE {_OPEN} = ?",  # noqa: S608  (ours)
        of_window,
    ).fetchone()
    set_clock(db, collector, after)
    if not total:
        return Cut(0, 0, 0, 0, 0, 0, 0)
    sealed = max(opened, now)  # the clock may have been set back
    db.execute(f"UPDATE part SET batch = ? WHERE {_OPEN} = ?", (batch_id, *of_window))  # noqa: S608  (ours)
    db.execute(
        'INSERT INTO batch(id, collector, state, rows, opened, sealed, start, "end") '
        "VALUES (?, ?, 'sealed', ?, ?, ?, ?, ?)",
        (batch_id, collector, int(total), opened, sealed, start, end),
    )
    return Cut(int(total), 0, 0, 0, 0, opened, sealed)
