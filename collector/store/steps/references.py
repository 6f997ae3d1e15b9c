"""Steps on references that are made: of which batches, in which file, and which batches are still needed for some."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from collector.store.records import MadeReference
from collector.store.steps.parts import select_parts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from collector.config.reference_from import ReferenceFrom
    from collector.store.records import Batch, Part


class _Candidate(NamedTuple):
    """A batch whose rows may become a reference; it ``is_ready`` once its own report is computed.

    Backfilled batches come first, by their windows; then the others, in the order in which they were sealed.
    """

    order: tuple[bool, float, int]
    id: str
    rows: int
    is_ready: bool

    @property
    def is_backfill(self) -> bool:
        return not self.order[0]


def find_parts(db: sqlite3.Connection, batch: Batch, rule: ReferenceFrom) -> dict[str, list[Part]]:
    """Return the parts of a batch's reference, in order, by the batches that have them.

    Of the first rows there are as many parts as it takes.
    """
    ready = _candidates(db, _READY, batch.collector, batch.report)
    before = [one for itself in _candidates(db, "id = ?", batch.id) for one in ready if one.order < itself.order]
    found: dict[str, list[Part]] = {}
    rows = 0
    for one in before if rule.previous is None else before[-rule.previous :]:
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
        ready = _candidates(db, _READY, collector, report)
        if rule.previous is not None:
            waiting = _candidates(db, _WAITING, collector, report)
            needed.update(_needed_before([*ready, *waiting], rule.previous))
        else:
            needed.update(_first(ready, rule.first_rows or 0))
    return needed


def _needed_before(candidates: Iterable[_Candidate], number: int) -> Iterator[str]:
    """Yield the ``number`` batches before each one that isn't ready, before the end, and before the first live one."""
    last: deque[str] = deque(maxlen=number)
    is_new = was_backfill = False
    for one in sorted(candidates):
        if is_new and (not one.is_ready or (was_backfill and not one.is_backfill)):
            yield from last
            is_new = False
        if one.is_ready:
            last.append(one.id)
            is_new = True
        was_backfill = one.is_backfill
    yield from last


def _first(ready: Iterable[_Candidate], rows: int) -> Iterator[str]:
    for one in ready:
        if rows <= 0:
            return
        rows -= one.rows
        yield one.id


def find_made(db: sqlite3.Connection, collector: str, report: str) -> MadeReference | None:
    """Return the file that was made last for a report."""
    select = "SELECT made FROM reference WHERE collector = ? AND report = ?"
    return next((_made(text) for (text,) in db.execute(select, (collector, report))), None)


def enter_made(db: sqlite3.Connection, collector: str, report: str, made: MadeReference | None) -> MadeReference | None:
    """Enter a file in place of the one before, which is returned; None: there is none any more."""
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


_ROWS = "EXISTS (SELECT 1 FROM part WHERE part.batch = batch.id)"
_READY = f"collector = ? AND report = ? AND state IN ('evaluated', 'delivered') AND {_ROWS}"
_WAITING = "collector = ? AND report = ? AND state IN ('sealed', 'failed')"


def _candidates(db: sqlite3.Connection, which: str, *values: str) -> list[_Candidate]:
    """Return batches in the order in which they may become references."""
    rows = db.execute(
        "SELECT NOT is_backfill, CASE WHEN is_backfill THEN start ELSE 0 END, rowid, id, rows, "  # noqa: S608  (ours)
        f"state IN ('evaluated', 'delivered') FROM batch WHERE {which}",
        values,
    )
    found = (
        _Candidate((bool(is_live), at or 0.0, rowid), id_, count, bool(is_ready))
        for is_live, at, rowid, id_, count, is_ready in rows
    )
    return sorted(found)


def _made(text: str) -> MadeReference | None:
    try:
        return MadeReference(**json.loads(text))
    except (ValueError, TypeError):  # the journal was damaged and recovered
        return None
