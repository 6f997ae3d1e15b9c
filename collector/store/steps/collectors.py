"""What the journal does to its tables: each function is one step of a transaction."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from collector.disk.checksums import frame_checksum, stored_checksum
from collector.errors import KeyReused

if TYPE_CHECKING:
    import sqlite3

    from collector.config import Retention
    from collector.formats.frames import Frame
    from collector.store.parts import Origin

State = Literal["sealed", "evaluated", "delivered", "failed"]
STATES: tuple[State, ...] = get_args(State)

# Frames that wait in the journal, and become a part together: sealing so many takes 20 ms.
MAX_FRAMES = 10_000
# Of those that are in a part, how many are removed at once, and bytes of them: some 0.3 ms for each commit that waits.
SWEPT_FRAMES = 50
SWEPT_BYTES = 1024**2
# Delivered batches that are still known, for a collector, once their parts are gone.
KEPT_BATCHES = 100
# Idempotency keys that are known: those of a day, and no more than this, which is a few hundred MB.
KEPT_KEYS_SECONDS = 24 * 3600
KEPT_KEYS = 1_000_000


# As the index of them says it.
_IN_FILE = "typeof(body) = 'text'"


@dataclass(frozen=True, slots=True)
class Part:
    """A parquet file of rows, by its path in the data directory."""

    path: str
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed, immutable set of rows; ``opened`` and ``sealed`` are its time window in Unix seconds."""

    id: str
    collector: str
    state: State
    rows: int
    opened: float
    sealed: float
    attempts: int = 0
    outcome: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """Frames that follow each other and are to become one part."""

    collector: str
    first: int
    last: int
    frames: int
    rows: int
    size: int
    opened: float  # when the first of them came


@dataclass(frozen=True, slots=True)
class Cut:
    """What is cut off the open batch: its rows, up to the frame ``last``, and the time from the first to the cut."""

    rows: int
    frames: int
    frame_rows: int
    frame_bytes: int
    last: int
    opened: float
    sealed: float


# Frames


INSERT_FRAME = "INSERT INTO frame(collector, format, rows, size, received, body, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)"


def insert_frame(db: sqlite3.Connection, collector: str, frame: Frame, now: float) -> None:
    """Keep a frame in the open batch."""
    db.execute(INSERT_FRAME, frame_row(collector, frame, now))


def frame_row(collector: str, frame: Frame, now: float) -> tuple[Any, ...]:
    """Give what INSERT_FRAME takes of a frame."""
    of, body = (collector, frame.format, frame.rows), frame.body
    if isinstance(body, bytes):
        stored: bytes | str = body
        checksum = frame_checksum(*of, body)
    else:
        stored, checksum = body.name, stored_checksum(*of, body.checksum)
    return (*of, len(body), now, stored, checksum)


def body_files(db: sqlite3.Connection, collector: str, first: int, last: int) -> list[str]:
    """Name the files that have bodies of a collector's frames with numbers from ``first`` to ``last``."""
    # By the other index it would look at the body of each.
    query = (
        f"SELECT body FROM frame INDEXED BY frame_by_file WHERE {_IN_FILE} AND collector = ? AND seq BETWEEN ? AND ?"  # noqa: S608  (ours)
    )
    return [name for (name,) in db.execute(query, (collector, first, last))]


def is_key_known(db: sqlite3.Connection, collector: str, key: str, digest: str, now: float) -> bool:
    """Tell whether an idempotency key came before, and keep it; raise KeyReused if it came with another body."""
    known = db.execute(
        "SELECT digest FROM idempotency WHERE collector = ? AND key = ? AND at >= ?",
        (collector, key, now - KEPT_KEYS_SECONDS),
    ).fetchone()
    if known is None:
        db.execute("INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?)", (collector, key, digest, now))
        return False
    if known[0] != digest:
        raise KeyReused(f"the idempotency key '{key}' came before with another body; give each request its own")
    return True


def count_excess_keys(db: sqlite3.Connection, now: float) -> int:
    """Count the keys that are to go: those that are too old, or more than are kept."""
    (old,) = db.execute("SELECT COUNT(*) FROM idempotency WHERE at < ?", (now - KEPT_KEYS_SECONDS,)).fetchone()
    (count,) = db.execute("SELECT COUNT(*) FROM idempotency").fetchone()
    return max(int(old), int(count) - KEPT_KEYS)


def delete_oldest_keys(db: sqlite3.Connection, count: int) -> None:
    """Forget so many keys."""
    oldest = db.execute("SELECT collector, key FROM idempotency ORDER BY at LIMIT ?", (count,)).fetchall()
    db.executemany("DELETE FROM idempotency WHERE collector = ? AND key = ?", oldest)


def count_frames(db: sqlite3.Connection) -> list[tuple[str, str | None, int, int, int]]:
    """Give the number, rows and bytes of all frames, by collector and batch (None: the open one).

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


def count_parts(db: sqlite3.Connection) -> list[tuple[str, str | None, int, int]]:
    """Give the rows and bytes of all parts that aren't delivered, by collector and batch (None: the open one)."""
    return db.execute(
        "SELECT part.collector, batch, SUM(part.rows), SUM(size) FROM part "
        "LEFT JOIN batch ON batch.id = part.batch WHERE batch.state IS NOT 'delivered' GROUP BY part.collector, batch"
    ).fetchall()


def has_frames(db: sqlite3.Connection, origin: Origin) -> bool:
    """Tell whether frames are there of which a part was made."""
    query = "SELECT 1 FROM frame WHERE collector = ? AND seq BETWEEN ? AND ?"
    return db.execute(query, (origin.collector, origin.first, origin.last)).fetchone() is not None


# Parts


def find_run(db: sqlite3.Connection, collector: str, batch: str | None, rows: int, max_bytes: int) -> Run | None:
    """Find the oldest frames of a batch (None: the open one), up to so many rows and bytes, but at least one frame."""
    after = _last_moved(db, collector, batch)
    run = _oldest(db, collector, batch, (after, math.inf), (MAX_FRAMES, rows, max_bytes))
    if run is None:
        return None
    # There is none unless the journal was damaged: a part is of all of a collector's frames between two numbers.
    (foreign,) = db.execute(
        "SELECT MIN(seq) FROM frame WHERE collector = ? AND seq BETWEEN ? AND ? AND batch IS NOT ?",
        (collector, run.first, run.last, batch),
    ).fetchone()
    return run if foreign is None else _oldest(db, collector, batch, (after, foreign), (MAX_FRAMES, rows, max_bytes))


# Of the oldest frames of a batch, with numbers between two; and what a run says of frames.
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
    """Find the oldest frames of a batch with numbers between two, up to so many, so many rows and bytes."""
    most, *sums = limits
    found = db.execute(f"{_OLDEST} {_RUN} oldest", (collector, batch, *between, most)).fetchone()
    if not found[2]:
        return None
    run = Run(collector, *found)
    if run.rows <= sums[0] and run.size <= sums[1]:
        return run  # found in a fifth of the time that all these sums take
    upto = (
        "upto AS (SELECT *, SUM(rows) OVER (ORDER BY seq) AS all_rows, SUM(size) OVER (ORDER BY seq) AS all_bytes, "
        "ROW_NUMBER() OVER (ORDER BY seq) AS number FROM oldest)"
    )
    found = db.execute(
        f"{_OLDEST}, {upto} {_RUN} upto WHERE number = 1 OR (all_rows <= ? AND all_bytes <= ?)",
        (collector, batch, *between, most, *sums),
    ).fetchone()
    return Run(collector, *found)


def move_to_part(db: sqlite3.Connection, run: Run, part: Part) -> tuple[bool, str | None]:
    """Put a part in the place of its frames, which are left to ``sweep``; tell if it was done, and whose batch it is.

    Nothing is done if a batch was sealed in their midst: a part belongs to one batch. A part may have less rows than
    its frames, or none, if some of them were damaged.
    """
    # A batch is of all frames up to one, so that where the first and the last are in one, all are.
    ends = db.execute(
        "SELECT batch FROM frame WHERE +collector = ? AND seq IN (?, ?)", (run.collector, run.first, run.last)
    ).fetchall()
    if len(ends) != len({run.first, run.last}) or len(set(ends)) != 1:
        return False, None
    [batch] = ends[0]
    if run.first <= _last_moved(db, run.collector, batch):
        return False, None
    if part.rows:
        place = (part.path, run.collector, batch, part.rows, part.size, run.first, run.opened)
        db.execute("INSERT INTO part VALUES (?, ?, ?, ?, ?, ?, ?)", place)
    db.execute("UPDATE batch SET rows = rows - ? WHERE id = ?", (run.rows - part.rows, batch))
    db.execute("INSERT INTO moved VALUES (?, ?, ?, ?)", (run.collector, batch, run.first, run.last))
    return True, batch


def _last_moved(db: sqlite3.Connection, collector: str, batch: str | None) -> int:
    """Give the number up to which the frames of a batch are in parts, whether or not they are still there."""
    query = "SELECT COALESCE(MAX(last_seq), 0) FROM moved WHERE collector = ? AND batch IS ?"
    return int(db.execute(query, (collector, batch)).fetchone()[0])


def sweep(db: sqlite3.Connection, collector: str) -> list[str] | None:
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
        return []
    bodies = body_files(db, collector, run.first, run.last)
    db.execute(
        "DELETE FROM frame WHERE collector = ? AND batch IS ? AND seq BETWEEN ? AND ?",
        (collector, batch, run.first, run.last),
    )
    return bodies


def unswept(db: sqlite3.Connection) -> list[str]:
    """Name the collectors that have frames which are in parts."""
    return [collector for (collector,) in db.execute("SELECT DISTINCT collector FROM moved")]


def select_parts(db: sqlite3.Connection, batch_id: str) -> list[Part]:
    """Give the parts of a batch in the order of their rows."""
    rows = db.execute("SELECT path, rows, size FROM part WHERE batch = ? ORDER BY first_seq", (batch_id,))
    return [Part(*row) for row in rows]


def move_parts(db: sqlite3.Connection, new_paths: dict[str, str]) -> None:
    """Enter where parts are now."""
    db.executemany("UPDATE part SET path = ? WHERE path = ?", [(new, old) for old, new in new_paths.items()])


def drop_parts(db: sqlite3.Connection, batch: Batch, paths: list[str]) -> tuple[int, int]:
    """Let go of some of a batch's parts; return how many rows and bytes go with them."""
    gone = [part for part in select_parts(db, batch.id) if part.path in paths]
    rows, size = sum(part.rows for part in gone), sum(part.size for part in gone)
    db.executemany("DELETE FROM part WHERE path = ?", [(part.path,) for part in gone])
    db.execute("UPDATE batch SET rows = rows - ? WHERE id = ?", (rows, batch.id))
    return rows, size


# Batches


def seal(db: sqlite3.Connection, collector: str, batch_id: str, rows: float, now: float) -> Cut:
    """Make a batch of the oldest open rows, unless there are none, or too few."""
    cut = _find_cut(db, collector, rows, now)
    if cut.rows < rows < math.inf:
        return Cut(0, 0, 0, 0, 0, 0, 0)
    if cut.rows:
        open_rows = (batch_id, collector)
        db.execute("UPDATE part SET batch = ? WHERE collector = ? AND batch IS NULL", open_rows)
        db.execute(
            "UPDATE frame SET batch = ? WHERE collector = ? AND batch IS NULL AND seq > ? AND seq <= ?",
            (*open_rows, _last_moved(db, collector, None), cut.last),
        )
        db.execute(
            "INSERT INTO batch(id, collector, state, rows, opened, sealed) VALUES (?, ?, 'sealed', ?, ?, ?)",
            (*open_rows, cut.rows, cut.opened, cut.sealed),
        )
    return cut


def _find_cut(db: sqlite3.Connection, collector: str, rows: float, now: float) -> Cut:
    """Find the end of a batch of at least ``rows`` rows: its parts, which are the oldest, then whole frames."""
    total, opened = db.execute(
        "SELECT TOTAL(rows), MIN(opened) FROM part WHERE collector = ? AND batch IS NULL", (collector,)
    ).fetchone()
    frames, frame_rows, frame_bytes, last, received = db.execute(
        "WITH upto AS (SELECT seq, rows, size, received, SUM(rows) OVER (ORDER BY seq) AS all_rows FROM frame "
        "WHERE collector = ? AND batch IS NULL AND seq > ?) "
        "SELECT COUNT(*), TOTAL(rows), TOTAL(size), MAX(seq), MIN(received) FROM upto WHERE all_rows - rows < ?",
        (collector, _last_moved(db, collector, None), rows - total),
    ).fetchone()
    opened = opened or received or 0
    sealed = max(opened, now)  # the clock may have been set back
    return Cut(int(total + frame_rows), frames, int(frame_rows), int(frame_bytes), last or 0, opened, sealed)


def select_batches(db: sqlite3.Connection, collector: str, states: tuple[State, ...]) -> list[Batch]:
    """Give the batches in one of these states in the order in which they were sealed, whatever the clock did."""
    wanted = ", ".join("?" * len(states))
    rows = db.execute(
        f"SELECT * FROM batch WHERE collector = ? AND state IN ({wanted}) ORDER BY rowid",  # noqa: S608  (only marks)
        (collector, *states),
    )
    return [_batch(row) for row in rows]


def update_batch(db: sqlite3.Connection, batch: Batch) -> None:
    """Enter a batch's state and what is known of it."""
    db.execute(
        "UPDATE batch SET state = ?, attempts = ?, outcome = ?, error = ? WHERE id = ?",
        (batch.state, batch.attempts, json.dumps(batch.outcome), batch.error, batch.id),
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
    parts = select_parts(db, batch.id)
    return [part.path for part in parts], sum(part.size for part in parts) if done.rowcount else 0


def prune(db: sqlite3.Connection, collector: str, retention: Retention, now: float) -> tuple[list[str], list[str]]:
    """Let go of the parts of delivered batches, the oldest, beyond what is to be kept; return their paths and ids."""
    oldest = -math.inf if retention.seconds is None else now - retention.seconds
    size = 0
    paths, ids = [], []
    for number, (id_, delivered) in enumerate(_kept_batches(db, collector)):
        parts = select_parts(db, id_)
        size += sum(part.size for part in parts)
        if number >= retention.batches or size > retention.max_bytes or delivered < oldest:
            paths += [part.path for part in parts]
            ids.append(id_)
    db.executemany("DELETE FROM part WHERE batch = ?", [(id_,) for id_ in ids])
    db.execute(
        "DELETE FROM batch WHERE collector = ? AND state = 'delivered' AND rowid NOT IN "
        "(SELECT rowid FROM batch WHERE collector = ? AND state = 'delivered' ORDER BY rowid DESC LIMIT ?) "
        "AND id NOT IN (SELECT batch FROM part WHERE collector = ? AND batch IS NOT NULL)",
        (collector, collector, KEPT_BATCHES, collector),
    )
    return paths, ids


def _kept_batches(db: sqlite3.Connection, collector: str) -> list[tuple[str, float]]:
    """Give id and time of delivery of the delivered batches whose parts are kept, newest first."""
    return db.execute(
        "SELECT id, delivered FROM batch WHERE collector = ? AND state = 'delivered' "
        "AND EXISTS (SELECT 1 FROM part WHERE part.batch = batch.id) ORDER BY rowid DESC",
        (collector,),
    ).fetchall()


def _batch(row: tuple[Any, ...]) -> Batch:
    id_, collector, state, rows, opened, sealed, attempts, result, error, _ = row
    return Batch(id_, collector, state, rows, opened, sealed, attempts, json.loads(result), error)


# Clocks and logs


def read_clock(db: sqlite3.Connection, collector: str, start: float, *, is_kept: bool) -> float:
    """Give when a collector's trigger last fired; if it never did, enter ``start``. Forget what isn't to be kept."""
    if not is_kept:
        db.execute("DELETE FROM clock WHERE collector = ?", (collector,))
        return start
    db.execute("INSERT OR IGNORE INTO clock VALUES (?, ?)", (collector, start))
    return float(db.execute("SELECT fired FROM clock WHERE collector = ?", (collector,)).fetchone()[0])


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
    """Give a collector's log, newest first."""
    rows = db.execute("SELECT entry FROM log WHERE collector = ? ORDER BY seq DESC", (collector,))
    return [json.loads(entry) for (entry,) in rows]


# Whole collectors, and what is on disk beside the journal


def forget(db: sqlite3.Connection, collector: str) -> tuple[int, list[str], list[str], list[str]]:
    """Drop all that belongs to a collector.

    Returns its undelivered rows, the paths of its parts, its batches' ids, the names of its body files.
    """
    bodies = body_files(db, collector, 0, 2**62)
    while sweep(db, collector) is not None:
        pass  # their rows are in parts, and counted there
    rows = db.execute(
        "SELECT (SELECT TOTAL(rows) FROM frame WHERE collector = ?) + (SELECT TOTAL(part.rows) FROM part "
        "LEFT JOIN batch ON batch.id = part.batch WHERE part.collector = ? AND batch.state IS NOT 'delivered')",
        (collector, collector),
    ).fetchone()[0]
    paths = [path for (path,) in db.execute("SELECT path FROM part WHERE collector = ?", (collector,))]
    batches = [id_ for (id_,) in db.execute("SELECT id FROM batch WHERE collector = ?", (collector,))]
    for table in ("frame", "part", "batch", "clock", "log", "idempotency", "forgotten"):
        db.execute(f"DELETE FROM {table} WHERE collector = ?", (collector,))  # noqa: S608  (names of ours)
    return int(rows), paths, batches, bodies


def known_files(db: sqlite3.Connection) -> tuple[set[str], set[str], set[str]]:
    """Give the paths of all parts, the ids of batches whose snapshot waits or is kept, and the names of body files."""
    parts = {path for (path,) in db.execute("SELECT path FROM part")}
    snapshots = db.execute(
        "SELECT id FROM batch WHERE state = 'evaluated' "
        "OR (state = 'delivered' AND EXISTS (SELECT 1 FROM part WHERE part.batch = batch.id))"
    )
    bodies = db.execute(f"SELECT body FROM frame WHERE {_IN_FILE}")  # noqa: S608  (ours)
    return parts, {id_ for (id_,) in snapshots}, {name for (name,) in bodies}
