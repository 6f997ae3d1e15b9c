"""Steps on batches: sealed, evaluated, delivered or failed, and dropped in the end."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from collector.store.records import Batch, Cut
from collector.store.steps.parts import last_moved, select_parts
from collector.store.steps.snapshots import update_delivered

if TYPE_CHECKING:
    from collector.config import Retention
    from collector.store.records import State

# How many delivered batches of a collector stay known once their parts are gone.
KEPT_BATCHES = 100


# Gives a batch its name, in the transaction that cuts it off.
Naming = Callable[[sqlite3.Connection, str, Cut], Cut]


def seal(db: sqlite3.Connection, collector: str, named: str | Naming, rows: float, now: float) -> Cut:
    """Make a batch of the oldest open rows, unless there are none, or too few."""
    cut = _find_cut(db, collector, rows, now)
    if cut.rows < rows < math.inf:
        return Cut(0, 0, 0, 0, 0, 0, 0)
    if cut.rows:
        cut = replace(cut, batch=named) if isinstance(named, str) else named(db, collector, cut)
        open_rows = (cut.batch, collector)
        db.execute("UPDATE part SET batch = ? WHERE collector = ? AND batch IS NULL", open_rows)
        db.execute(
            "UPDATE frame SET batch = ? WHERE collector = ? AND batch IS NULL AND seq > ? AND seq <= ?",
            (*open_rows, last_moved(db, collector, None), cut.last),
        )
        db.execute(
            "INSERT INTO batch(id, collector, state, rows, opened, sealed) VALUES (?, ?, 'sealed', ?, ?, ?)",
            (*open_rows, cut.rows, cut.opened, cut.sealed),
        )
    return cut


def _find_cut(db: sqlite3.Connection, collector: str, rows: float, now: float) -> Cut:
    """Find the end of a batch of at least ``rows`` rows: all parts, which are the oldest rows, then whole frames."""
    total, opened = db.execute(
        "SELECT TOTAL(rows), MIN(opened) FROM part WHERE collector = ? AND batch IS NULL", (collector,)
    ).fetchone()
    frames, frame_rows, frame_bytes, last, received = db.execute(
        "WITH upto AS (SELECT seq, rows, size, received, SUM(rows) OVER (ORDER BY seq) AS all_rows FROM frame "
        "WHERE collector = ? AND batch IS NULL AND seq > ?) "
        "SELECT COUNT(*), TOTAL(rows), TOTAL(size), MAX(seq), MIN(received) FROM upto WHERE all_rows - rows < ?",
        (collector, last_moved(db, collector, None), rows - total),
    ).fetchone()
    opened = opened or received or 0
    sealed = max(opened, now)  # the clock may have been set back
    return Cut(int(total + frame_rows), frames, int(frame_rows), int(frame_bytes), last or 0, opened, sealed)


def select_batches(db: sqlite3.Connection, collector: str, states: tuple[State, ...]) -> list[Batch]:
    """Return the batches in one of these states in the order in which they were sealed, whatever the clock did."""
    wanted = ", ".join("?" * len(states))
    rows = db.execute(
        f"SELECT * FROM batch WHERE collector = ? AND state IN ({wanted}) ORDER BY rowid",  # noqa: S608  (only marks)
        (collector, *states),
    )
    return [_batch(row) for row in rows]


def find_batch(db: sqlite3.Connection, batch_id: str) -> Batch | None:
    """Return a batch as it is now; None if it is gone."""
    row = db.execute("SELECT * FROM batch WHERE id = ?", (batch_id,)).fetchone()
    return None if row is None else _batch(row)


def update_batch(db: sqlite3.Connection, batch: Batch) -> None:
    """Write down a batch's state and outcome, with the window of its events."""
    db.execute(
        'UPDATE batch SET state = ?, attempts = ?, outcome = ?, error = ?, start = ?, "end" = ? WHERE id = ?',
        (batch.state, batch.attempts, json.dumps(batch.outcome), batch.error, batch.start, batch.end, batch.id),
    )


def retry(db: sqlite3.Connection, collector: str) -> list[Batch]:
    """Take all failed batches of a collector back to ``sealed``; return them as they were."""
    failed = select_batches(db, collector, ("failed",))
    db.execute(
        "UPDATE batch SET state = 'sealed', attempts = 0, error = '' WHERE collector = ? AND state = 'failed'",
        (collector,),
    )
    return failed


def finish(db: sqlite3.Connection, batch: Batch, now: float) -> tuple[list[str], int]:
    """Take a batch to ``delivered``; return the paths of its parts and their bytes, 0 if it was there already."""
    done = db.execute(
        "UPDATE batch SET state = 'delivered', error = '', delivered = ? WHERE id = ? AND state <> 'delivered'",
        (now, batch.id),
    )
    update_delivered(db, batch.id, now)
    parts = select_parts(db, batch.id)
    return [part.path for part in parts], sum(part.size for part in parts) if done.rowcount else 0


def prune(
    db: sqlite3.Connection, collector: str, retention: Retention, now: float, needed: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """Drop the parts of the oldest delivered batches beyond the retention; return their paths and ids.

    Those that are ``needed`` stay.
    """
    oldest = -math.inf if retention.seconds is None else now - retention.seconds
    size = 0
    paths, ids = [], []
    number: Counter[str] = Counter()
    for id_, report, delivered in _kept_batches(db, collector):
        parts = select_parts(db, id_)
        size += sum(part.size for part in parts)
        number[report] += 1
        is_beyond = number[report] > retention.batches or size > retention.max_bytes or delivered < oldest
        if is_beyond and id_ not in needed:
            paths += [part.path for part in parts]
            ids.append(id_)
    db.executemany("DELETE FROM part WHERE batch = ?", [(id_,) for id_ in ids])
    db.execute(
        "DELETE FROM batch WHERE collector = ? AND state = 'delivered' AND rowid NOT IN "  # noqa: S608  (ours)
        "(SELECT rowid FROM batch WHERE collector = ? AND state = 'delivered' "
        "ORDER BY is_backfill, rowid DESC LIMIT ?) "
        f"AND id NOT IN (SELECT batch FROM part WHERE collector = ? AND batch IS NOT NULL) AND {_WAITS_FOR_NONE}",
        (collector, collector, KEPT_BATCHES, collector),
    )
    return paths, ids


# Batches that wait for labels are kept, whatever the retention says.
_WAITS_FOR_NONE = "id NOT IN (SELECT batch FROM awaited WHERE cut IS NULL)"


def _kept_batches(db: sqlite3.Connection, collector: str) -> list[tuple[str, str, float]]:
    """Return id, report and time of delivery of the delivered batches whose parts are kept.

    The newest come first, backfilled ones last. Batches that wait for labels aren't among them.
    """
    return db.execute(
        "SELECT id, report, delivered FROM batch WHERE collector = ? AND state = 'delivered' "  # noqa: S608  (ours)
        f"AND EXISTS (SELECT 1 FROM part WHERE part.batch = batch.id) AND {_WAITS_FOR_NONE} "
        "ORDER BY is_backfill, rowid DESC",
        (collector,),
    ).fetchall()


def _batch(row: tuple[Any, ...]) -> Batch:
    (*values, result, error, _, report, source, start, end, is_backfill, replaces) = row
    named = (report, source, start, end, bool(is_backfill), tuple(replaces.split()))
    return Batch(*(*values, json.loads(result), error, *named))
