"""Columns: how many an open batch has; with new names in each POST, its table would grow with their square."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from collector.errors import TooManyColumns
from collector.store.records import NewColumns

if TYPE_CHECKING:
    from collections.abc import Collection

    from collector.store.journal import Waiting

_HASH_BYTES = 8


class OpenColumns:
    """The names in a collector's open batch, as hashes: a name may be of any length.

    What is sealed is told by the journal's counts: of rows that were accepted and don't wait any longer there are more.
    """

    def __init__(self, waiting: Waiting, kept: NewColumns | None) -> None:
        self._waiting = waiting
        self._gone = self._count_gone()
        self._known: set[int] = set()  # Python's hashes of the names seen since the last cut, which most POSTs repeat
        self._names: set[bytes] = set()  # the names that came since the last cut
        # the names of the rows that waited at the last cut
        self._before = _split(kept.names) if kept and waiting.rows else set()
        self._left = waiting.rows  # how many rows those were
        self._oldest, self._cut = (kept.oldest, kept.cut + 1) if kept else (0, 0)

    def admit(self, names: Collection[str], limit: int) -> NewColumns | None:
        """Take names in; return those that have to be kept, if any may be new. ``mark_kept`` says that they are.

        Raises TooManyColumns, and takes none, if the batch would have more than the limit.
        """
        self._look_back()
        return None if self._known.issuperset(map(hash, names)) else self._add(names, limit)

    def check(self, names: Collection[str], limit: int, whose: str) -> None:
        """Raise TooManyColumns, saying ``whose`` they would be, if ``admit`` would."""
        self._look_back()
        if not self._known.issuperset(map(hash, names)):
            self._new(names, limit, whose)

    def mark_kept(self, names: Collection[str], new: NewColumns) -> None:
        """Take down that names are kept."""
        if new.cut == self._cut:
            self._known.update(map(hash, names))

    def _add(self, names: Collection[str], limit: int) -> NewColumns:
        came = self._new(names, limit, "the collector's")
        self._names.update(came)
        return NewColumns(self._cut, self._oldest, b"".join(came))

    def _new(self, names: Collection[str], limit: int, whose: str) -> dict[bytes, str]:
        """Return those names that may be new, by their hashes."""
        held = self._names | self._before
        came = {_hash(name): name for name in names if hash(name) not in self._known}
        new = [name for key, name in came.items() if key not in held]
        if len(held) + len(new) > limit:
            raise TooManyColumns(len(held), limit, new, whose)
        return came

    def _look_back(self) -> None:
        gone = self._count_gone()
        if gone != self._gone:
            self._begin(gone)

    def _begin(self, gone: int) -> None:
        """Start again after a cut. Rows that it left behind may have any of the names that came before it."""
        is_older_left = gone - self._gone < self._left
        self._before = self._names | self._before if is_older_left else self._names
        self._oldest = self._oldest if is_older_left else self._cut
        self._gone, self._left, self._cut = gone, self._waiting.rows, self._cut + 1
        if not self._left:
            self._before, self._oldest = set(), self._cut
        self._names, self._known = set(), set()

    def _count_gone(self) -> int:
        return self._waiting.accepted - self._waiting.rows


def _hash(name: str) -> bytes:
    return blake2b(name.encode(errors="surrogatepass"), digest_size=_HASH_BYTES).digest()


def _split(names: bytes) -> set[bytes]:
    return {names[at : at + _HASH_BYTES] for at in range(0, len(names), _HASH_BYTES)}
