"""The live view: a service's screen at the bottom of a terminal, redrawn as it changes."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import trio
from rich.console import Console

from collector.views.history import History
from collector.views.screen import Screen

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

    from collector.status.status import ServiceStatus
    from collector.views.terminal import Terminal

FRAME_INTERVAL = 0.25
# Seconds after which a frame is drawn even if nothing has changed, because ages and clocks go on.
IDLE_INTERVAL = 1.0
# The share of a core that drawing may take: after a slow frame, the next one waits longer.
SHARE = 0.01
LOG_LINES = 8
# Seconds for which a terminal that takes no output may delay the end.
PATIENCE = 0.5


async def show_live(terminal: Terminal, get_status: Callable[[], ServiceStatus], address: str) -> None:
    """Show the daemon below its logs until cancelled; then the logs alone are left."""
    live = Live(terminal, address, LOG_LINES)
    with pinned(terminal):
        while True:
            began, status = time.thread_time(), get_status()
            with suppress(OSError):  # the terminal may be gone, which is no reason to stop
                live.show(status)
            await trio.sleep(max(FRAME_INTERVAL, (time.thread_time() - began) / SHARE))


@contextmanager
def pinned(terminal: Terminal) -> Iterator[None]:
    """Have a terminal show frames until the end of the block, also beyond a stop by Ctrl-Z; then take the last away."""
    # Not trio's way: it must be known that a shell has written before the next frame is drawn.
    before = signal.signal(signal.SIGCONT, lambda _number, _frame: terminal.forget())
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before)
        with suppress(OSError):
            terminal.clear()
            terminal.finish(PATIENCE)


class Live:
    """Draws the successive statuses of a service, each once, at the bottom of a terminal.

    ``log_lines`` of it are left free, or a quarter if that is less.
    """

    def __init__(self, terminal: Terminal, address: str, log_lines: int = 0) -> None:
        self._terminal = terminal
        self._address = address
        self._log_lines = log_lines
        self._history = History()
        self._console = Console(file=terminal, force_terminal=True)  # type: ignore[arg-type]  # has what rich uses
        self._drawn: tuple[ServiceStatus, os.terminal_size] | None = None

    def show(self, service: ServiceStatus) -> None:
        """Draw a status, unless the last frame says as much and is recent; raise OSError if the terminal is gone."""
        self._history.note(service)
        if not self._terminal.is_ours():
            return
        size = self._terminal.size()
        if self._drawn is not None and size == self._drawn[1]:
            last = self._drawn[0]
            if service.time - last.time < IDLE_INTERVAL and replace(service, time=last.time) == last:
                return
        lines = size.lines - 1 - min(self._log_lines, size.lines // 4)
        self.draw(Screen(service, self._history, size.columns, lines, self._address), size)
        self._drawn = service, size

    def draw(self, frame: RenderableType, size: os.terminal_size) -> None:
        """Draw anything that was made for a size."""
        self._drawn = None
        self._console.width = size.columns
        with self._console.capture() as captured:
            self._console.print(frame, crop=False)
        self._terminal.draw(captured.get().splitlines(), size)
