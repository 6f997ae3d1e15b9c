"""Joins labels to the rows of a batch, as the worker for labels does.

``join.py make DIRECTORY ROWS LABELS`` writes their parts; ``join.py join DIRECTORY`` joins them, and prints as JSON the
seconds of processor time that it took, those for the batch's keys before it, and the most memory in MB.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from collector.labels.exchange import BatchFiles, Keying, LabelFile, Wanted
from collector.labels.indexing import index_batch
from collector.labels.joining import join
from collector.store.parts import write

_ROWS_OF_PART = {"batch": 500_000, "labels": 50_000}  # as they are spilled
_KEYING = Keying("request_id", 7)


def make(directory: Path, rows: int, labels: int) -> None:
    random = np.random.default_rng(0)
    keys = random.permutation(rows)
    _write(directory / "batch", keys, {f"num{number}": random.normal(size=rows) for number in range(10)})
    _write(directory / "labels", random.permutation(keys)[:labels], {"churned": random.integers(0, 2, labels)})


def _write(directory: Path, keys: np.ndarray, columns: dict[str, np.ndarray]) -> None:
    directory.mkdir()
    texts = pa.array(keys).cast(pa.string())
    table = pa.table({_KEYING.column: pa.compute.binary_join_element_wise("request", texts, "-"), **columns})
    step = _ROWS_OF_PART[directory.name]
    for start in range(0, len(keys), step):
        write(table.slice(start, step), directory / f"{start:09}.parquet")


def measure(directory: Path) -> dict[str, float]:
    parts = list(map(str, sorted((directory / "batch").iterdir())))
    labels = [LabelFile(str(path), f"{path}.keys") for path in sorted((directory / "labels").iterdir())]
    keys = str(directory / "keys")
    begun = time.process_time()
    index_batch(parts, _KEYING, keys)
    indexed = time.process_time()
    done = join(BatchFiles(parts, keys), labels, _KEYING, Wanted(("churned",), "last"), str(directory / "joined"))
    seconds = time.process_time() - indexed
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000
    return {"index": indexed - begun, "join": seconds, "peak": peak, "rows": sum(part.rows for part in done.parts)}


if __name__ == "__main__":
    what, place, *counts = sys.argv[1:]
    json.dump(make(Path(place), *map(int, counts)) if what == "make" else measure(Path(place)), sys.stdout)
