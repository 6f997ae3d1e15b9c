"""Steps on references that are made: of which batches, in which file, and which batches are still needed for some."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from collector.store.records import MadeReference
from collector.store.steps.parts import select_parts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from collector.config.reference_from import ReferenceFrom
    from collector.store.records import Batch, Part


class _Candidate(NamedTuple):
    """A batch whose rows may become a reference; it ``is_ready`` once its own report was computed."""

    id: str
    rows: int
    is_ready: bool
    is_backfill: bool


def find_parts(db: sqlite3.Connection, batch: Batch, rule: ReferenceFrom) -> dict[str, list[Part]]:
    """Return the parts of which a batch's reference is made, in their order, by the batches that have them.

    Of the first rows there are as many parts as it takes.
    """
    candidates = _candidates(db, batch.collector, batch.report)
    place = next((number for number, one in enumerate(candidates) if one.id == batch.id), len(candidates))
    found: dict[str, list[Part]] = {}
    rows = 0
    for one in _chosen(candidates[:place], rule):
        for part in select_parts(db, one.id):
            if rule.first_rows is None or rows < rule.first_rows:
                found.setdefault(one.id, []).append(part)
                rows += part.rows
    return found


def needed_batches(db: sqlite3.Connection, collector: str, rule: ReferenceFrom) -> set[str]:
    """Return the batches whose rows are to stay, as those that aren't delivered yet, or the next, need them."""
    reports = db.execute("SELECT DISTINCT report FROM batch WHERE collector = ?", (collector,)).fetchall()
    needed: set[str] = set()
    for (report,) in reports:
        known = find_made(db, collector, report)
        if known is not None and known.is_kept and known.source == rule.words:
            continue
        candidates = _candidates(db, collector, report)
        ends = [len(candidates)]
        if rule.previous is not None:
            ends += [number for number, one in enumerate(candidates) if not one.is_ready]
            ends.append(sum(one.is_backfill for one in candidates))  # the past may go on, which comes before the rest
        needed.update(one.id for end in ends for one in _chosen(candidates[:end], rule))
    return needed


def find_made(db: sqlite3.Connection, collector: str, report: str) -> MadeReference | None:
    """Return the file that was made last for a report."""
    select = "SELECT made FROM reference WHERE collector = ? AND report = ?"
    return next((_made(text) for (text,) in db.execute(select, (collector, report))), None)


def enter_made(db: sqlite3.Connection, collector: str, report: str, made: MadeReference | None) -> MadeReference | None:
    """Enter a file in the place of the one before, which is returned; None: there is none any more."""
    before = find_made(db, collector, report)
    db.execute("DELETE FROM reference WHERE collector = ? AND report = ?", (collector, report))
    if made is not None:
        db.execute("INSERT INTO reference VALUES (?, ?, ?)", (collector, report, json.dumps(asdict(made))))
    return before


def known_paths(db: sqlite3.Connection, collector: str | None) -> set[str]:
    """Return the paths of all such files, or of a collector's."""
    which = "" if collector is None else " WHERE collector = ?"
    rows = db.execute(f"SELECT made FROM reference{which}", () if collector is None else (collector,))  # noqa: S608  (ours)
    return {made.path for (text,) in rows if (made := _made(text)) is not None}


def _chosen(before: Sequence[_Candidate], rule: ReferenceFrom) -> list[_Candidate]:
    """Return of the batches before another those of which its reference is made."""
    ready = [one for one in before if one.is_ready]
    if rule.previous is not None:
        return ready[-rule.previous :]
    rows, found = 0, []
    for one in ready:
        if rows < (rule.first_rows or 0):
            found.append(one)
            rows += one.rows
    return found


def _candidates(db: sqlite3.Connection, collector: str, report: str) -> list[_Candidate]:
    """Return the batches of a report: first the past, by its windows, then the others as they were sealed."""
    rows = db.execute(
        "SELECT id, rows, state IN ('evaluated', 'delivered'), is_backfill FROM batch "
        "WHERE collector = ? AND report = ? AND "
        "(state <> 'delivered' OR EXISTS (SELECT 1 FROM part WHERE part.batch = batch.id)) "
        "ORDER BY is_backfill DESC, CASE WHEN is_backfill THEN start END, rowid",
        (collector, report),
    )
    return [_Candidate(id_, rows, bool(is_ready), bool(is_backfill)) for id_, rows, is_ready, is_backfill in rows]


def _made(text: str) -> MadeReference | None:
    try:
        return MadeReference(**json.loads(text))
    except (ValueError, TypeError):  # a damaged journal was recovered
        return None
