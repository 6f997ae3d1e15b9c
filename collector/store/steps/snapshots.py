"""Steps on snapshots: what came of each batch, kept beyond the batch itself; each goes with one on the batch."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from collector.config.labels import MAIN
from collector.store.records import Snapshot

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from collector.store.records import Batch, SegmentMade, SnapshotState, Verdict

_COLUMNS = ", ".join(one.name for one in fields(Snapshot))
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
# Snapshots of the main report over all rows.
_MAIN = f"report = '{MAIN}' AND segment = ''"
_MADE = "state NOT IN ('failed', 'empty')"


def insert_made(db: sqlite3.Connection, batch: Batch, verdict: Verdict, now: float, kept: int) -> None:
    """Enter the snapshot that was made of a batch; it replaces an earlier one."""
    _insert_judged(db, batch, ("", batch.rows), verdict, now)
    _let_go(db, batch, kept)


def insert_segments(db: sqlite3.Connection, batch: Batch, segments: Iterable[SegmentMade], now: float) -> None:
    """Enter the snapshots of a batch's segments; they replace all earlier ones."""
    db.execute("DELETE FROM snapshot WHERE batch = ? AND segment <> ''", (batch.id,))
    for one in segments:
        if one.verdict is None:
            _insert_without(db, batch, (one.name, one.rows), ("failed", now, one.error))
        else:
            _insert_judged(db, batch, (one.name, one.rows), one.verdict, now)


def insert_failed(db: sqlite3.Connection, batch: Batch, error: str, now: float, kept: int) -> None:
    """Enter that a batch's report failed; ``bad_since`` stays as it was."""
    _insert_without(db, batch, ("", batch.rows), ("failed", now, error))
    _let_go(db, batch, kept)


def insert_empty(db: sqlite3.Connection, batch: Batch, now: float, kept: int) -> None:
    """Enter that a batch has no row to report; ``bad_since`` stays as it was."""
    _insert_without(db, batch, ("", batch.rows), ("empty", now, ""))
    _let_go(db, batch, kept)


def update_delivered(db: sqlite3.Connection, batch_id: str, now: float) -> None:
    """Enter that a batch's snapshots are in its workspace, all that were on their way."""
    db.execute(
        "UPDATE snapshot SET state = 'delivered', delivered = ?, error = '' WHERE batch = ? AND state = 'evaluated'",
        (now, batch_id),
    )


def update_rejected(db: sqlite3.Connection, batch_id: str, error: str) -> None:
    """Enter that a workspace will never take a batch's snapshot; those of its segments aren't sent then."""
    db.execute(
        "UPDATE snapshot SET state = 'rejected', error = ? WHERE batch = ? AND state = 'evaluated'", (error, batch_id)
    )


def update_segment(db: sqlite3.Connection, batch_id: str, segment: str, now: float, error: str) -> None:
    """Enter that the snapshot of a segment, or of the whole, is in the workspace; or why it will never be."""
    became: tuple[SnapshotState, float | None] = ("rejected", None) if error else ("delivered", now)
    db.execute(
        "UPDATE snapshot SET state = ?, delivered = ?, error = ? WHERE batch = ? AND segment = ?",
        (*became, error, batch_id, segment),
    )


def select_segments(db: sqlite3.Connection, batch_id: str) -> list[Snapshot]:
    """Return what came of a batch's segments, in their order."""
    query = f"SELECT {_COLUMNS} FROM snapshot WHERE batch = ? AND segment <> '' ORDER BY seq"  # noqa: S608  (ours)
    return [_snapshot(row) for row in db.execute(query, (batch_id,))]


def select_snapshots(  # noqa: PLR0913  (which of them, each by its name)
    db: sqlite3.Connection,
    collector: str,
    limit: int,
    *,
    with_failed: bool = True,
    report: str = MAIN,
    segment: str = "",
) -> list[Snapshot]:
    """Return what came of a collector's last batches for a report, or of a segment of them, newest first."""
    which = "report = ? AND segment = ?" + ("" if with_failed else f" AND {_MADE}")
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM snapshot WHERE collector = ? AND {which} ORDER BY seq DESC LIMIT ?",  # noqa: S608  (ours)
        (collector, report, segment, limit),
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
        f"SELECT {columns} FROM snapshot WHERE collector = ? AND {_MAIN} AND {_MADE} "  # noqa: S608  (ours)
        "ORDER BY seq DESC LIMIT ? OFFSET 1",
        (collector, limit - 1),
    )
    return [*newest, *(_snapshot(row) for row in rows)]


def _before(db: sqlite3.Connection, batch: Batch, segment: str) -> tuple[int, float | None]:
    """Return how many snapshots were made before this batch, and since when they have been bad."""
    found = db.execute(
        "SELECT number, bad_since FROM snapshot WHERE collector = ? AND report = ? AND segment = ? AND batch <> ? "
        "ORDER BY seq DESC LIMIT 1",
        (batch.collector, batch.report, segment, batch.id),
    ).fetchone()
    return found or (0, None)


def _insert_judged(db: sqlite3.Connection, batch: Batch, of: tuple[str, int], verdict: Verdict, now: float) -> None:
    number, bad_since = _before(db, batch, of[0])
    since = (now if bad_since is None else bad_since) if verdict.is_bad else None
    judged = (number + 1, verdict.bad_tests, verdict.drift_share, since)
    _insert(db, batch, of, ("evaluated", now, *judged, json.dumps(verdict.told), ""))


def _insert_without(
    db: sqlite3.Connection, batch: Batch, of: tuple[str, int], became: tuple[SnapshotState, float, str]
) -> None:
    (state, now, error), (number, bad_since) = became, _before(db, batch, of[0])
    _insert(db, batch, of, (state, now, number, None, None, bad_since, "{}", error))


def _insert(db: sqlite3.Connection, batch: Batch, of: tuple[str, int], values: tuple[Any, ...]) -> None:
    """Enter the outcome of a segment, given by name and rows; or of the whole, whose name is empty."""
    db.execute(
        "INSERT OR REPLACE INTO snapshot(collector, batch, report, segment, rows, opened, sealed, state, made, number, "
        "bad_tests, drift_share, bad_since, outcome, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (batch.collector, batch.id, batch.report, *of, *batch.window, *values),
    )


def _let_go(db: sqlite3.Connection, batch: Batch, kept: int) -> None:
    """Drop the outcomes of a collector's oldest batches, with those of their segments."""
    db.execute(
        "DELETE FROM snapshot WHERE collector = ? AND report = ? AND seq < (SELECT seq FROM snapshot "
        "WHERE collector = ? AND report = ? AND segment = '' ORDER BY seq DESC LIMIT 1 OFFSET ?)",
        (batch.collector, batch.report, batch.collector, batch.report, kept - 1),
    )


def _snapshot(row: tuple[Any, ...]) -> Snapshot:
    *values, outcome, error = row
    return Snapshot(*(*values, json.loads(outcome), error))
