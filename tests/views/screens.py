"""A terminal of a test's own: what it shows, and what is typed into it."""

import fcntl
import os
import pty
import struct
import termios

import pyte

from collector.views.terminal import Terminal


class Pty:
    """Both ends of a terminal; ``display`` gives its lines."""

    def __init__(self, columns=40, lines=12):
        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self.stream = pyte.ByteStream(self.screen)
        self.resize(columns, lines)

    def resize(self, columns, lines):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def read(self):
        """Return what was written since the last time, and show it."""
        written = b""
        while True:
            try:
                written += os.read(self.master, 65536)
            except BlockingIOError:
                break
        self.stream.feed(written)
        return written

    def display(self):
        self.read()
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def scrolled(self):
        """Return the lines that have left the screen at its top."""
        self.read()
        columns = range(self.screen.columns)
        return ["".join(line[column].data for column in columns).rstrip() for line in self.screen.history.top]

    def type(self, text):
        """Type; the terminal echoes it."""
        os.write(self.master, text.encode())

    def terminal(self):
        """Open it as the daemon does; a test isn't its foreground job, so that much is taken for granted."""
        return OurTerminal(os.open(os.ttyname(self.slave), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))

    def close(self):
        os.close(self.master)
        os.close(self.slave)


class OurTerminal(Terminal):
    has_foreground = True

    def is_ours(self):
        return self.has_foreground and min(self.size()) > 0
