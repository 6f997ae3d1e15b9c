"""Steps on whole batches: one body is a batch of its own, sealed at once beside the open one, and known for long."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from collector.errors import NotReady
from collector.store.records import Replaced, Taken, labelled_id
from collector.store.steps.batches import find_batch
from collector.store.steps.frames import INSERT_FRAME, frame_row
from collector.store.steps.labels import forget_awaited
from collector.store.steps.parts import select_parts

if TYPE_CHECKING:
    import sqlite3

    from collector.formats.frames import Frame
    from collector.store.records import Whole

# Whole batches of a collector that stay known; the newest do. Enough for one an hour for eleven years.
MAX_KNOWN = 100_000


def take_whole(db: sqlite3.Connection, whole: Whole, frame: Frame, now: float) -> Taken:
    """Make a batch of a frame, unless it is known; tell which batch it is, and what went for it.

    Raises NotReady if it replaces one that isn't delivered yet: its snapshot would come after.
    """
    known = _known(db, whole)
    if known is not None and not whole.is_replacement:
        return Taken(known, is_new=False)
    batch_id = known or _free_id(db, whole.id)
    replaced = [one for old in _of_window(db, whole) for one in _drop_all(db, old)] if whole.is_replacement else []
    db.execute(INSERT_FRAME, frame_row(whole.collector, frame, now))
    db.execute("UPDATE frame SET batch = ? WHERE seq = last_insert_rowid()", (batch_id,))
    db.execute(
        'INSERT INTO batch(id, collector, state, rows, opened, sealed, start, "end", is_backfill, replaces) '
        "VALUES (?, ?, 'sealed', ?, ?, ?, ?, ?, ?, ?)",
        (
            *(batch_id, whole.collector, frame.rows, now, now, whole.start, whole.end, whole.is_backfill),
            " ".join(one.batch for one in replaced),
        ),
    )
    _enter(db, whole, batch_id)
    return Taken(batch_id, is_new=True, replaced=tuple(replaced))


def _known(db: sqlite3.Connection, whole: Whole) -> str | None:
    query = "SELECT id FROM whole_batch WHERE collector = ? AND digest = ?"
    found = db.execute(query, (whole.collector, whole.digest)).fetchone()
    return None if found is None else str(found[0])


def _free_id(db: sqlite3.Connection, batch_id: str) -> str:
    """Return an id that no batch has: a renamed collector may have taken this one along."""
    while find_batch(db, batch_id) is not None:
        batch_id = str(uuid.uuid5(uuid.NAMESPACE_OID, batch_id))
    return batch_id


def _of_window(db: sqlite3.Connection, whole: Whole) -> list[str]:
    query = 'SELECT id FROM whole_batch WHERE collector = ? AND start = ? AND "end" = ? ORDER BY rowid'
    return [id_ for (id_,) in db.execute(query, (whole.collector, whole.start, whole.end)).fetchall()]


def _drop_all(db: sqlite3.Connection, batch_id: str) -> list[Replaced]:
    """Drop a replaced batch, and the batch of its rows that have labels; either may be gone by now."""
    forget_awaited(db, [batch_id])
    return [_drop(db, one) for one in (batch_id, labelled_id(batch_id))]


def _drop(db: sqlite3.Connection, batch_id: str) -> Replaced:
    """Drop a replaced batch, with all that is known of it."""
    batch = find_batch(db, batch_id)
    if batch is not None and batch.state in {"sealed", "evaluated"}:
        raise NotReady(f"batch {batch_id} of the same window is on its way; try again once it is delivered")
    parts = select_parts(db, batch_id)
    for table, column in (("part", "batch"), ("batch", "id"), ("snapshot", "batch"), ("whole_batch", "id")):
        db.execute(f"DELETE FROM {table} WHERE {column} = ?", (batch_id,))  # noqa: S608  (names of ours)
    is_counted = batch is not None and batch.state != "delivered"
    return Replaced(batch_id, tuple(part.path for part in parts), sum(part.size for part in parts) * is_counted)


def _enter(db: sqlite3.Connection, whole: Whole, batch_id: str) -> None:
    db.execute(
        "INSERT INTO whole_batch VALUES (?, ?, ?, ?, ?)",
        (whole.collector, whole.digest, batch_id, whole.start, whole.end),
    )
    db.execute(
        "DELETE FROM whole_batch WHERE collector = ? AND rowid <= "
        "(SELECT rowid FROM whole_batch WHERE collector = ? ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
        (whole.collector, whole.collector, MAX_KNOWN),
    )
