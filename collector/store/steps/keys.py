"""Steps on idempotency keys: which requests came before.

A key is kept as 128 bits of a keyed hash, beside 32 of its body's digest, in 27 to 33 bytes of disk. Two keys of one
hash would cost an event; nobody can look for them, as the hash's own key is the journal's secret.

Keys lie in slices: each has a collector's keys of an eighth of the time, or an eighth of the number, that is kept. A
slice goes as a whole, once its newest key is old enough, or early if the collector has too many. So no index by time is
needed, which would take as much room again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.errors import KeyReused

if TYPE_CHECKING:
    import sqlite3

    from collector.config import Idempotency

SLICES = 8
# How many keys of a dropped slice are removed in one transaction: they lie side by side, on ten pages.
SWEPT_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key as it came, and as it is kept with its body's digest."""

    text: str
    hash: bytes
    digest: int


def key_of(secret: bytes, text: str, digest: str) -> Key:
    """Return a key by its text and the SHA-256 of its body in hexadecimal."""
    return Key(text, key_hash(secret, text), short_digest(digest))


def key_hash(secret: bytes, text: str) -> bytes:
    """Return the hash of a key."""
    return hashlib.blake2b(text.encode(), digest_size=16, key=secret).digest()


def short_digest(digest: str) -> int:
    """Return of a digest what SQLite keeps in four bytes."""
    return int(digest[:8] or "0", 16) - 2**31


def read_secret(db: sqlite3.Connection) -> bytes:
    """Return the journal's secret."""
    (secret,) = db.execute("SELECT value FROM secret").fetchone()
    return bytes(secret)


def is_key_known(db: sqlite3.Connection, collector: str, key: Key, since: float) -> bool:
    """Tell whether a key came before; raise KeyReused if it came with another body.

    Slices whose newest key came before ``since`` are passed over.
    """
    known = db.execute(
        "SELECT digest FROM idempotency_key WHERE slice IN "
        "(SELECT id FROM idempotency_slice WHERE collector = ? AND newest >= ?) AND hash = ?",
        (collector, since, key.hash),
    ).fetchone()
    if known is not None and known[0] != key.digest:
        raise KeyReused(f"the idempotency key '{key.text}' came before with another body; give each request its own")
    return known is not None


def keep_key(db: sqlite3.Connection, collector: str, key: Key, kept: Idempotency, now: float) -> float:
    """Keep a key that isn't known; return the age of the oldest key that had to go for it, 0 if none had to."""
    dropped = 0.0
    found = db.execute(
        "UPDATE idempotency_slice SET keys = keys + 1, newest = MAX(newest, ?) WHERE keys < MIN(max_keys, ?) "
        "AND opened > ? AND id = (SELECT MAX(id) FROM idempotency_slice WHERE collector = ?) RETURNING id",
        (now, _slice_keys(kept), now - kept.seconds / SLICES, collector),
    ).fetchall()
    if not found:
        forget_old_keys(db, kept, now)
        room, dropped = _make_room(db, collector, kept.max_keys, now)
        found = db.execute(
            "INSERT INTO idempotency_slice(collector, opened, newest, keys, max_keys) VALUES (?, ?, ?, 1, ?) "
            "RETURNING id",
            (collector, now, now, min(_slice_keys(kept), room)),
        ).fetchall()
    db.execute("INSERT INTO idempotency_key VALUES (?, ?, ?)", (found[0][0], key.hash, key.digest))
    return dropped


def _slice_keys(kept: Idempotency) -> int:
    return max(1, kept.max_keys // SLICES)


def _make_room(db: sqlite3.Connection, collector: str, max_keys: int, now: float) -> tuple[int, float]:
    """Drop a collector's oldest slices until a key has room; return how many were dropped, and the oldest one's age."""
    slices = db.execute(
        "SELECT id, opened, keys FROM idempotency_slice WHERE collector = ? ORDER BY id", (collector,)
    ).fetchall()
    room, age = max_keys - sum(count for _, _, count in slices), 0.0
    for id_, opened, count in slices:
        if room > 0:
            break
        _let_go(db, "id = ?", id_)
        room, age = room + count, max(age, now - opened)
    return room, age


def forget_old_keys(db: sqlite3.Connection, kept: Idempotency, now: float) -> None:
    """Drop slices whose keys are all too old."""
    _let_go(db, "newest < ?", now - kept.seconds)


def forget_keys(db: sqlite3.Connection, collector: str) -> None:
    """Drop all keys of a collector."""
    _let_go(db, "collector = ?", collector)


def _let_go(db: sqlite3.Connection, which: str, value: object) -> None:
    db.execute(f"UPDATE idempotency_slice SET collector = NULL WHERE collector IS NOT NULL AND {which}", (value,))  # noqa: S608  (ours)


def sweep_keys(db: sqlite3.Connection) -> bool:
    """Remove a few keys of a slice that was dropped; return whether there was one."""
    found = db.execute("SELECT id FROM idempotency_slice WHERE collector IS NULL LIMIT 1").fetchone()
    if found is None:
        return False
    few = "SELECT hash FROM idempotency_key WHERE slice = ? ORDER BY hash LIMIT ?"
    done = db.execute(
        f"DELETE FROM idempotency_key WHERE slice = ? AND hash IN ({few})",  # noqa: S608  (ours)
        (*found, *found, SWEPT_KEYS),
    )
    if done.rowcount < SWEPT_KEYS:
        db.execute("DELETE FROM idempotency_slice WHERE id = ?", found)
    return True
