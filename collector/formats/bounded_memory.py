"""Bounded memory: a body that unfolds to more than it may is refused by the system, whatever it says of itself."""

from __future__ import annotations

import math
import resource
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from collector.errors import BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.formats.bounds import Bounds

# Bytes beside the body, of which there may be two copies at a time: what reading takes for even the smallest body, and
# the stacks of Arrow's threads, of which it would start one for each processor.
SLACK = 96 * 2**20
_THREADS = 2
# The limit holds for the whole process.
_one_at_a_time = Lock()
_STATUS = Path("/proc/self/status")


@contextmanager
def bounded_memory(bounds: Bounds) -> Iterator[None]:
    """Limit this process to its present memory plus twice a body's bytes; raise BodyTooLarge if that isn't enough.

    If the system doesn't say how much memory the process has, the limit stays as it was.
    """
    import pyarrow as pa

    with _one_at_a_time:
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = _data() + 2 * bounds.max_bytes + SLACK
        pa.set_memory_pool(pa.system_memory_pool())  # other pools take memory in advance, which the limit would count
        pa.set_cpu_count(min(pa.cpu_count(), _THREADS))
        pa.set_io_thread_count(_THREADS)
        if _STATUS.exists() and (most < soft or (soft < 0 and most < math.inf)):
            resource.setrlimit(resource.RLIMIT_DATA, (int(most), hard))
        try:
            yield
        except MemoryError as error:
            raise BodyTooLarge(
                f"the body needs more memory than one of {bounds.max_bytes:.0f} bytes may; send fewer rows at once"
            ) from error
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data() -> float:
    """Return the bytes that count towards the limit."""
    if not _STATUS.exists():
        return 0
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
