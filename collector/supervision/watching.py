"""Watching: an edit of a file is noticed within a moment, whichever program saves it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import structlog
import trio

from collector.waiting.bell import set_when_cancelled

_log = structlog.get_logger()

# Seconds between looks at files of which no event tells (NFS, some mounted volumes).
SLOW_INTERVAL = 10.0
# Milliseconds. An edit is over when nothing has changed for the first; or at the latest after the second.
_QUIET = 50
_LONGEST = 400


async def watch(path: Path, look: Callable[[], Awaitable[None]]) -> None:
    """Look whenever a file may have changed, and now and then; runs until cancelled.

    Directories are watched, not the file: editors and ConfigMaps put a new one in its place.
    """
    while True:
        await look()
        await _watch(path, _directories(path), look)


async def _watch(path: Path, directories: set[Path], look: Callable[[], Awaitable[None]]) -> None:
    """Watch, and look after each change, until a symbolic link on the way to the file leads elsewhere."""
    from watchfiles import awatch

    stop = trio.Event()
    changes = awatch(
        *directories,
        stop_event=stop,
        step=_QUIET,
        debounce=_LONGEST,
        rust_timeout=int(SLOW_INTERVAL * 1000),
        yield_on_timeout=True,
        recursive=False,
        watch_filter=lambda _, changed: _is_of(Path(changed), path),
    )
    async with trio.open_nursery() as nursery, aclosing(changes):
        # if it were only cancelled, watchfiles would wait for its time-out
        nursery.start_soon(set_when_cancelled, stop)
        while await _has_changed(changes):
            await look()
            if _directories(path) != directories:
                break
        nursery.cancel_scope.cancel()


async def _has_changed(changes: AsyncGenerator[object, None]) -> bool:
    """Return True once something has changed; False if it can't be watched: no directory, or no watches left."""
    try:
        async for _ in changes:  # anext() with a default would leak a little each time
            return True
    except (OSError, RuntimeError) as error:
        _log.debug("the config file's directory can't be watched; it is looked at now and then", error=str(error))
        await trio.sleep(SLOW_INTERVAL)
    return False


def _directories(path: Path) -> set[Path]:
    return {path.absolute().parent, Path(os.path.realpath(path)).parent}


def _is_of(changed: Path, path: Path) -> bool:
    """Tell whether a change may concern this file: the file itself, its target, or a link on the way there."""
    return changed.name in {path.name, Path(os.path.realpath(path)).name} or changed.name.startswith("..")
