"""The journal's book of halves: requests and responses that a model server has logged are kept and joined."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.store.steps import frames, halves, keys
from collector.store.streams import is_labels
from collector.store.writer import SMALL_STEP

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from collector.config import Idempotency
    from collector.formats.frames import Frame
    from collector.store.records import Fate, Logged
    from collector.store.writer import Order, Writer


@dataclass(frozen=True, slots=True)
class Books:
    """Where the journal counts: frames that were kept, by who takes them; bytes; and keys that were dropped early.

    ``check`` raises StorageError while the disk loses what it is given.
    """

    frame: Callable[[Sequence[str], Frame], None]
    size: Callable[[str, int], None]
    check: Callable[[], None]
    dropped_keys: dict[str, float]


@dataclass(slots=True)
class Kept:
    """What became of a logged request or response, and what to count."""

    fate: Fate
    frame: Frame | None = None
    takers: Sequence[str] = ()
    halves: int = 0  # how many more wait; negative for fewer
    size: int = 0
    dropped: float = 0.0


class HalfBook:
    """Keeps what was logged, in one transaction for all of a request; see ``steps.halves``."""

    def __init__(self, connection: sqlite3.Connection, writer: Writer, secret: bytes, books: Books) -> None:
        self._writer = writer
        self._secret = secret
        self._books = books
        self._waiting: defaultdict[str, int] = defaultdict(int)
        self._largest = 0
        for collector, number, size, largest in halves.count(connection):
            self._waiting[collector] = number
            self._largest = max(self._largest, largest)
            books.size(collector, size)

    def waiting(self, collector: str) -> int:
        """Return how many of a collector's halves wait for the other."""
        return self._waiting[collector]

    def forget(self, collector: str) -> None:
        """Drop what memory has of a collector."""
        self._waiting.pop(collector, None)

    def rename(self, old: str, new: str) -> None:
        """Count a collector's halves under its new id."""
        self._waiting[new] += self._waiting.pop(old, 0)

    def order(
        self,
        logged: Sequence[Logged],
        kept: Idempotency,
        followers: Sequence[str],
        tell: Callable[[list[Fate], int], None],
    ) -> Order[list[Kept]]:
        """Order that all of this be kept, or nothing of it, and don't wait for it.

        ``followers`` get the events too. ``tell`` is called once it is done, with what became of each and how many rows
        events have that were made. Raises StorageError; its order BadBody if a request and its response don't fit.
        """
        self._books.check()
        now = time.time()
        halves_of_it = [len(one.body) for one in logged if one.pair]
        self._largest = max([self._largest, *halves_of_it])
        # With a half, an event is written whose other half may be as large as any that waits.
        size = SMALL_STEP + sum(len(one.body) for one in logged) + self._largest * len(halves_of_it)

        def run(db: sqlite3.Connection) -> list[Kept]:
            return [self._take(db, one, kept, followers, now) for one in logged]

        def apply(taken: list[Kept]) -> None:
            for one, what in zip(logged, taken, strict=True):
                self._count(one.stream, what)
            tell([what.fate for what in taken], sum(what.frame.rows for what in taken if what.frame and what.takers))

        return self._writer.order(run, apply, size)

    def _take(
        self, db: sqlite3.Connection, one: Logged, kept: Idempotency, followers: Sequence[str], now: float
    ) -> Kept:
        # Only the key counts: the same body may come with another compression, or with its JSON written differently.
        key = keys.key_of(self._secret, one.key, "")
        if keys.is_key_known(db, one.stream, key, now - kept.seconds):
            return Kept("repeated")
        taken = self._keep(db, one, followers, now)
        taken.dropped = keys.keep_key(db, one.stream, key, kept, now)
        return taken

    def _keep(self, db: sqlite3.Connection, one: Logged, followers: Sequence[str], now: float) -> Kept:
        if is_labels(one.stream):
            taken = Kept("label", one.frame, (one.stream,))
        elif not one.pair:
            taken = Kept("kept", one.frame, (one.stream, *followers))
        else:
            pair = keys.key_hash(self._secret, one.pair)
            other = halves.take_other(db, one, pair)
            if other is None:
                is_new = halves.keep(db, one, pair)
                return Kept("waiting", halves=1, size=len(one.body)) if is_new else Kept("repeated")
            taken = Kept("kept", other[0], (one.stream, *followers), -1, -other[1])
        for taker in taken.takers:
            assert taken.frame is not None  # noqa: S101  (what is taken has one)
            db.execute(frames.INSERT_FRAME, frames.frame_row(taker, taken.frame, now))
        return taken

    def _count(self, stream: str, taken: Kept) -> None:
        if taken.frame is not None:
            self._books.frame(taken.takers, taken.frame)
        if taken.halves:
            self._waiting[stream] += taken.halves
            self._books.size(stream, taken.size)
        if taken.dropped:
            self._books.dropped_keys[stream] = taken.dropped

    async def newest(self, collector: str) -> int:
        """Return the number of a collector's newest half that waits; 0 if none does."""
        if not self._waiting[collector]:
            return 0
        return await self._writer.execute(lambda db: halves.newest(db, collector))

    async def expire(self, collector: str, upto: int) -> tuple[int, int]:
        """Drop a collector's halves with numbers up to this; return how many requests and responses they were."""
        requests = responses = 0

        def count(gone: list[tuple[bool, int]]) -> None:
            self._waiting[collector] -= len(gone)
            self._books.size(collector, -sum(size for _, size in gone))

        gone = [(True, 0)] * halves.FEW
        while len(gone) == halves.FEW and self._waiting[collector]:
            gone = await self._writer.execute(lambda db: halves.expire(db, collector, upto), count)
            requests += sum(1 for is_request, _ in gone if is_request)
            responses += sum(1 for is_request, _ in gone if not is_request)
        return requests, responses
