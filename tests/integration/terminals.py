"""A program in a terminal of its own, and what that terminal shows."""

import sys
import termios
import time
import warnings

import pexpect
import pyte
import pytest

from .conftest import PATIENCE, environment


class App:
    """Runs a command in a terminal; ``text`` is what stands on its screen."""

    def __init__(self, command, cwd, columns=80, lines=24, **variables):
        # A terminal tells its width itself.
        variables = {"COLUMNS": "", "NO_COLOR": "", "TERM": "xterm-256color"} | variables
        program, *arguments = map(str, command)
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.written = b""
        with warnings.catch_warnings():  # of a fork beside other tests' threads; the child calls nothing but exec
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process = pexpect.spawn(
                program, arguments, cwd=cwd, env=environment(**variables), dimensions=(lines, columns)
            )
        self.modes = termios.tcgetattr(self.process.child_fd)

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def wait_for(self, check, what, seconds=PATIENCE):
        """Read until the screen's text fits ``check``, and return the text."""
        deadline = time.monotonic() + seconds
        while not check(self.text):
            if time.monotonic() > deadline or not self.read(0.2):
                pytest.fail(f"{what} didn't come:\n{self.text}")
        return self.text

    def read(self, seconds):
        """Show what is written within some seconds; return whether the program still runs."""
        try:
            written = self.process.read_nonblocking(65536, timeout=seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.written += written
        self.stream.feed(written)
        return True

    def resize(self, columns, lines):
        self.process.setwinsize(lines, columns)
        self.screen.resize(lines, columns)

    def wait_end(self, seconds=PATIENCE):
        """Read until it has ended; return its exit code, negative for a signal."""
        deadline = time.monotonic() + seconds
        while self.read(0.2):
            if time.monotonic() > deadline:
                pytest.fail(f"it didn't end:\n{self.text}")
        self.process.wait()
        return self.process.exitstatus if self.process.signalstatus is None else -self.process.signalstatus

    def assert_sane(self):
        """The terminal is as it was: its cursor is there, at the start of a line, no frame is left, no mode set."""
        assert not self.screen.cursor.hidden
        assert self.screen.cursor.x == 0
        assert "── evidently-collector" not in self.text
        assert termios.tcgetattr(self.process.child_fd) == self.modes

    def close(self):
        self.process.close(force=True)


def collector_command(*arguments):
    return [sys.executable, "-m", "collector", *map(str, arguments)]
