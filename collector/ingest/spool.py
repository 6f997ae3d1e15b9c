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
from collector.formats.frames import Frame, StoredBody
from collector.store.body_files import BodyFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from collector.formats.bounds import Bounds, Counted
    from collector.formats.frames import Format
    from collector.formats.private import Private
    from collector.store.data_dir import DataDir
    from collector.store.journal import Journal

    # Counts the rows of a body, or of one in a file, and names its columns; raises what check_frame does.
    Check = Callable[[Format, bytes | Path, Bounds], Awaitable[Counted]]
    # Drops or hashes columns of a body, in a process of its own; see formats.private.
    WithoutPrivate = Callable[[Format, bytes, Private, Bounds], Awaitable[tuple[Format, bytes]]]


class Spool:
    """Where bodies are until the journal has them."""

    def __init__(
        self, data_dir: DataDir, journal: Journal, check: Check, without_private: WithoutPrivate, *, is_synced: bool
    ) -> None:
        self._data_dir = data_dir
        self._journal = journal
        self._check = check
        self.without_private = without_private
        self._is_synced = is_synced
        self._threads = trio.CapacityLimiter(4)
        self._kept: set[str] = set()
        self._is_counting = False

    @contextmanager
    def open(self, format_: Format, *, is_digested: bool) -> Iterator[BodyFile]:
        """Return a file for a body, which is made with its first byte, and removed unless the journal ``keep``s it."""
        file = BodyFile(self._data_dir.new_body(format_), self._threads, is_digested=is_digested)
        try:
            yield file
        except StorageError as error:
            self._journal.note(error)
            raise
        finally:
            if file.path.name in self._kept:
                self._kept.remove(file.path.name)
            else:
                file.discard()

    async def check(self, file: BodyFile, rest: bytes, format_: Format, bounds: Bounds) -> Frame:
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
        return Frame(format_, body, *(await self._check(format_, file.path, bounds) if counted is None else counted))

    async def check_typed(self, format_: Format, body: bytes, bounds: Bounds) -> Frame:
        """Check a body that stays in memory where it may end the process: who reads Arrow trusts what it says."""
        return Frame(format_, body, *await self._check(format_, body, bounds))

    def keep(self, frame: Frame) -> None:
        """Leave a frame's file to the journal, which may have it even if who gave it was cancelled meanwhile."""
        if isinstance(frame.body, StoredBody):
            self._kept.add(frame.body.name)

    def drop(self, frame: Frame) -> None:
        """Have a frame's file removed: the journal has it not."""
        if isinstance(frame.body, StoredBody):
            self._kept.discard(frame.body.name)


def _count_plain_rows(body: bytes, bounds: Bounds) -> Counted | None:
    from collector.formats.json_columns import count_plain_rows  # what it needs is nothing to begin with

    return count_plain_rows(body, bounds)
