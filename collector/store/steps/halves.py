"""Steps on halves: requests that wait for their responses, and responses that wait for their requests.

A half and the event that is made of two are kept in one transaction, so that each pair gives one event, whatever comes
first, comes twice, or comes after the process was killed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from zlib import crc32

from collector.errors import BadBody
from collector.formats.frames import Frame
from collector.formats.hints import refuse_cloud_event
from collector.formats.json_body import MAX_CELLS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from collector.store.records import Logged

# How many are dropped in one transaction.
FEW = 500


def take_other(db: sqlite3.Connection, half: Logged, pair: bytes) -> tuple[Frame, int] | None:
    """Take the other half out, and return the event of both and the bytes that the other had; None if it isn't there.

    Raises BadBody if the two don't fit.
    """
    found = db.execute(
        "DELETE FROM half WHERE collector = ? AND pair = ? AND is_request = ? RETURNING rows, names, body, checksum",
        (half.stream, pair, not half.is_request),
    ).fetchall()
    if not found:
        return None
    [(rows, names, body, checksum)] = found
    if checksum != _checksum(rows, names, body):
        raise BadBody("its other half was damaged on the disk, and one half is no event")
    ours, theirs = (half.rows, half.names, half.body), (rows, json.loads(names), bytes(body))
    return _joined(*(ours, theirs) if half.is_request else (theirs, ours)), len(body)


def keep(db: sqlite3.Connection, half: Logged, pair: bytes) -> bool:
    """Keep a half until its other comes; False if it is there already."""
    names = json.dumps(half.names)
    of = (half.stream, pair, half.is_request, half.rows, len(half.body))
    insert = "INSERT OR IGNORE INTO half VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
    return db.execute(insert, (*of, names, half.body, _checksum(half.rows, names, half.body))).rowcount > 0


def count(db: sqlite3.Connection) -> list[tuple[str, int, int, int]]:
    """Return by collector how many halves wait, their bytes, and those of the largest."""
    return db.execute("SELECT collector, COUNT(*), SUM(size), MAX(size) FROM half GROUP BY collector").fetchall()


def newest(db: sqlite3.Connection, collector: str) -> int:
    """Return the number of the newest half that waits; 0 if none does."""
    return int(db.execute("SELECT COALESCE(MAX(seq), 0) FROM half WHERE collector = ?", (collector,)).fetchone()[0])


def expire(db: sqlite3.Connection, collector: str, upto: int) -> list[tuple[bool, int]]:
    """Drop a few halves with numbers up to this; return of each whether it is a request, and its bytes."""
    few = "SELECT seq FROM half WHERE collector = ? AND seq <= ? ORDER BY seq LIMIT ?"
    gone = db.execute(f"DELETE FROM half WHERE seq IN ({few}) RETURNING is_request, size", (collector, upto, FEW))  # noqa: S608  (ours)
    return [(bool(is_request), size) for is_request, size in gone.fetchall()]


def _checksum(rows: int, names: str, body: bytes) -> int:
    return crc32(body, crc32(f"{rows} {names}".encode()))


def _joined(request: tuple[int, Sequence[str], bytes], response: tuple[int, Sequence[str], bytes]) -> Frame:
    """Return the event of a request and its response: the columns of both.

    Both bodies are objects of columns, with the same number of rows and no name in common, so their texts can be
    joined.
    """
    (rows, names, body), (others, other_names, other_body) = request, response
    if rows != others:
        raise BadBody(f"the response has {others} rows, and its request has {rows}; a row of each is one event")
    if twice := set(names) & set(other_names):
        raise BadBody(
            f"the response has a column '{min(twice)}', and its request has one too; name the response's by "
            "input.kserve.prediction"
        )
    together = [*names, *other_names]
    # An event that couldn't be read again must not be kept.
    refuse_cloud_event(dict.fromkeys(together))
    if rows * len(together) > MAX_CELLS:
        raise BadBody(f"the request and its response have more than {MAX_CELLS} values; send fewer rows at a time")
    return Frame("json", body[:-1] + b"," + other_body[1:], rows, together)
