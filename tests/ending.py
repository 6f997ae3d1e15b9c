"""Processes that surely end: with a block, and with whoever runs it, however that one ends."""

import subprocess
import sys
from contextlib import contextmanager

from machine import PATIENCE

# It reads until nobody has the other end any more, then ends all of its group, which it is in itself.
_PROGRAM = "import os, signal, sys; sys.stdin.read(); os.killpg(0, signal.SIGKILL)"


@contextmanager
def process_group():
    """Return the number of a process group, for ``Popen(process_group=…)``; its processes are killed in the end."""
    keeper = subprocess.Popen([sys.executable, "-S", "-c", _PROGRAM], stdin=subprocess.PIPE, process_group=0)
    try:
        yield keeper.pid
    finally:
        keeper.stdin.close()
        keeper.wait(PATIENCE)
