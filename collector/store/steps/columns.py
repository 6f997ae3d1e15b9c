"""Steps on columns: the names in open batches, with which a restart is to count on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.store.records import NewColumns

if TYPE_CHECKING:
    import sqlite3


def keep_columns(db: sqlite3.Connection, collector: str, new: NewColumns) -> None:
    """Keep new names of a collector, and drop those of rows that are gone."""
    db.execute("DELETE FROM open_columns WHERE collector = ? AND cut < ?", (collector, new.oldest))
    db.execute("INSERT INTO open_columns VALUES (?, ?, ?)", (collector, new.cut, new.names))


def read_columns(db: sqlite3.Connection) -> dict[str, NewColumns]:
    """Return by collector all names that are kept, with their last and their first cut."""
    found = dict[str, NewColumns]()
    for collector, cut, names in db.execute("SELECT collector, cut, names FROM open_columns ORDER BY collector, cut"):
        first = found.get(collector, NewColumns(cut, cut, b""))
        found[collector] = NewColumns(cut, first.oldest, first.names + names)
    return found
