"""Promise 28: a worker process that is stopped where it is, as by a debugger, costs a deadline, and no row."""

import os
import signal
import time

import httpx
import pytest

from ..conftest import NEVER, PATIENCE, rows_trigger, service_config, wait_until
from .conftest import numbered
from .ledger import arrow_body, post

PROMISE = "28 stopped workers"


@pytest.mark.slow  # it waits out a deadline of 10 s; workers/test_pool.py stops such a process within a shorter one
def test_a_body_that_a_stopped_process_is_to_check_is_answered(make_daemon, ledger, audit, figures, is_long):
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(NEVER))}), evaluates=False).start()
    slowest = 0.0
    for _ in range(5 if is_long else 1):
        post(daemon.http, ledger, "main", 3, arrow_body)
        stopped = [pid for pid, command in daemon.children().items() if "spawn_main" in command]
        assert stopped
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        with httpx.Client(base_url=daemon.url, timeout=PATIENCE) as patient:
            # Where processors are short, the process that takes its place may come too late: then it's "try again".
            wait_until(lambda: post(patient, ledger, "main", 3, arrow_body) == 201, "the answer")
        slowest = max(slowest, time.monotonic() - started)
        figures.faults["stopped workers"] += len(stopped)
    figures.others["POST answered within"] = f"{slowest:.1f} s"
    daemon.stop()
    figures.take(audit(daemon))
