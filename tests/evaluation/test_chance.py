"""Batches that are drawn from a reference are alike: what is called drift in them is chance."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import collector_config

from collector.evaluation import worker
from collector.evaluation.chance import false_alarms
from collector.pipeline.jobs import make_job
from collector.store.records import Batch


@pytest.fixture
def job(tmp_path):
    rng = np.random.default_rng(0)
    columns = {f"x{number}": rng.normal(size=2000) for number in range(3)}
    pq.write_table(pa.table(columns), tmp_path / "reference.parquet")
    config = collector_config(reference_path="reference.parquet", report_config={"metrics": ["DataDriftPreset"]})
    return make_job(config, tmp_path, Batch("b", "main", "sealed", rows=0, opened=0, sealed=0), (), tmp_path / "s")


def test_each_draw_is_rows_of_the_reference_beside_the_others(job):
    seen = []

    def drift_of(drawn):
        batch, rest = (pq.read_table(path) for path in (*drawn["parts"], drawn["reference"]))
        together = np.concatenate([batch.column("x0"), rest.column("x0")])
        seen.append((batch.num_rows, rest.num_rows, sorted(together), tuple(np.asarray(batch.column("x0")))))
        return [{"column": "x0", "is_drifted": len(seen) == 2}, {"column": "x1", "is_drifted": False}]

    found = false_alarms(job, 100, 4, drift_of)
    assert found == {"draws": 4, "draws_with_drift": 1, "columns": 8, "drifted": 1}
    values = sorted(np.asarray(pq.read_table(job["reference"]).column("x0")))
    assert all(one[:3] == (100, 1900, values) for one in seen)
    assert len({one[3] for one in seen}) == 4  # no draw is another again


def test_a_reference_of_less_than_two_batches_says_nothing(job):
    assert false_alarms(job, 1001, 4, lambda _: pytest.fail("nothing is to be computed")) is None


def test_small_batches_cry_and_large_ones_do_not(job):
    small, large = (worker.count_false_alarms(job, rows, 3) for rows in (15, 1000))
    assert (small["columns"], large["columns"]) == (9, 9)
    assert small["drifted"] > 2 * large["drifted"] + 3
