"""Steps on idempotency keys: which requests came before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.errors import KeyReused

if TYPE_CHECKING:
    import sqlite3

# Keys that are known: those of a day, and no more than this, which is a few hundred MB.
KEPT_KEYS_SECONDS = 24 * 3600
KEPT_KEYS = 1_000_000


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
