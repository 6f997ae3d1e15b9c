"""Steps on snapshots: what came of each batch, kept beyond the batch itself; each goes with one on the batch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from collector.store.records import Snapshot

if TYPE_CHECKING:
    import sqlite3

    from collector.store.records import Batch, Verdict

_COLUMNS = (
    "seq, collector, batch, report, segment, state, rows, opened, sealed, made, delivered, number, "
    "bad_tests, drift_share, bad_since, outcome, error"
)
_BRIEF = """json_object(
    'drift_share', drift_share, 'tests', json_extract(outcome, '$.tests'),
    'failed_metrics', json_extract(outcome, '$.failed_metrics'),
    'drifted_columns', json_extract(outcome, '$.drifted_columns'), 'columns', json_extract(outcome, '$.columns'),
    'dataset_drift', COALESCE(
        json_extract(outcome, '$.dataset_drift'), json_extract(outcome, '$.findings.drift[0].is_drifted')),
    'findings', json_object('values', json_array(
        json_extract(outcome, '$.findings.values[0]'), json_extract(outcome, '$.findings.values[1]'),
        json_extract(outcome, '$.findings.values[2]'))),
    'exported', json_array(json_extract(outcome, '$.exported[0]'), json_extract(outcome, '$.exported[1]')))"""
# Those of the report that every batch has, of all its rows.
_MAIN = "report = 'main' AND segment = ''"


def insert_made(db: sqlite3.Connection, batch: Batch, verdict: Verdict, now: float, kept: int) -> None:
    """Enter the snapshot that was made of a batch, in the place of what came of it before."""
    number, bad_since = _before(db, batch)
    since = (now if bad_since is None else bad_since) if verdict.is_bad else None
    judged = (number + 1, verdict.bad_tests, verdict.drift_share, since)
    _insert(db, batch, ("evaluated", now, *judged, json.dumps(verdict.told), ""), kept)


def insert_failed(db: sqlite3.Connection, batch: Batch, error: str, now: float, kept: int) -> None:
    """Enter that a batch's report failed; what was bad before it is bad still."""
    number, bad_since = _before(db, batch)
    _insert(db, batch, ("failed", now, number, None, None, bad_since, "{}", error), kept)


def update_delivered(db: sqlite3.Connection, batch_id: str, now: float) -> None:
    """Enter that a batch's snapshot is in its workspace."""
    db.execute(
        "UPDATE snapshot SET state = 'delivered', delivered = ?, error = '' WHERE batch = ?",
        (now, batch_id),
    )


def update_rejected(db: sqlite3.Connection, batch_id: str, error: str) -> None:
    """Enter that a workspace will never take a batch's snapshot."""
    db.execute(
        "UPDATE snapshot SET state = 'rejected', error = ? WHERE batch = ?",
        (error, batch_id),
    )


def select_snapshots(db: sqlite3.Connection, collector: str, limit: int, *, with_failed: bool = True) -> list[Snapshot]:
    """Return what came of a collector's last batches, newest first."""
    which = _MAIN if with_failed else f"{_MAIN} AND state <> 'failed'"
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM snapshot WHERE collector = ? AND {which} ORDER BY seq DESC LIMIT ?",  # noqa: S608  (ours)
        (collector, limit),
    )
    return [_snapshot(row) for row in rows]


def select_brief(db: sqlite3.Connection, collector: str, limit: int) -> list[Snapshot]:
    """Return a collector's last snapshots, newest first; of all but the newest only what a short look back needs.

    Those are counts, whether it drifted (the worst column comes first), and the first values, of all and of the
    exported ones: whole, the snapshots of hundreds of collectors would take hundreds of megabytes.
    """
    newest = select_snapshots(db, collector, 1, with_failed=False)
    columns = _COLUMNS.replace("outcome", _BRIEF)
    rows = db.execute(
        f"SELECT {columns} FROM snapshot WHERE collector = ? AND {_MAIN} AND state <> 'failed' "  # noqa: S608  (ours)
        "ORDER BY seq DESC LIMIT ? OFFSET 1",
        (collector, limit - 1),
    )
    return [*newest, *(_snapshot(row) for row in rows)]


def _before(db: sqlite3.Connection, batch: Batch) -> tuple[int, float | None]:
    """Return how many snapshots were made before that of a batch, and since when they have been bad."""
    found = db.execute(
        "SELECT number, bad_since FROM snapshot WHERE collector = ? AND report = ? AND segment = '' AND batch <> ? "
        "ORDER BY seq DESC LIMIT 1",
        (batch.collector, batch.report, batch.id),
    ).fetchone()
    return found or (0, None)


def _insert(db: sqlite3.Connection, batch: Batch, values: tuple[Any, ...], kept: int) -> None:
    db.execute(
        "INSERT OR REPLACE INTO snapshot(collector, batch, report, rows, opened, sealed, state, made, number, "
        "bad_tests, drift_share, bad_since, outcome, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (batch.collector, batch.id, batch.report, batch.rows, *batch.window, *values),
    )
    series = "collector = ? AND report = ? AND segment = ''"
    db.execute(
        f"DELETE FROM snapshot WHERE {series} AND seq <= "  # noqa: S608  (ours)
        f"(SELECT seq FROM snapshot WHERE {series} ORDER BY seq DESC LIMIT 1 OFFSET ?)",
        (batch.collector, batch.report, batch.collector, batch.report, kept),
    )


def _snapshot(row: tuple[Any, ...]) -> Snapshot:
    *values, outcome, error = row
    return Snapshot(*(*values, json.loads(outcome), error))
