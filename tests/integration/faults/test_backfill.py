"""Backfill: whoever is killed, the command or the service, each day is one batch, once, beside what comes now."""

import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector.fault_points import VARIABLE

from ..conftest import PATIENCE, environment, rows_trigger, service_config
from .conftest import numbered, wait_for_delivery
from .ledger import NUMBER, post

PROMISE = "34 backfill"
POINTS = ["taken whole", "part written", "moved", "spilled", "snapshot written", "evaluated", "delivered", "finished"]
DAYS, ROWS = 8, 6
DAY = 86_400


@pytest.mark.thorough
def test_each_day_is_one_batch_whoever_is_killed_while_history_is_made(
    make_daemon, ledger, audit, figures, rng, is_long
):
    """Each life ends at a point; the command goes on, or is killed too, and is run again."""
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(4))}, spill_rows=5))
    points = POINTS if is_long else [rng.choice(POINTS)]
    for life, point in enumerate(points):
        file = daemon.directory / f"{life}.parquet"
        days = write_days(file, ledger, life * DAYS)
        for options in [(), ("--replace",)] if is_long else [()]:
            daemon.variables[VARIABLE] = point
            daemon.start()
            command = begin(daemon, file, *options)
            assert daemon.process.wait(PATIENCE) == -signal.SIGKILL, (point, daemon.log)
            is_killed = rng.random() < 0.5
            if is_killed:
                command.kill()
                command.communicate()
            daemon.variables[VARIABLE] = ""
            daemon.start()
            post(daemon.http, ledger, "main", 4)
            told, errors = (begin(daemon, file, *options) if is_killed else command).communicate(timeout=PATIENCE)
            assert "batches of" in told, errors
            for day in days:
                ledger.answer(day, 201)
            wait_for_delivery(daemon, ["main"])
            daemon.stop()
            verdict = audit(daemon)
            assert verdict.is_sound, (point, options, str(verdict))
            figures.faults["kills of the service"] += 1
            figures.faults["kills of the command"] += is_killed
    figures.take(verdict)
    figures.others["days"] = len(points) * DAYS


def write_days(file, ledger, first):
    """Write rows of some days, in no order; return the keys that they have in the ledger."""
    keys = [ledger.begin("main", ROWS) for _ in range(DAYS)]
    rows = [
        {NUMBER: label, "value": float(row), "ts": 1_700_000_000 + (first + day) * DAY + row}
        for row in range(ROWS)
        for day, (_, label) in enumerate(keys)
    ]
    pq.write_table(pa.Table.from_pylist(rows), file)
    return keys


def begin(daemon, file, *options):
    """Start the command; it waits for a service that is away."""
    return subprocess.Popen(
        [sys.executable, "-m", "collector", "backfill", "main", file, "--time", "ts", "--url", daemon.url, *options],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
