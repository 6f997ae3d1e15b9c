"""Streams that lose lines rather than raise or wait: events are worth more than the log.

A full disk, a pipe that nobody reads, a terminal that was stopped: what can't be written is dropped and counted, and
the count is told as soon as there is room.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Any, TextIO

# Bytes that may wait for the reader; more are dropped.
MAX_PENDING_BYTES = 1_000_000
MISSING = "lines of the log could not be written, and are missing here"


def gap(lines: int) -> str:
    """Return the line that stands in place of lines that were dropped."""
    return f"{lines} {MISSING}\n"


class Lossy:
    """A stream over another one, which raises OSError for text that it can't take."""

    def __init__(self, stream: TextIO, tell: Callable[[int], str] = gap) -> None:
        self._stream = stream
        self._tell = tell
        self.lost = 0  # lines that were lost and aren't reported yet
        self._changed = Condition()

    def write(self, text: str) -> None:
        """Write, or drop it; the next that can be written is led by a line about it."""
        lost = self._take_lost()
        try:
            self._put(self._tell(lost) + text if lost else text)
        except OSError:
            self._lose(lost + text.count("\n"))

    def flush(self) -> None:
        """Do nothing: each line is flushed as it is written."""

    def finish(self, seconds: float) -> None:
        """Wait until all is written, for ``seconds`` at most."""

    def __getattr__(self, name: str) -> Any:
        """Be the stream itself in all else, as in its width."""
        return getattr(self._stream, name)

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _take_lost(self) -> int:
        with self._changed:
            lost, self.lost = self.lost, 0
        return lost

    def _lose(self, lines: int) -> None:
        with self._changed:
            self.lost += lines


class Background(Lossy):
    """A stream over a descriptor that may take as long as it likes: a thread of its own waits for it.

    The descriptor itself stays as it is: made non-blocking, it would be so for the shell too that it is shared with.
    """

    def __init__(self, stream: TextIO, tell: Callable[[int], str] = gap) -> None:
        super().__init__(stream, tell)
        self._descriptor = stream.fileno()
        self._queue: SimpleQueue[bytes] = SimpleQueue()
        self._pending = 0
        Thread(target=self._write_for_ever, name="log", daemon=True).start()

    def finish(self, seconds: float) -> None:
        """Wait until all is written, for ``seconds`` at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._pending, seconds)

    def _put(self, text: str) -> None:
        line = text.encode(errors="backslashreplace")
        with self._changed:
            if self._pending + len(line) > MAX_PENDING_BYTES:
                raise BlockingIOError
            self._pending += len(line)
        self._queue.put(line)

    def _write_for_ever(self) -> None:
        while True:
            line = self._queue.get()
            is_written = self._write(line)
            if is_written and self._queue.empty() and (lost := self._take_lost()):
                self._write(self._tell(lost).encode(), lost)
            with self._changed:
                self._pending -= len(line)
                self._changed.notify_all()

    def _write(self, line: bytes, lines: int | None = None) -> bool:
        """Write a text whole; if that fails, count its lines as lost."""
        left = line
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            self._lose(left.count(b"\n") if lines is None else lines)
        return not left
