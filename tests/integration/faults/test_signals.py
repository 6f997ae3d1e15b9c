"""Promise 20: Ctrl-C and SIGTERM end the service clean, at whatever moment of its start and its stop they come."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest

from ..conftest import BY_TALLY, PATIENCE, collector_config, environment, service_config, stand_in

PROMISE = "20 signals"
# Seconds from the first line of ours: a start takes a third of it, and most of it on a busy machine.
START = 1.5
# A stop with nothing in flight takes less.
STOP = 0.3
# What Python does before that line is its own, and so is its traceback of a Ctrl-C there.
PROGRAM = """
import os
from collector import __main__ as ours
end_at_signals = ours.end_at_signals
ours.end_at_signals = lambda: (end_at_signals(), os.write(1, b"."))
ours.main()
"""


@pytest.fixture
def launch(tmp_path, is_long):
    """Start a service's process, and return it once its first line is run."""
    config = service_config({"main": collector_config(), "other": collector_config()})
    (tmp_path / "collector_config.json").write_text(json.dumps(config), encoding="utf-8")
    started = []

    def start():
        command = [sys.executable, "-c", PROGRAM, "--port", "0"]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(**stand_in(is_long or BY_TALLY)), **pipes)
        started.append(process)
        process.stdout.read(1)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def assert_ends_clean(process):
    _, told = process.communicate(timeout=PATIENCE)
    assert (process.returncode, b"Traceback" in told, b"mistake" in told) == (0, False, False), told.decode()


def test_a_signal_at_any_moment_of_the_start_ends_it_clean(launch, figures, is_long, pytestconfig):
    moments = random.Random(pytestconfig.option.seed)
    for _ in range(50 if is_long else 3):
        process = launch()
        time.sleep(moments.uniform(0, START))
        process.send_signal(moments.choice([signal.SIGINT, signal.SIGTERM]))
        assert_ends_clean(process)
        figures.faults["signals in a start"] += 1


def test_a_second_signal_at_any_moment_of_the_stop_ends_it_clean(launch, figures, is_long, pytestconfig):
    moments = random.Random(pytestconfig.option.seed)
    for _ in range(50 if is_long else 2):
        process = launch()
        while b"ready" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        time.sleep(moments.uniform(0, STOP))
        process.send_signal(moments.choice([signal.SIGINT, signal.SIGTERM]))
        assert_ends_clean(process)
        figures.faults["signals in a stop"] += 1
