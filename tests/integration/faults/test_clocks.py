"""Promise 11: whether it is held up or its wall clock is set, it misses no trigger, and what was due comes once.

A suspended machine and the nights in which clocks change can't be had for one process alone: tests/pipeline and
tests/config have those, on clocks of their own.
"""

import contextlib
import signal
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ..conftest import interval_trigger, service_config, wait_until
from .conftest import numbered
from .ledger import Load

PROMISE = "11 clocks"
INTERVAL = 0.5
# So many batches are watched after a fault. The first may come at once, as what was due is made up for, and the second
# less than an interval after it, as a batch that is late doesn't delay those behind it.
BATCHES = 4
ALL = {"batches": 10**6}  # none is pruned while they are counted
# Debian's faketime: what it gives a process in place of the wall clock, the others being left as they are.
LIBRARY = next(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"), None)
DAY = 86_400


def count_batches(daemon, collector):
    with contextlib.closing(sqlite3.connect(f"file:{daemon.data / 'journal.sqlite3'}?mode=ro", uri=True)) as db:
        return db.execute("SELECT COUNT(*) FROM batch WHERE collector = ?", [collector]).fetchone()[0]


def wait_for_batches(daemon, count):
    wait_until(lambda: count_batches(daemon, "steady") >= count, f"{count} batches")


def check_pace(daemon, before, since):
    """See the next batches come an interval after the other: no burst, and no silence."""
    wait_for_batches(daemon, before + BATCHES)
    assert time.monotonic() - since > (BATCHES - 2) * INTERVAL


def test_a_process_that_is_held_up_makes_up_for_what_was_due_once(make_daemon, ledger, audit, figures, is_long):
    config = service_config({"steady": numbered(interval_trigger(INTERVAL))}, retention=ALL)
    daemon = make_daemon(config, evaluates=False).start()
    with Load(daemon.url, ledger, ["steady"], clients=0):
        wait_for_batches(daemon, 1)
        for _ in range(3 if is_long else 1):
            daemon.process.send_signal(signal.SIGSTOP)
            time.sleep((60 if is_long else 3) * INTERVAL)
            before, since = count_batches(daemon, "steady"), time.monotonic()
            daemon.process.send_signal(signal.SIGCONT)
            check_pace(daemon, before, since)
            figures.faults["times held up"] += 1
    figures.take(audit(daemon))
    daemon.stop()


class WallClock:
    """The wall clock of a process, which can be set."""

    def __init__(self, file):
        self._file = file
        self.set_by(0)

    @property
    def variables(self):
        """Environment variables that give a process this clock."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",  # a second, after which it is looked whether it was set
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set_by(self, seconds):
        """Have it differ from the machine's by so much."""
        scratch = self._file.with_suffix(".new")
        scratch.write_text(f"{seconds:+d}\n")
        scratch.replace(self._file)


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime isn't there; Debian has it in the package faketime")
def test_a_wall_clock_that_is_set_by_a_day_disturbs_no_interval_and_fires_a_daily_line_once(
    make_daemon, ledger, audit, figures, tmp_path
):
    clock = WallClock(tmp_path / "clock")
    later = datetime.now(UTC) + timedelta(hours=12)
    daily = {"type": "CronTrigger", "schedule": f"{later:%M %H} * * *"}
    collectors = {"steady": numbered(interval_trigger(INTERVAL)), "daily": numbered(daily)}
    config = service_config(collectors, retention=ALL)
    daemon = make_daemon(config, evaluates=False, **clock.variables).start()
    with Load(daemon.url, ledger, collectors, clients=0):
        wait_for_batches(daemon, 1)
        daemon.wait_for_status("daily", lambda one: one["rows_waiting"])
        assert count_batches(daemon, "daily") == 0
        for said, set_by in enumerate([DAY, -DAY], 1):
            before, since = count_batches(daemon, "steady"), time.monotonic()
            clock.set_by(set_by)
            check_pace(daemon, before, since)
            wait_until(lambda count=said: daemon.log.count("the wall clock was set") == count, "the word of it")
            # At noon of the day that was leapt over, and not again.
            wait_until(lambda: count_batches(daemon, "daily") == 1, "the daily batch")
            figures.faults["leaps by a day or more"] += 1
    assert count_batches(daemon, "daily") == 1
    figures.take(audit(daemon))
    daemon.stop()
