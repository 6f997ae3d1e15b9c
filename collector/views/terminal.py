"""A terminal at whose bottom a frame stays and is redrawn in place, while what is written scrolls above it.

It leaves the terminal in its usual state at every moment (the cursor stays visible, below the frame; no modes), so that
nothing is to be put back, not even after kill -9. It never blocks, so that a terminal that was stopped (Ctrl-S, a lost
connection) doesn't stop the daemon. rich's Live does neither, and tears when the terminal becomes narrower or
someone presses Enter.
"""

from __future__ import annotations

import os
import re
import select
import time
from collections import deque
from collections.abc import Sequence
from typing import TextIO

from collector.views.lossy import MAX_PENDING_BYTES

# Between these two the terminal shows nothing new. Terminals that don't know them ignore them.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_ERASE_BELOW = "\x1b[J"
_HOME = "\x1b[H"
_STYLING = re.compile(r"\x1b\[[0-9;]*m")
# Lines of the log that are kept to fill the screen again after its size has changed.
_RECENT = 200


def open_terminal(stream: TextIO) -> Terminal | None:
    """Return the terminal that a stream writes to; None if it is none, or one that can't move its cursor."""
    try:
        is_fit = stream.isatty() and os.environ.get("TERM", "dumb") not in {"", "dumb", "unknown"}
        if not is_fit or "utf" not in stream.encoding.lower():
            return None
        # Opened again: the shell must not share a file that doesn't block.
        return Terminal(os.open(os.ttyname(stream.fileno()), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:  # the terminal of another user, after su; or none in this container
        return None


class Terminal:
    """Owns a descriptor of a terminal that doesn't block. Its methods raise OSError if the terminal is gone."""

    encoding = "utf-8"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pending = b""
        self._unfinished = ""
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._frame: Sequence[str] = ()
        self._frame_size = self._drawn_size = self.size()
        self._rows = 0  # how many lines above the cursor the frame begins

    def size(self) -> os.terminal_size:
        """Return its columns and lines; 0 and 0 if nobody looks, as in a container."""
        return os.get_terminal_size(self._descriptor)

    def isatty(self) -> bool:
        """Tell whether it is still there."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """Return its descriptor."""
        return self._descriptor

    def flush(self) -> None:
        """Do nothing: what can be written is."""

    def write(self, text: str) -> None:
        """Write lines above the frame; one without an end waits for it."""
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        if not lines:
            return
        if len(self._pending) > MAX_PENDING_BYTES:
            self._send("")
        if len(self._pending) > MAX_PENDING_BYTES:
            raise BlockingIOError("the terminal accepts no output")
        self._show(lines)
        self._recent.extend(lines)

    def draw(self, frame: Sequence[str], size: os.terminal_size) -> None:
        """Show a frame that was made for a size in place of the last one, as far as it fits.

        A terminal that is slow, or has another size by now, goes without it until the next.
        """
        self._frame, self._frame_size = frame, size
        if self._pending:
            self._send("")
        if not self._pending:
            self._show()

    def clear(self) -> None:
        """Take the frame away."""
        self._frame = ()
        self._show()

    def forget(self) -> None:
        """Leave the frame where it is, as something else may have been written below it; the next goes below that."""
        self._rows = 0

    def finish(self, seconds: float) -> None:
        """Write the rest, if the terminal takes it within ``seconds``."""
        deadline = time.monotonic() + seconds
        while self._pending and (left := deadline - time.monotonic()) > 0:
            select.select([], [self._descriptor], [], left)
            self._send("")

    def _show(self, lines: Sequence[str] = ()) -> None:
        """Write lines in place of the frame, and the frame below them."""
        size = self.size()
        is_shown = self.is_ours() and not self._pending and size == self._frame_size
        frame = self._frame[: max(0, size.lines - 1)] if is_shown else ()
        before = self._erasing(size, [*lines, *frame])
        self._rows, self._drawn_size = len(frame), size
        if before or lines or frame:
            self._send("".join([_BEGIN, before, *(f"{line}\n" for line in (*lines, *frame)), _END]))

    def _erasing(self, size: os.terminal_size, following: Sequence[str]) -> str:
        """Return what erases the old frame; ``following`` will be written in its place.

        If the size has changed, nobody knows where the frame is by now: then the whole screen is written again.
        """
        typed = self._typed_lines()
        if not self._rows:
            return ""
        if size == self._drawn_size:
            return f"\x1b[{self._rows + typed}A\r{_ERASE_BELOW}"
        room = size.lines - 1 - sum(_rows(line, size.columns) for line in following)
        kept: list[str] = []
        for line in reversed(self._recent):
            room -= _rows(line, size.columns)
            if room < 0:
                break
            kept.insert(0, f"{line}\n")
        return _HOME + _ERASE_BELOW + "".join(kept)

    def is_ours(self) -> bool:
        """Tell whether someone looks, and we are the foreground job: a frame would tear what others write."""
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp() and min(self.size()) > 0
        except OSError:  # the terminal isn't that of our session
            return False

    def _typed_lines(self) -> int:
        """Read what was typed and return the number of its lines: each has moved the cursor."""
        lines = 0
        while (
            self.is_ours()
            and select.select([self._descriptor], [], [], 0)[0]
            and (typed := os.read(self._descriptor, 4096))
        ):
            lines += typed.count(b"\n")
        return lines

    def _send(self, text: str) -> None:
        """Write as much as the terminal takes; the rest is written first the next time."""
        self._pending += text.encode(errors="replace")
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._descriptor, self._pending) :]
        except BlockingIOError:
            return


def _rows(line: str, columns: int) -> int:
    from rich.cells import cell_len  # only after a change of size

    return max(1, -(-cell_len(_STYLING.sub("", line)) // max(columns, 1)))
