"""Promise 1, of references that are made of rows: a kill while one is made costs no row, and makes no other one."""

import signal

import httpx
import pyarrow.parquet as pq
import pytest
from machine import PATIENCE

from collector.fault_points import VARIABLE

from ..conftest import BY_TALLY, rows_trigger, service_config
from .conftest import numbered, wait_for_delivery
from .ledger import post

PROMISE = "1 kill -9"
POINTS = ["reference written", "reference entered"]


@pytest.mark.thorough
def test_a_reference_is_the_same_after_kills_while_it_is_made_and_no_row_is_lost_or_doubled(
    make_daemon, ledger, audit, figures, rng, is_long
):
    """One collector keeps its first rows, the other goes by the batch before: that one is made for each batch anew."""
    collectors = {
        "first": numbered(rows_trigger(4), reference_from={"first_rows": 6}),
        "moving": numbered(rows_trigger(4), events_from="first", reference_from={"previous": 2, "min_rows": 1}),
    }
    ledger.followers["first"] = ("moving",)
    config = service_config(collectors, spill_rows=3, retention={"batches": 0})
    daemon = make_daemon(config, evaluates=BY_TALLY)
    points = POINTS * 5 if is_long else [rng.choice(POINTS)]
    for point in points:
        daemon.variables[VARIABLE] = point
        daemon.start()
        with httpx.Client(base_url=daemon.url, timeout=PATIENCE) as http:
            for _ in range(3):
                post(http, ledger, "first", 4)
        assert daemon.process.wait(PATIENCE) == -signal.SIGKILL, daemon.log
        verdict = audit(daemon)
        assert verdict.is_sound, (point, str(verdict))
    daemon.variables[VARIABLE] = ""
    daemon.start()
    with httpx.Client(base_url=daemon.url, timeout=PATIENCE) as http:
        for _ in range(4):
            post(http, ledger, "first", 4)
    wait_for_delivery(daemon, list(collectors))
    kept, moving = (daemon.status(name)["reference"] for name in collectors)
    assert (kept["from"], kept["rows"]) == ("the first 6 rows", 6)
    assert (moving["from"], moving["rows"]) == ("the previous 2 batches", 8)
    made = sorted((daemon.data / "references").iterdir(), key=lambda path: pq.read_metadata(path).num_rows)
    assert [pq.read_metadata(path).num_rows for path in made] == [6, 8], "what kills left behind is gone"
    daemon.stop()
    verdict = audit(daemon)
    assert verdict.is_sound, str(verdict)
    figures.take(verdict)
    figures.faults["references cut off"] += len(points)
