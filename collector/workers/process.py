"""What worker processes run: functions by name, so that the daemon never imports what they are made of."""

from __future__ import annotations

import gc
import multiprocessing
import os
import resource
import signal
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

from collector.errors import EvaluationError

# How many new objects start a garbage collection. A report makes tens of thousands that stay until it is done; to go
# through them again and again took a tenth of the time of a small report.
GARBAGE_THRESHOLD = 10_000


def prepare(max_bytes: int, niceness: int = 0, hidden: Iterable[str] = ()) -> None:
    """Make a new worker process quiet (no telemetry unless the user has decided about it, no warnings) and bounded.

    What is ``hidden`` of the environment is removed from it.
    """
    for name in hidden:
        os.environ.pop(name, None)
    os.nice(niceness)
    _write_nowhere()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # sent to the whole process group, it has the daemon reload
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # More threads don't make a sum of 20 000 products faster, and each spins for 25 ms while it waits for the next:
    # half of a report's processor time if several workers share the processors.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(GARBAGE_THRESHOLD)
    warnings.simplefilter("ignore")  # warnings of Evidently's code aren't for our users
    _limit_memory(max_bytes)
    Thread(target=_end_with_daemon, daemon=True).start()


def _write_nowhere() -> None:
    """Send what Evidently's code prints nowhere: a pipe that nobody reads would stop a report for ever."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _end_with_daemon() -> None:
    """End when the daemon is killed: otherwise a worker would finish its report, or go on for ever."""
    daemon = multiprocessing.parent_process()
    if daemon is not None:
        daemon.join()
        os.kill(os.getpid(), signal.SIGKILL)


def _limit_memory(max_bytes: int) -> None:
    # Not RLIMIT_AS, which counts libraries and allocators' reserves: several GB that are never used.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (max_bytes if hard < 0 else min(max_bytes, hard), hard))
    # only Linux has it: if memory runs out all the same, it kills this process and not the daemon
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def call(name: str, *args: Any) -> Any:
    """Call ``module:function``; raise EvaluationError if it would end the process, which would end the daemon."""
    module, _, function = name.partition(":")
    try:
        return getattr(_load(module), function)(*args)
    except (SystemExit, KeyboardInterrupt) as error:
        raise EvaluationError(f"the worker was told to end: {error!r}") from error


def _load(module: str) -> ModuleType:
    """Load a module; raise ImportError for any failure: Evidently's imports need a home directory, for one."""
    if module in sys.modules:
        return sys.modules[module]
    gc.disable()  # collections while loading take a sixth of Evidently's start, and find nothing
    try:
        return import_module(module)
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        raise ImportError(f"{type(error).__name__}: {error}") from error
    finally:
        gc.freeze()
        gc.enable()
