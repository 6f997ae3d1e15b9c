"""Steps on frames: what was accepted and isn't in a part yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collector.disk.checksums import frame_checksum, stored_checksum
from collector.formats.stored import file_of

if TYPE_CHECKING:
    import sqlite3

    from collector.formats.frames import Frame
    from collector.store.parts import Origin

# The highest number that any frame had. No number is used twice, as a part stands for all frames between two numbers.
LAST_NUMBER = "MAX((SELECT last FROM numbering), (SELECT COALESCE(MAX(seq), 0) FROM frame))"
INSERT_FRAME = (
    "INSERT INTO frame(seq, collector, format, rows, size, received, body, checksum) "  # noqa: S608  (ours)
    f"VALUES ({LAST_NUMBER} + 1, ?, ?, ?, ?, ?, ?, ?)"
)
# A frame whose body is in a file; worded as in the index of these.
IN_FILE = "typeof(body) = 'text'"


def frame_row(collector: str, frame: Frame, now: float) -> tuple[Any, ...]:
    """Return what INSERT_FRAME takes of a frame."""
    of, body = (collector, frame.format, frame.rows), frame.body
    if isinstance(body, bytes):
        stored: bytes | str = body
        checksum = frame_checksum(*of, body)
    else:
        stored, checksum = body.place, stored_checksum(*of, body.checksum)
    return (*of, len(body), now, stored, checksum)


def body_files(db: sqlite3.Connection, collector: str, first: int, last: int) -> set[str]:
    """Name the files that have bodies of a collector's frames with numbers from ``first`` to ``last``.

    There are bodies of others in them, and followers share a body: ``unneeded`` names those that nobody has any more.
    """
    # By the other index, SQLite would look at each body.
    query = f"SELECT body FROM frame INDEXED BY frame_by_file WHERE {IN_FILE} AND collector = ? AND seq BETWEEN ? AND ?"  # noqa: S608  (ours)
    return {file_of(place) for (place,) in db.execute(query, (collector, first, last))}


def unneeded(db: sqlite3.Connection, names: set[str]) -> set[str]:
    """Return those of these files in which no frame has its body."""
    query = f"SELECT 1 FROM frame WHERE {IN_FILE} AND (body = ? OR (body > ? AND body < ?))"  # noqa: S608  (ours)
    return {name for name in names if db.execute(query, (name, f"{name}:", f"{name};")).fetchone() is None}


def body_places(db: sqlite3.Connection) -> list[str]:
    """Return the places of all bodies that are in files."""
    return [place for (place,) in db.execute(f"SELECT DISTINCT body FROM frame WHERE {IN_FILE}")]  # noqa: S608  (ours)


def remove_frames(db: sqlite3.Connection, collector: str, batch: str | None, first: int, last: int) -> None:
    """Remove the frames of a batch (None: the open one) with numbers from ``first`` to ``last``."""
    db.execute("UPDATE numbering SET last = ? WHERE last < ?", (last, last))
    query = "DELETE FROM frame WHERE collector = ? AND batch IS ? AND seq BETWEEN ? AND ?"
    db.execute(query, (collector, batch, first, last))


def count_frames(db: sqlite3.Connection) -> list[tuple[str, str | None, int, int, int]]:
    """Return the number, rows and bytes of all frames, by collector and batch (None: the open one).

    Those that are in parts, and still there, don't count.
    """
    return db.execute(
        "SELECT collector, batch, SUM(frames), SUM(rows), SUM(size) FROM ("
        "SELECT collector, batch, COUNT(*) AS frames, SUM(rows) AS rows, SUM(size) AS size FROM frame "
        "GROUP BY collector, batch UNION ALL "
        "SELECT frame.collector, frame.batch, -COUNT(*), -SUM(frame.rows), -SUM(frame.size) FROM moved JOIN frame ON "
        "frame.collector = moved.collector AND frame.batch IS moved.batch AND seq BETWEEN first_seq AND last_seq "
        "GROUP BY frame.collector, frame.batch) GROUP BY collector, batch HAVING SUM(frames) > 0"
    ).fetchall()


def has_frames(db: sqlite3.Connection, origin: Origin) -> bool:
    """Tell whether frames are there of which a part was made."""
    query = "SELECT 1 FROM frame WHERE collector = ? AND seq BETWEEN ? AND ?"
    return db.execute(query, (origin.collector, origin.first, origin.last)).fetchone() is not None
