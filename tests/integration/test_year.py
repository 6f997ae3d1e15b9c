"""The year of flights: history, live events, labels, segments and a follower together, beside Evidently's numbers."""

import subprocess
import sys
from pathlib import Path

import pytest
from machine import PATIENCE

from .conftest import environment

SCRIPT = Path(__file__).parents[2] / "examples" / "year_of_flights.py"
REPORTS = [
    *("flights main", "flights main JFK", "flights main LGA", "flights main other"),
    *("flights labels", "flights labels JFK", "flights labels LGA", "flights labels other", "hourly main"),
]


@pytest.mark.slow  # a service that evaluates some hundred batches of real events
def test_all_snapshots_of_a_year_have_the_numbers_that_evidently_gives_of_the_same_rows(tmp_path):
    options = ["--weeks", "2", "--days", "2", "--hourly", "1", "--every", "1"]
    command = [sys.executable, SCRIPT, tmp_path / "flights", *options]
    done = subprocess.run(command, env=environment(), check=True, timeout=4 * PATIENCE, capture_output=True, text=True)
    compared = [line.partition(": ")[0] for line in done.stdout.splitlines()]
    assert set(REPORTS) <= set(compared)
