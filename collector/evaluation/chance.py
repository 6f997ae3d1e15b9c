"""How often a report calls drift where there is none: batches drawn from its own reference are all alike."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from collector.workers.exchange import DriftOf, FalseAlarms, Job

# Rows of the reference that are used: with more, each draw takes long and the answer is the same.
MAX_REFERENCE = 10_000


def false_alarms(job: Job, rows: int, draws: int, drift_of: Callable[[Job], list[DriftOf]]) -> FalseAlarms | None:
    """Compute the drift of ``draws`` batches of ``rows`` rows, each against the rest of the reference it is drawn from.

    Returns None where a batch would take more than half of the reference.
    """
    table = pq.read_table(str(job["reference"]))
    if 2 * rows > table.num_rows:
        return None
    found: FalseAlarms = {"draws": draws, "draws_with_drift": 0, "columns": 0, "drifted": 0}
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(table.num_rows)
        with _written(job, table.take(order[:rows]), table.take(order[rows:][:MAX_REFERENCE])) as drawn:
            drift = drift_of(drawn)
        drifted = sum(one["is_drifted"] for one in drift)
        found["columns"] += len(drift)
        found["drifted"] += drifted
        found["draws_with_drift"] += drifted > 0
    return found


@contextmanager
def _written(job: Job, batch: pa.Table, reference: pa.Table) -> Iterator[Job]:
    with tempfile.TemporaryDirectory() as directory:
        paths = [str(Path(directory) / name) for name in ("batch.parquet", "reference.parquet")]
        for table, path in zip((batch, reference), paths, strict=True):
            pq.write_table(table, path)
        drawn: Job = {**job, "parts": paths[:1], "reference": paths[1]}
        yield {**drawn, "cache_reference": False, "sample": None, "segments": None, "save_datasets": False}
