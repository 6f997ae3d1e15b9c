"""Steps on parts: which frames become one, and how it takes their place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from collector.store.records import Part, Run
from collector.store.steps.frames import body_files, remove_frames

if TYPE_CHECKING:
    import sqlite3

    from collector.store.records import Batch

# How many frames become a part together: to seal this many that wait in the journal takes 20 ms.
MAX_FRAMES = 10_000
# How many frames that are in parts are removed at once, and how many bytes: a commit waits some 0.3 ms for them.
SWEPT_FRAMES = 50
SWEPT_BYTES = 1024**2


def count_parts(db: sqlite3.Connection) -> list[tuple[str, str | None, int, int]]:
    """Return the rows and bytes of all parts that aren't delivered, by collector and batch (None: the open one)."""
    return db.execute(
        "SELECT part.collector, batch, SUM(part.rows), SUM(size) FROM part "
        "LEFT JOIN batch ON batch.id = part.batch WHERE batch.state IS NOT 'delivered' GROUP BY part.collector, batch"
    ).fetchall()


def find_run(db: sqlite3.Connection, collector: str, batch: str | None, rows: int, max_bytes: int) -> Run | None:
    """Find the oldest frames of a batch (None: the open one), up to ``rows`` and ``max_bytes``, but at least one."""
    after = last_moved(db, collector, batch)
    run = _oldest(db, collector, batch, (after, math.inf), (MAX_FRAMES, rows, max_bytes))
    if run is None:
        return None
    # Only a damaged journal has such a frame: a part is made of all of a collector's frames between two numbers.
    (foreign,) = db.execute(
        "SELECT MIN(seq) FROM frame WHERE collector = ? AND seq BETWEEN ? AND ? AND batch IS NOT ?",
        (collector, run.first, run.last, batch),
    ).fetchone()
    return run if foreign is None else _oldest(db, collector, batch, (after, foreign), (MAX_FRAMES, rows, max_bytes))


# The oldest frames of a batch with numbers between two; and the columns of a run.
_OLDEST = (
    "WITH oldest AS (SELECT seq, rows, size, received FROM frame "
    "WHERE collector = ? AND batch IS ? AND seq > ? AND seq < ? ORDER BY seq LIMIT ?)"
)
_RUN = "SELECT MIN(seq), MAX(seq), COUNT(*), SUM(rows), SUM(size), MIN(received) FROM"


def _oldest(
    db: sqlite3.Connection,
    collector: str,
    batch: str | None,
    between: tuple[float, float],
    limits: tuple[int, float, int],
) -> Run | None:
    """Find the oldest frames of a batch with numbers between two, within limits of frames, rows and bytes."""
    most, *sums = limits
    found = db.execute(f"{_OLDEST} {_RUN} oldest", (collector, batch, *between, most)).fetchone()
    if not found[2]:
        return None
    run = Run(collector, *found)
    if run.rows <= sums[0] and run.size <= sums[1]:
        return run  # takes a fifth of the time of the sums below
    upto = (
        "upto AS (SELECT *, SUM(rows) OVER (ORDER BY seq) AS all_rows, SUM(size) OVER (ORDER BY seq) AS all_bytes, "
        "ROW_NUMBER() OVER (ORDER BY seq) AS number FROM oldest)"
    )
    found = db.execute(
        f"{_OLDEST}, {upto} {_RUN} upto WHERE number = 1 OR (all_rows <= ? AND all_bytes <= ?)",
        (collector, batch, *between, most, *sums),
    ).fetchone()
    return Run(collector, *found)


def move_to_part(db: sqlite3.Connection, run: Run, *made: Part) -> tuple[bool, str | None]:
    """Put parts in place of their frames, which are left to ``sweep``; tell if it was done, and in which batch.

    There is one, or one for each window of event time. Nothing is done if a batch was sealed in their midst: a part
    belongs to one batch. Parts may have less rows than their frames, or none, if some of them were damaged.
    """
    # A batch has all frames up to a number. So if the first and the last frame are in one batch, all between them are.
    ends = db.execute(
        "SELECT batch FROM frame WHERE +collector = ? AND seq IN (?, ?)", (run.collector, run.first, run.last)
    ).fetchall()
    if len(ends) != len({run.first, run.last}) or len(set(ends)) != 1:
        return False, None
    [batch] = ends[0]
    if run.first <= last_moved(db, run.collector, batch):
        return False, None
    for part in made:
        if part.rows:
            place = (part.path, run.collector, batch, part.rows, part.size, run.first, run.opened, part.window)
            db.execute("INSERT INTO part VALUES (?, ?, ?, ?, ?, ?, ?, ?)", place)
    db.execute("UPDATE batch SET rows = rows - ? WHERE id = ?", (run.rows - sum(part.rows for part in made), batch))
    db.execute("INSERT INTO moved VALUES (?, ?, ?, ?)", (run.collector, batch, run.first, run.last))
    return True, batch


def last_moved(db: sqlite3.Connection, collector: str, batch: str | None) -> int:
    """Return the number up to which the frames of a batch are in parts, whether or not they are still there."""
    query = "SELECT COALESCE(MAX(last_seq), 0) FROM moved WHERE collector = ? AND batch IS ?"
    return int(db.execute(query, (collector, batch)).fetchone()[0])


def sweep(db: sqlite3.Connection, collector: str) -> set[str] | None:
    """Remove a few frames of a collector that are in a part; name the files of their bodies, None if none was left."""
    moved = db.execute(
        "SELECT rowid, batch, first_seq, last_seq FROM moved WHERE collector = ? ORDER BY rowid", (collector,)
    ).fetchone()
    if moved is None:
        return None
    rowid, batch, first, last = moved
    run = _oldest(db, collector, batch, (first - 1, last + 1), (SWEPT_FRAMES, math.inf, SWEPT_BYTES))
    if run is None or run.last == last:
        db.execute("DELETE FROM moved WHERE rowid = ?", (rowid,))
    if run is None:
        return set()
    bodies = body_files(db, collector, run.first, run.last)
    remove_frames(db, collector, batch, run.first, run.last)
    return bodies


def unswept(db: sqlite3.Connection) -> list[str]:
    """Name the collectors that have frames which are in parts."""
    return [collector for (collector,) in db.execute("SELECT DISTINCT collector FROM moved")]


def select_parts(db: sqlite3.Connection, batch_id: str) -> list[Part]:
    """Return the parts of a batch in the order of their rows."""
    rows = db.execute("SELECT path, rows, size FROM part WHERE batch = ? ORDER BY first_seq", (batch_id,))
    return [Part(*row) for row in rows]


def move_parts(db: sqlite3.Connection, new_paths: dict[str, str]) -> None:
    """Enter where parts are now."""
    db.executemany("UPDATE part SET path = ? WHERE path = ?", [(new, old) for old, new in new_paths.items()])


def drop_parts(db: sqlite3.Connection, batch: Batch, paths: list[str]) -> tuple[int, int]:
    """Drop some of a batch's parts; return how many rows and bytes go with them."""
    gone = [part for part in select_parts(db, batch.id) if part.path in paths]
    rows, size = sum(part.rows for part in gone), sum(part.size for part in gone)
    db.executemany("DELETE FROM part WHERE path = ?", [(part.path,) for part in gone])
    db.execute("UPDATE batch SET rows = rows - ? WHERE id = ?", (rows, batch.id))
    return rows, size
