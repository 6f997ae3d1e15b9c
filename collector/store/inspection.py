"""Inspection: a large journal is checked whole while it is used; checking it first would hold up its start for seconds.

What is found ends the service as if it had been found in use: the next start recovers what is sound.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING

import structlog
import trio

from collector.disk.refusals import is_damage
from collector.store.connect import read_only
from collector.store.opening import CHECKED_FIRST, find_fault
from collector.waiting.bell import set_when_cancelled

if TYPE_CHECKING:
    from pathlib import Path

    from collector.store.data_dir import DataDir

_log = structlog.get_logger()

# 4 GB take up to 10 s to check, in which the log can't begin anew. In a larger journal, damage is found when it is
# used.
MAX_BYTES = 4 * 1024**3
# Steps of SQLite's virtual machine, which does some 10 million a second, before it asks whether to go on.
_STEPS = 10_000


async def inspect(data_dir: DataDir) -> None:
    """Check a journal that wasn't checked when it was opened; mark it if it is broken, for Tending to see.

    Cancellation: the check is broken off.
    """
    is_over = Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(set_when_cancelled, is_over)
        fault = await trio.to_thread.run_sync(_find_fault, data_dir.journal, is_over)
        nursery.cancel_scope.cancel()
    if fault:
        _log.error("the journal is broken; the service ends, so that its next start recovers it", reason=fault)
        data_dir.journal_mark.touch(0o600)


def _find_fault(path: Path, is_over: Event) -> str:
    try:
        size = path.stat().st_size
    except OSError:  # somebody has removed it; that is found elsewhere
        return ""
    if not CHECKED_FIRST < size <= MAX_BYTES:
        return ""
    with closing(read_only(path)) as connection:
        connection.set_progress_handler(is_over.is_set, _STEPS)
        try:
            return find_fault(connection)
        except sqlite3.Error as error:
            if is_damage(error):
                return str(error)
            if not is_over.is_set():
                _log.error("the journal can't be checked", error=str(error))
            return ""
