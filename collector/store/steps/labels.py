"""Steps on labels: batches that wait for theirs, parts of labels, and what became of each label."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from collector.config.labels import LABELS
from collector.store.awaiting import WaitingBatch, waiting_file
from collector.store.records import Awaited, LabelPart
from collector.store.steps.parts import select_parts
from collector.store.streams import collector_of, is_labels, labels_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from collector.store.records import Batch, Part, Run

# What may become of a label. Each label is counted once, when it is dropped.
FATES = ("used", "late", "unmatched", "disputed", "damaged")

_AWAITED = (
    "awaited.batch, awaited.rows, awaited.opened, batch.state, since, wait, cut, closed, disputed, key, keys, keyed, "
    "repeated, matched, labelled, marks"
)


def await_labels(db: sqlite3.Connection, batch_id: str, wait: float | None, now: float) -> None:
    """Have a new batch wait for labels, if it has a time to; one that is read again from Kafka begins to wait again."""
    if wait is None:
        return
    db.execute(
        "INSERT OR REPLACE INTO awaited(batch, collector, rows, opened, since, wait) "
        "SELECT id, collector, rows, opened, ?, ? FROM batch WHERE id = ?",
        (now, wait, batch_id),
    )


def enter_label_part(db: sqlite3.Connection, run: Run, part: Part, now: float) -> None:
    """Enter what is to be known of a part of labels; those of its frames that were damaged are counted."""
    if not is_labels(run.collector):
        return
    if part.rows:
        db.execute("INSERT INTO label_part VALUES (?, ?, ?, ?, 0)", (part.path, run.collector, run.last, now))
    count_fates(db, run.collector, {"damaged": run.rows - part.rows})


def collectors(db: sqlite3.Connection) -> set[str]:
    """Name the collectors that have batches which wait for labels, or parts of labels."""
    found = db.execute("SELECT collector FROM awaited UNION SELECT collector FROM label_part")
    return {collector_of(stream) for (stream,) in found}


def select_awaited(db: sqlite3.Connection, collector: str) -> list[Awaited]:
    """Return the batches that wait for labels, or for which labels may come late, in the order of their sealing."""
    rows = db.execute(
        f"SELECT {_AWAITED} FROM awaited LEFT JOIN batch ON id = awaited.batch "  # noqa: S608  (ours)
        "WHERE awaited.collector = ? ORDER BY awaited.rowid",
        (collector,),
    )
    return [Awaited(*row) for row in rows]


def waiting_batch(db: sqlite3.Connection, batch_id: str) -> WaitingBatch | None:
    """Return how a batch waits for labels; None if it doesn't."""
    row = db.execute(
        'SELECT id, batch.collector, batch.rows, batch.opened, sealed, start, "end", is_backfill, since, wait '
        "FROM awaited JOIN batch ON id = awaited.batch WHERE id = ? AND cut IS NULL",
        (batch_id,),
    ).fetchone()
    parts = [part.path.rpartition("/")[2] for part in select_parts(db, batch_id)]
    return None if row is None else WaitingBatch(*(*row, parts))


def select_label_parts(db: sqlite3.Connection, collector: str) -> list[LabelPart]:
    """Return the parts of a collector's labels, in the order in which these came."""
    rows = db.execute(
        "SELECT path, rows, size, first_seq, last_seq, since, held FROM label_part JOIN part USING(path) "
        "WHERE part.collector = ? ORDER BY first_seq",
        (labels_of(collector),),
    )
    return [LabelPart(*row) for row in rows]


def oldest_open(db: sqlite3.Connection, stream: str) -> float | None:
    """Return when the oldest row of a stream came that is in no batch; None if there is none."""
    found = db.execute(
        "SELECT MIN(at) FROM (SELECT MIN(opened) AS at FROM part WHERE collector = ? AND batch IS NULL UNION ALL "
        "SELECT MIN(received) FROM frame WHERE collector = ? AND batch IS NULL)",
        (stream, stream),
    ).fetchone()[0]
    return None if found is None else float(found)


def oldest_frame(db: sqlite3.Connection, stream: str) -> float | None:
    """Return when the oldest frame of a stream came that is in no part yet; None if there is none."""
    found = db.execute(
        "SELECT MIN(received) FROM frame WHERE collector = ? AND batch IS NULL AND seq > "
        "(SELECT COALESCE(MAX(last_seq), 0) FROM moved WHERE moved.collector = frame.collector)",
        (stream,),
    ).fetchone()[0]
    return None if found is None else float(found)


def waiting_bytes(db: sqlite3.Connection, collector: str) -> int:
    """Return the bytes of delivered batches that are kept as they wait for labels."""
    query = (
        "SELECT TOTAL(size) FROM awaited JOIN batch ON id = awaited.batch JOIN part ON part.batch = id "
        "WHERE awaited.collector = ? AND cut IS NULL AND state = 'delivered'"
    )
    return int(db.execute(query, (collector,)).fetchone()[0])


def set_wait(db: sqlite3.Connection, collector: str, wait: float) -> None:
    """Have batches wait as long as the config says now."""
    db.execute("UPDATE awaited SET wait = ? WHERE collector = ? AND cut IS NULL", (wait, collector))


def shift(db: sqlite3.Connection, collector: str, seconds: float) -> None:
    """Have batches and labels wait as long as before, though the wall clock was set."""
    db.execute(
        "UPDATE awaited SET since = since + ?, closed = closed + ? WHERE collector = ?", (seconds, seconds, collector)
    )
    db.execute("UPDATE label_part SET since = since + ?, held = 0 WHERE collector = ?", (seconds, labels_of(collector)))


def enter_keys(db: sqlite3.Connection, one: Awaited, paths: Sequence[str]) -> bool:
    """Enter the files of a batch's keys; False if its parts have changed since they were made."""
    if not _is_of(db, one.batch, paths):
        return False
    done = db.execute(
        "UPDATE awaited SET key = ?, keys = ?, keyed = ?, repeated = ?, matched = 0, labelled = 0, marks = NULL "
        "WHERE batch = ? AND cut IS NULL",
        (one.key, one.keys, one.keyed, one.repeated, one.batch),
    )
    return done.rowcount == 1


def forget_keys(db: sqlite3.Connection, batch_id: str) -> None:
    """Have a batch's keys made again: they are spoiled, or its rows have moved."""
    db.execute(
        "UPDATE awaited SET keys = NULL, matched = 0, labelled = 0, marks = NULL WHERE batch = ? AND cut IS NULL",
        (batch_id,),
    )


def enter_matches(db: sqlite3.Connection, found: Iterable[Awaited]) -> None:
    """Enter up to which label was looked, how many rows have one, and the files of their marks."""
    db.executemany(
        "UPDATE awaited SET matched = ?, labelled = ?, marks = ? WHERE batch = ? AND keys = ? AND cut IS NULL",
        [(one.matched, one.labelled, one.marks, one.batch, one.keys) for one in found],
    )


def close(
    db: sqlite3.Connection, one: Awaited, made: Batch | None, joined: Sequence[Part], paths: Sequence[str]
) -> bool:
    """Close a batch: labels beyond its cut are late from now on, and ``made`` of its rows with labels is sealed.

    False, and nothing done, if its parts aren't those that were joined any more.
    """
    if not _is_of(db, one.batch, paths):
        return False
    done = db.execute(
        "UPDATE awaited SET cut = ?, closed = ?, disputed = ?, marks = NULL "
        "WHERE batch = ? AND keys = ? AND cut IS NULL",
        (one.cut, one.closed, one.disputed, one.batch, one.keys),
    )
    if not done.rowcount:
        return False
    if made is not None:
        db.execute(
            'INSERT INTO batch(id, collector, state, rows, opened, sealed, outcome, report, source, start, "end", '
            "is_backfill) VALUES (?, ?, 'sealed', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(made.id, made.collector, made.rows, made.opened, made.sealed, json.dumps(made.outcome)),
                *(made.report, made.source, made.start, made.end, made.is_backfill),
            ),
        )
        db.executemany(
            "INSERT INTO part(path, collector, batch, rows, size, first_seq, opened) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (part.path, made.collector, made.id, part.rows, part.size, number, made.opened)
                for number, part in enumerate(joined)
            ],
        )
    return True


def hold(db: sqlite3.Connection, path: str, until: float) -> None:
    """Look at a part of labels again then, as a batch that waits has use for it."""
    db.execute("UPDATE label_part SET held = ? WHERE path = ?", (until, path))


def retire(db: sqlite3.Connection, collector: str, part: LabelPart, fates: Mapping[str, int]) -> bool:
    """Drop a part of labels, and count what became of each; False if it is gone already."""
    db.execute("DELETE FROM label_part WHERE path = ?", (part.path,))
    if not db.execute("DELETE FROM part WHERE path = ?", (part.path,)).rowcount:
        return False
    count_fates(db, labels_of(collector), fates)
    return True


def count_fates(db: sqlite3.Connection, stream: str, fates: Mapping[str, int]) -> None:
    """Add to what became of labels."""
    db.executemany(
        "INSERT INTO label_fate VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
        [(stream, fate, rows) for fate, rows in fates.items() if rows],
    )


def select_fates(db: sqlite3.Connection, collector: str) -> dict[str, int]:
    """Return how many labels of a collector had each fate."""
    rows = db.execute("SELECT fate, rows FROM label_fate WHERE collector = ?", (labels_of(collector),))
    return dict.fromkeys(FATES, 0) | dict(rows.fetchall())


def forget_awaited(db: sqlite3.Connection, batch_ids: Iterable[str]) -> None:
    """Forget that batches waited."""
    db.executemany("DELETE FROM awaited WHERE batch = ?", [(batch_id,) for batch_id in batch_ids])


def known_keys(db: sqlite3.Connection, collector: str | None = None) -> set[str]:
    """Return the paths of all files of keys and marks, or of a collector's; those that are to be made among them."""
    found: set[str] = set()
    for batch, cut, keys, marks in db.execute(
        "SELECT batch, cut, keys, marks FROM awaited WHERE collector = COALESCE(?, collector)", (collector,)
    ):
        found.update([waiting_file(batch)] if cut is None else ())
        found.update(key_files(keys) if keys else ())
        found.update([marks] if marks else ())
    stream = None if collector is None else labels_of(collector)
    parts = db.execute("SELECT path FROM label_part WHERE collector = COALESCE(?, collector)", (stream,))
    return found | {numbers_of(path) for (path,) in parts}


def key_files(keys: str) -> list[str]:
    """Return the paths of the files of a batch's keys."""
    return [f"{keys}.{ending}" for ending in ("sorted", "rows", "disputed")]


def numbers_of(part: str) -> str:
    """Return where the numbers of the keys of a part of labels are."""
    return f"{LABELS}/{part.rpartition('/')[2].removesuffix('.parquet')}.keys"


def _is_of(db: sqlite3.Connection, batch_id: str, paths: Sequence[str]) -> bool:
    """Tell whether a batch has exactly these parts, in this order."""
    return [part.path for part in select_parts(db, batch_id)] == list(paths)
