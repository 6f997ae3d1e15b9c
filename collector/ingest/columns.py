"""Columns: how many a collector's open batch has; with new names in each POST its table would be of the square."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.errors import TooManyColumns

if TYPE_CHECKING:
    from collections.abc import Collection

    from collector.store.journal import Waiting


class OpenColumns:
    """The names in a collector's open batch that came since the start, as hashes: a name may be of any length.

    What is sealed is told by the journal's counts: of rows that were accepted and don't wait any longer there are more.
    """

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._gone = self._count_gone()
        self._names: set[int] = set()  # that came since the last batch was sealed
        self._before: set[int] = set()  # of the rows that waited then
        self._left = 0  # how many these were

    def admit(self, names: Collection[str], limit: int) -> None:
        """Take names in; raise TooManyColumns, and take none, if the batch would have more than the limit."""
        gone = self._count_gone()
        if gone != self._gone:
            self._begin(gone)
        if not self._names.issuperset(map(hash, names)):
            self._add(names, limit)

    def _add(self, names: Collection[str], limit: int) -> None:
        held = self._names | self._before
        new = [name for name in names if hash(name) not in held]
        if len(held) + len(new) > limit:
            raise TooManyColumns(len(held), limit, new)
        self._names.update(map(hash, names))

    def _begin(self, gone: int) -> None:
        """Begin with the names of rows that are left behind a cut, which may be any of those before it."""
        is_older_left = gone - self._gone < self._left
        self._before = self._names | self._before if is_older_left else self._names
        self._gone, self._left = gone, self._waiting.rows
        if not self._left:
            self._before = set()
        self._names = set()

    def _count_gone(self) -> int:
        return self._waiting.accepted - self._waiting.rows
