"""Signals: a service that they tell to stop ends clean at every moment, with 0 and without a traceback.

Until it has anything open they end the process at once; then the daemon obeys them; in the end they are ignored.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM)


def end_at_signals() -> None:
    """Have Ctrl-C and SIGTERM end the process at once: as KeyboardInterrupt, it would come out of any import."""
    for number in STOPPING:
        signal.signal(number, lambda _number, _frame: os._exit(0))


def raise_at_interrupts() -> None:
    """Have Ctrl-C raise KeyboardInterrupt and SIGTERM end the process, as usual: commands have words for it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def ignore_signals() -> None:
    """Have the end of Python not be cut off."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def thread_for_signals() -> Iterator[None]:
    """Have Ctrl-C come to a thread that starts no processes: what a thread blocks is blocked in those that it starts.

    The terminal sends it to workers as well, and one that is still starting would tell of it at length.
    """
    from threading import Event, Thread  # in the first moments of a start, end_at_signals handles it

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    end = Event()

    def wait() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        end.wait()

    thread = Thread(target=wait, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
