"""Steps on whole collectors: clocks, logs, what goes with one, and which files the journal knows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from collector.disk.checksums import STORED_SIZE, moved_checksum
from collector.formats.stored import file_of
from collector.store.steps.frames import IN_FILE, LAST_NUMBER, body_files, body_places
from collector.store.steps.keys import forget_keys
from collector.store.steps.parts import sweep
from collector.store.streams import labels_of

if TYPE_CHECKING:
    import sqlite3


# All tables with a column for the collector.
_OF_COLLECTORS = """
SELECT m.name FROM sqlite_master AS m, pragma_table_info(m.name) AS i WHERE m.type = 'table' AND i.name = 'collector'
"""


def read_clock(db: sqlite3.Connection, collector: str, start: float, *, is_kept: bool) -> float:
    """Return when a collector's trigger last fired; if it never did, enter ``start``. Forget what isn't to be kept."""
    if not is_kept:
        db.execute("DELETE FROM clock WHERE collector = ?", (collector,))
        return start
    fired = last_fired(db, collector)
    if fired is None:
        set_clock(db, collector, start)
        return start
    return fired


def last_fired(db: sqlite3.Connection, collector: str) -> float | None:
    """Return when a collector's trigger last fired, in Unix seconds; None if it never did."""
    found = db.execute("SELECT fired FROM clock WHERE collector = ?", (collector,)).fetchone()
    return None if found is None else float(found[0])


def set_clock(db: sqlite3.Connection, collector: str, fired: float) -> None:
    """Enter when a collector's trigger last fired."""
    db.execute("INSERT OR REPLACE INTO clock VALUES (?, ?)", (collector, fired))


def insert_log(db: sqlite3.Connection, collector: str, entry: dict[str, Any], keep: int) -> None:
    """Add to a collector's log and keep its last ``keep`` entries; all of them for 0 or less."""
    db.execute("INSERT INTO log(collector, entry) VALUES (?, ?)", (collector, json.dumps(entry)))
    if keep > 0:
        db.execute(
            "DELETE FROM log WHERE collector = ? AND seq NOT IN "
            "(SELECT seq FROM log WHERE collector = ? ORDER BY seq DESC LIMIT ?)",
            (collector, collector, keep),
        )


def select_logs(db: sqlite3.Connection, collector: str) -> list[dict[str, Any]]:
    """Return a collector's log, newest first."""
    rows = db.execute("SELECT entry FROM log WHERE collector = ? ORDER BY seq DESC", (collector,))
    return [json.loads(entry) for (entry,) in rows]


def forget(db: sqlite3.Connection, collector: str) -> tuple[int, list[str], list[str], set[str]]:
    """Drop all that belongs to a collector.

    Returns its undelivered rows, the paths of its parts, its batches' ids, the names of the files of its bodies.
    """
    stream = labels_of(collector)
    bodies = body_files(db, collector, 0, 2**62) | body_files(db, stream, 0, 2**62)
    for one in (collector, stream):
        while sweep(db, one) is not None:
            pass  # removes frames whose rows are in parts, and counted there
    rows = db.execute(
        "SELECT (SELECT TOTAL(rows) FROM frame WHERE collector = ?) + (SELECT TOTAL(part.rows) FROM part "
        "LEFT JOIN batch ON batch.id = part.batch WHERE part.collector = ? AND batch.state IS NOT 'delivered')",
        (collector, collector),
    ).fetchone()[0]
    paths = [path for (path,) in db.execute("SELECT path FROM part WHERE collector IN (?, ?)", (collector, stream))]
    batches = [id_ for (id_,) in db.execute("SELECT id FROM batch WHERE collector = ?", (collector,))]
    for one in (collector, stream):
        forget_keys(db, one)
    for (table,) in db.execute(_OF_COLLECTORS).fetchall():
        db.execute(f"DELETE FROM {table} WHERE collector IN (?, ?)", (collector, stream))  # noqa: S608  (names of ours)
    return int(rows), paths, batches, bodies


def read_renamed(db: sqlite3.Connection) -> dict[str, str]:
    """Return the ids that collectors have now, by those that they had."""
    return dict(db.execute("SELECT old, new FROM renamed WHERE last_seq IS NOT NULL"))


def mark_renamed(db: sqlite3.Connection, old: str, new: str) -> None:
    """Enter that a collector is to be renamed."""
    db.execute("INSERT OR REPLACE INTO renamed VALUES (?, ?, NULL)", (old, new))


def unmark_renamed(db: sqlite3.Connection, old: str) -> None:
    """Enter that no id has the place of this one."""
    db.execute("DELETE FROM renamed WHERE old = ?", (old,))


def rename(db: sqlite3.Connection, old: str, new: str) -> None:
    """Give all that belongs to a collector to its new id, its labels too, and have ids that led to it lead to that.

    A frame's checksum has its collector in it, and a frame that is damaged stays so.
    """
    _rename_stream(db, old, new)
    if _has_any(db, labels_of(old)):
        _rename_stream(db, labels_of(old), labels_of(new))
    # The dashboard under the old id shows the snapshots of that id, so a new one is made.
    db.execute("DELETE FROM dashboard WHERE collector = ?", (new,))


def _has_any(db: sqlite3.Connection, stream: str) -> bool:
    """Tell whether anything is kept of a stream."""
    tables = (table for (table,) in db.execute(_OF_COLLECTORS).fetchall())
    queries = (f"SELECT 1 FROM {table} WHERE collector = ? LIMIT 1" for table in tables)  # noqa: S608  (ours)
    return any(db.execute(query, (stream,)).fetchone() for query in queries)


def _rename_stream(db: sqlite3.Connection, old: str, new: str) -> None:
    def moved(checksum: int, format_: str, rows: int, size: int) -> int:
        return moved_checksum(checksum, size, (old, format_, rows), (new, format_, rows))

    db.create_function("moved_checksum", 4, moved, deterministic=True)
    size = f"CASE WHEN {IN_FILE} THEN {STORED_SIZE} ELSE size END"
    db.execute(
        f"UPDATE frame SET checksum = moved_checksum(checksum, format, rows, {size}) "  # noqa: S608  (ours)
        "WHERE collector = ? AND checksum IS NOT NULL",
        (old,),
    )
    for (table,) in db.execute(_OF_COLLECTORS).fetchall():
        db.execute(f"UPDATE OR REPLACE {table} SET collector = ? WHERE collector = ?", (new, old))  # noqa: S608  (ours)
    unmark_renamed(db, new)
    db.execute("UPDATE renamed SET new = ? WHERE new = ?", (new, old))
    db.execute(f"INSERT OR REPLACE INTO renamed VALUES (?, ?, {LAST_NUMBER})", (old, new))  # noqa: S608  (ours)


def known_files(db: sqlite3.Connection) -> tuple[set[str], set[str], set[str]]:
    """Return paths of all parts, ids of batches whose snapshot waits or is kept, and names of body files."""
    parts = {path for (path,) in db.execute("SELECT path FROM part")}
    snapshots = db.execute(
        "SELECT id FROM batch WHERE state = 'evaluated' "
        "OR (state = 'delivered' AND EXISTS (SELECT 1 FROM part WHERE part.batch = batch.id))"
    )
    return parts, {id_ for (id_,) in snapshots}, set(map(file_of, body_places(db)))
