"""The machine that the tests run on: what it does beside them makes all of them slower."""

import contextlib
import random
import socket
import time

import pytest

# Seconds in which what must come has come, where other work keeps all processors busy, too; what doesn't, never does.
PATIENCE = 240.0
SAMPLE = 0.1  # seconds of a processor


def wait_until(check, what="it", seconds=PATIENCE, pause=0.05):
    """Return the first true value that ``check`` gives; fail when it gives none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := check():
            return value
        time.sleep(pause)
    return pytest.fail(f"{what} didn't come in {seconds:g} s")


class Stopwatch:
    """Measures a block, in the ``seconds`` that it would have taken with a processor to itself.

    For that, a busy loop is measured before and after the block; what it waits for a processor, the block waits too.
    """

    def __enter__(self):
        self._slowness = slowness()
        self._begun = time.monotonic()
        return self

    def __exit__(self, *_):
        seconds = time.monotonic() - self._begun
        self.seconds = seconds / max(self._slowness, slowness())


def quickest(measure, enough):
    """Return the least seconds that ``measure`` gives in three tries, or the first that are less than ``enough``.

    What else the machine does may spoil a try.
    """
    tries = []
    while len(tries) < 3 and min(tries, default=enough) >= enough:
        tries.append(measure())
    return min(tries)


def slowness():
    """Return how many times longer a busy loop takes than it would alone: 1 on a quiet machine."""
    begun, used = time.perf_counter(), time.thread_time()
    while time.thread_time() - used < SAMPLE:
        pass
    return max(1.0, (time.perf_counter() - begun) / SAMPLE)


def free_port():
    """Return a free port below those that the system gives to others meanwhile, as to any connection."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
