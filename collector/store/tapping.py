"""Tapping: a few of a collector's newest rows, for a person to look at, as the journal has them.

A worker process reads them, so that whoever looks costs the daemon nothing. Rows that have become a part meanwhile,
and those of large bodies, are passed over: it is a look and no log.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import orjson

from collector.formats.frames import decode_frames
from collector.store.connect import reading
from collector.store.data_dir import DataDir
from collector.store.parts import Kept
from collector.store.steps.frames import LAST_NUMBER

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

MAX_ROWS = 1000
# Bytes of a body; larger ones aren't read.
MAX_BYTES = 250_000


class Tapped(TypedDict):
    """Rows as JSON has them, oldest first, and the number to ask with for those that come after them."""

    rows: list[dict[str, Any]]
    next: int


def newest_rows(data_dir: str, collector: str, after: int | None, rows: int) -> Tapped:
    """Return the newest rows, at most ``rows``, that came after a number; without a number, return only the number."""
    places = DataDir(Path(data_dir))
    with reading(places.journal) as db:
        [(last,)] = db.execute(f"SELECT {LAST_NUMBER}")
        found: list[dict[str, Any]] = []
        if after is not None:
            for frame in _newest_first(db, places, collector, after, rows):
                table = decode_frames([(frame.format, frame.body)])
                wanted = table.slice(max(0, table.num_rows - (rows - len(found))))
                found = [*orjson.loads(orjson.dumps(wanted.to_pylist(), default=str)), *found]
                if len(found) >= rows:
                    break
    return {"rows": found, "next": last}


def _newest_first(db: sqlite3.Connection, places: DataDir, collector: str, after: int, number: int) -> Iterator[Kept]:
    """Yield sound frames of small bodies, the newest first. Numbers are read first: a row is read with its body."""
    query = "SELECT seq FROM frame NOT INDEXED WHERE seq > ? AND collector = ? AND size <= ? ORDER BY seq DESC LIMIT ?"
    for (seq,) in db.execute(query, (after, collector, MAX_BYTES, number)).fetchall():
        [row] = db.execute("SELECT collector, seq, format, rows, body, checksum FROM frame WHERE seq = ?", (seq,))
        frame = Kept(*row).loaded(places)
        if frame.is_sound:
            yield frame
