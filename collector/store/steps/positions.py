"""Steps on positions: how far events were read from a log such as Kafka's, and where each batch begins and ends."""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import uuid6

from collector.store.records import Fetched, Offsets, Range, Reading, Sealed
from collector.store.steps.batches import seal
from collector.store.steps.collectors import last_fired
from collector.store.steps.frames import INSERT_FRAME, frame_row
from collector.store.steps.parts import last_moved, sweep

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from collector.store.records import Cut

# Stands where a batch's end would: nobody has to read its events again. Later ones were delivered, or the events were
# posted, and are nowhere but here.
_MARK = "SELECT id, collector, '', -1, 0, 0 FROM batch WHERE collector = :c"
_ENDS = "SELECT batch FROM batch_end WHERE topic <> ''"
_IS_MARKED = "id IN (SELECT batch FROM batch_end WHERE topic = '')"
_NAMESPACE = uuid.UUID("7e0b8a52-4f0e-5a5c-9b7c-0d8f3a1c6e24")
_UNDELIVERED = "state IN ('sealed', 'evaluated')"


def batch_id(collector: str, firsts: Offsets, ends: Offsets, sealed: float) -> str:
    """Return the id of the batch with these rows; each service that makes it gives it the same id.

    A partition that it has no rows of doesn't count: it may have been added since.
    """
    rows = sorted((*at, firsts.get(at, end), end) for at, end in ends.items() if end != firsts.get(at, end))
    return str(uuid.uuid5(_NAMESPACE, json.dumps([collector, rows, f"{sealed:.3f}"])))


def keep_fetched(db: sqlite3.Connection, collector: str, fetched: Iterable[Fetched], positions: Offsets) -> None:
    """Keep frames in the open batch, and how far they were read."""
    for one in fetched:
        db.execute(INSERT_FRAME, frame_row(collector, one.frame, one.received))
        db.execute(
            "INSERT INTO fetched VALUES (last_insert_rowid(), ?, ?, ?, ?)",
            (collector, one.topic, one.partition, one.first),
        )
    for (topic, partition), next_ in positions.items():
        db.execute(
            "INSERT INTO position VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next",
            (collector, topic, partition, next_, next_),
        )


def name_batch(db: sqlite3.Connection, collector: str, cut: Cut) -> Cut:
    """Enter where the batch that is being cut begins and ends; return the cut with its id, and its time made unique."""
    cut = replace(cut, sealed=_after_others(db, collector, cut.sealed))
    last = cut.last or last_moved(db, collector, None)
    left = (
        "SELECT fetched.seq, topic, partition, first FROM fetched JOIN frame ON frame.seq = fetched.seq "
        "WHERE fetched.collector = ? AND frame.batch IS NULL AND fetched.seq > ?"
    )
    found = db.execute(
        "SELECT topic, partition, first, COALESCE("  # noqa: S608  (ours)
        f"(SELECT MIN(l.first) FROM ({left}) AS l "
        "WHERE l.topic = position.topic AND l.partition = position.partition), next) FROM position WHERE collector = ?",
        (collector, last, collector),
    ).fetchall()
    firsts = {(topic, partition): first for topic, partition, first, _ in found}
    ends = {(topic, partition): end for topic, partition, _, end in found}
    name = batch_id(collector, firsts, ends, cut.sealed)
    db.execute(
        f"DELETE FROM fetched WHERE collector = ? AND seq NOT IN (SELECT seq FROM ({left}))",  # noqa: S608  (ours)
        (collector, collector, last),
    )
    for (topic, partition), end in ends.items():
        at = (collector, topic, partition)
        db.execute("INSERT INTO batch_end VALUES (?, ?, ?, ?, ?, ?)", (name, *at, firsts[topic, partition], end))
        db.execute("UPDATE position SET first = ? WHERE collector = ? AND topic = ? AND partition = ?", (end, *at))
    return replace(cut, batch=name)


def _after_others(db: sqlite3.Connection, collector: str, sealed: float) -> float:
    """Return a time later than that of each published batch: batches are sorted and told apart by it.

    Two may be sealed within a millisecond, or the clock may be set back between them.
    """
    query = f"SELECT MAX(sealed) FROM batch WHERE collector = ? AND id IN ({_ENDS})"  # noqa: S608  (ours)
    last = db.execute(query, (collector,)).fetchone()[0]
    return sealed if last is None else max(sealed, round(last + 0.001, 3))


def read_positions(db: sqlite3.Connection, collector: str) -> Reading | None:
    """Return how far a collector's events were read; None if they never were."""
    oldest = _leave_behind(db, collector)
    # Messages without events needn't be read again: aborted ones, ends of transactions, values that are gone.
    db.execute(
        "UPDATE position SET first = next WHERE collector = :c AND first < next AND :oldest IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM frame WHERE collector = :c AND batch IS NULL) "
        "AND NOT EXISTS (SELECT 1 FROM part WHERE collector = :c AND batch IS NULL)",
        {"c": collector, "oldest": oldest},
    )
    rows = db.execute("SELECT topic, partition, first, next FROM position WHERE collector = ?", (collector,)).fetchall()
    if not rows:
        return None
    base = {(topic, partition): first for topic, partition, first, _ in rows}
    batches = []
    found = db.execute(
        "SELECT batch.id, sealed, topic, partition, first, next FROM batch "
        "JOIN batch_end ON batch.id = batch_end.batch WHERE batch.collector = ? AND topic <> '' "
        "ORDER BY batch.rowid DESC",
        (collector,),
    )
    ends: dict[str, Sealed] = {}
    for id_, sealed, topic, partition, first, next_ in found:
        if id_ not in ends:
            ends[id_] = Sealed(sealed, {})
            batches.append(ends[id_])
        ends[id_].ends[topic, partition] = next_
        base[topic, partition] = first
    next_offsets = {(topic, partition): next_ for topic, partition, _, next_ in rows}
    return Reading(next_offsets, base, tuple(reversed(batches)), last_fired(db, collector))


def _leave_behind(db: sqlite3.Connection, collector: str) -> int | None:
    """Forget the ends of batches older than all undelivered ones; return the number of the oldest undelivered one.

    Later batches stay published, whatever became of them: otherwise their events would be taken for those of the next.
    A batch whose report failed is left behind, even if it is tried again: the others have gone on.
    """
    (oldest,) = db.execute(
        f"SELECT MIN(rowid) FROM batch WHERE collector = ? AND {_UNDELIVERED} AND id IN ({_ENDS})",  # noqa: S608  (ours)
        (collector,),
    ).fetchone()
    of = {"c": collector, "oldest": oldest}
    ours = "SELECT id FROM batch WHERE collector = :c"
    gone = "DELETE FROM batch_end WHERE collector = :c AND batch NOT IN"
    db.execute(f"{gone} ({ours} AND rowid >= :oldest) AND topic <> ''", of)
    db.execute(f"INSERT OR IGNORE INTO batch_end {_MARK} AND state = 'failed' AND id NOT IN ({_ENDS})", of)
    db.execute(f"{gone} ({ours} AND state <> 'delivered') AND topic = ''", of)
    return None if oldest is None else int(oldest)


def batch_ranges(db: sqlite3.Connection, batch: str) -> list[Range]:
    """Return where the events of a batch are, that isn't left behind yet."""
    found = "SELECT topic, partition, first, next FROM batch_end WHERE batch = ? AND first < next"
    return [Range(*one) for one in db.execute(found, (batch,))]


def read_writer(db: sqlite3.Connection) -> str:
    """Return the name of this journal in published chains."""
    return str(db.execute("SELECT id FROM writer").fetchone()[0])


def begin_at(
    db: sqlite3.Connection, collector: str, offsets: Offsets, published: Iterable[str] = (), now: float = 0.0
) -> tuple[list[str], list[str], int]:
    """Drop what is kept of a collector's undelivered events, which are to be read again, from these offsets.

    What was delivered, failed or posted stays, unless it is ``published`` as undelivered: then it comes again under the
    same id. Returns the paths of parts and the ids of batches that are gone, and the undelivered bytes.
    """
    while sweep(db, collector) is not None:
        pass
    if db.execute("SELECT 1 FROM position WHERE collector = ?", (collector,)).fetchone() is None:
        seal(db, collector, str(uuid6.uuid7()), math.inf, now)
        db.execute(f"INSERT OR IGNORE INTO batch_end {_MARK} AND {_UNDELIVERED}", {"c": collector})
    again = json.dumps(list(published))
    ids = [
        id_
        for (id_,) in db.execute(
            f"SELECT id FROM batch WHERE collector = ? AND ({_UNDELIVERED} AND NOT {_IS_MARKED} "  # noqa: S608  (ours)
            "OR id IN (SELECT value FROM json_each(?)))",
            (collector, again),
        )
    ]
    gone = "collector = ? AND (batch IS NULL OR batch IN (SELECT value FROM json_each(?)))"
    of = (collector, json.dumps(ids))
    delivered = "(SELECT id FROM batch WHERE state = 'delivered')"
    parts = [path for (path,) in db.execute(f"SELECT path FROM part WHERE {gone}", of)]  # noqa: S608  (ours)
    size = sum(
        db.execute(
            f"SELECT TOTAL(size) FROM {table} WHERE {gone} AND (batch IS NULL OR batch NOT IN {delivered})",  # noqa: S608  (ours)
            of,
        ).fetchone()[0]
        for table in ("frame", "part")
    )
    for table in ("frame", "part"):
        db.execute(f"DELETE FROM {table} WHERE {gone}", of)  # noqa: S608  (ours)
    db.executemany("DELETE FROM batch WHERE id = ?", [(id_,) for id_ in ids])
    db.executemany("DELETE FROM snapshot WHERE batch = ?", [(id_,) for id_ in ids])
    db.executemany("DELETE FROM batch_end WHERE batch = ?", [(id_,) for id_ in ids])
    _leave_behind(db, collector)
    for table in ("position", "fetched", "open_columns"):
        db.execute(f"DELETE FROM {table} WHERE collector = ?", (collector,))  # noqa: S608  (ours)
    keep_fetched(db, collector, (), offsets)
    return parts, ids, int(size)
