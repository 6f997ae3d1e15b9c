"""A fault point ends the process if the environment names it, and does nothing otherwise."""

import os
import signal
import subprocess
import sys

from collector.fault_points import VARIABLE

PROGRAM = "from collector.fault_points import reach; reach('here'); print('passed')"


def run(point):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | {VARIABLE: point}, capture_output=True, text=True, check=False
    )


def test_the_process_is_killed_at_the_point_that_is_named_and_at_no_other():
    assert (run("here").returncode, run("here").stdout) == (-signal.SIGKILL, "")
    assert [run(point).stdout for point in ("there", "")] == ["passed\n", "passed\n"]
