"""Halving: a body that the service, or a proxy before it, finds too large is sent in halves, until each is accepted."""

from __future__ import annotations

import math
from typing import Generic, Protocol, Self, TypeVar

from collector.errors import CollectorError, RequestRefused

# The part of a refused size that is tried next: a little more than half, as the halves of a body are rarely equal.
_WORTH_TRYING = 0.6


class Halvable(Protocol):
    """Rows that can be sent in one request, or in two."""

    @property
    def rows(self) -> int: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    def halves(self) -> tuple[Self, Self]: ...  # noqa: D102


P = TypeVar("P", bound=Halvable)


class Passage:
    """How many bytes pass at once on the way to a service, as it has shown so far."""

    def __init__(self) -> None:
        self._max_size = math.inf
        self._passed = 0

    def lets_through(self, size: int) -> bool:
        """Tell whether ``size`` bytes may pass."""
        return size <= self._max_size

    def narrow(self, size: int) -> None:
        """Remember that ``size`` bytes didn't pass."""
        self._max_size = min(self._max_size, max(size * _WORTH_TRYING, self._passed))

    def widen(self, size: int) -> None:
        """Remember that ``size`` bytes passed."""
        self._passed = max(self._passed, size)


class Halving(Generic[P]):
    """The pieces to send, in order, each with its key: the key of the whole, with the piece's path in it."""

    def __init__(self, piece: P, key: str, passage: Passage) -> None:
        self._left = [(piece, key)]
        self._last: tuple[P, str] | None = None
        self._passage = passage

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[P, str]:
        if self._last is not None:
            self._passage.widen(self._last[0].size)
        while self._left:
            piece, key = self._last = self._left.pop()
            if piece.rows < 2 or self._passage.lets_through(piece.size):
                return piece, key
            self._halve(piece, key)
        raise StopIteration

    def halves_after(self, error: CollectorError) -> bool:
        """Go on with the halves of the last piece, if the error says that it is too large and it can be halved."""
        if self._last is None or not isinstance(error, RequestRefused) or error.status != 413:
            return False
        (piece, key), self._last = self._last, None
        if piece.rows > 1:
            self._passage.narrow(piece.size)
            self._halve(piece, key)
        return piece.rows > 1

    def _halve(self, piece: P, key: str) -> None:
        first, second = piece.halves()
        self._left += [(second, f"{key}.1"), (first, f"{key}.0")]
