import platform
import subprocess
import sys

import pytest
from machine import PATIENCE

FAULTS = """
import resource, sys
from collector.host.freed_memory import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    bytes(1_000_001)[:-1]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments):
    done = subprocess.run([sys.executable, "-c", FAULTS, *arguments], capture_output=True, check=True, timeout=PATIENCE)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_freed_memory_is_used_again():
    """Two pieces of 1 MB are 490 pages, which are taken from the system once, and not a hundred times."""
    assert faults("kept") < 2 * 490 < faults("given back") / 10
