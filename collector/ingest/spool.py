"""The spool: large bodies go to the disk as they come in, and are checked there by a process of its own.

A usual one in JSON that came as one piece is checked by the thread that writes it, in less time than the process needs
to begin: one at a time, as several would wait for each other and have the event loop wait.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import trio

from collector.errors import StorageError
from collector.fault_points import reach
from collector.formats.frames import Frame
from collector.formats.stored import StoredBody
from collector.store.body_files import BodyWriter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from collector.formats.bounds import Bounds, Counted
    from collector.formats.frames import Format
    from collector.formats.private import Private
    from collector.store.journal import Journal

    # Counts the rows of a body, wherever it is, and returns the names of its columns; raises what check_frame raises.
    Check = Callable[[Format, bytes | StoredBody, Bounds], Awaitable[Counted]]
    # Drops or hashes columns of a body, in another process; see formats.private.
    WithoutPrivate = Callable[[Format, bytes, Private, Bounds], Awaitable[tuple[Format, bytes]]]


class Spool:
    """Where bodies are until the journal has them."""

    def __init__(self, journal: Journal, check: Check, without_private: WithoutPrivate, *, is_synced: bool) -> None:
        self._journal = journal
        self._check = check
        self.without_private = without_private
        self._is_synced = is_synced
        self._threads = trio.CapacityLimiter(4)
        self._kept: set[str] = set()  # the places of bodies that were kept
        self._is_counting = False

    @contextmanager
    def open(self, format_: Format, *, is_digested: bool) -> Iterator[BodyWriter]:
        """Return what writes a body to a file, in which nothing of it stays unless the journal is to ``keep`` it."""
        writer = BodyWriter(self._journal.body_files, format_, self._threads, is_digested=is_digested)
        try:
            yield writer
        except StorageError as error:
            self._journal.note(error)
            raise
        finally:
            writer.end(is_kept=writer.place in self._kept)
            self._kept.discard(writer.place)

    async def check(self, file: BodyWriter, rest: bytes, format_: Format, bounds: Bounds) -> Frame:
        """Make sure that a body which is in a file, but for its rest, is a table, and return it as a frame."""
        if format_ != "json" or file.is_begun or self._is_counting:
            body, counted = await file.finish(rest, is_synced=self._is_synced)
        else:
            self._is_counting = True
            try:
                count = partial(_count_plain_rows, rest, bounds)
                body, counted = await file.finish(rest, is_synced=self._is_synced, then=count)
            finally:
                self._is_counting = False
        reach("body written")
        return Frame(format_, body, *(await self._check(format_, body, bounds) if counted is None else counted))

    async def check_typed(self, format_: Format, body: bytes, bounds: Bounds) -> Frame:
        """Check a body that stays in memory where it may end the process: who reads Arrow trusts what it says."""
        return Frame(format_, body, *await self._check(format_, body, bounds))

    def keep(self, frame: Frame) -> None:
        """Leave a frame's body in its file: the journal may have it even if who gave it was cancelled meanwhile."""
        if isinstance(frame.body, StoredBody):
            self._kept.add(frame.body.place)

    def drop(self, frame: Frame) -> None:
        """Have a frame's body removed from its file: the journal has it not."""
        if isinstance(frame.body, StoredBody):
            self._kept.discard(frame.body.place)


def _count_plain_rows(body: bytes, bounds: Bounds) -> Counted | None:
    from collector.formats.json_columns import count_plain_rows  # not needed at the start

    return count_plain_rows(body, bounds)
