"""Samples of batches: which rows they have, and that their columns get the types of the whole batch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from machine import PATIENCE

from collector.evaluation import worker
from collector.evaluation.prepared import prepare
from collector.evaluation.sampling import Sample
from collector.formats.sources import JSON, marked

ROWS = 1000
pytestmark = pytest.mark.filterwarnings("ignore")


def kept(tmp_path, *frames):
    paths = [tmp_path / f"{number}.parquet" for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        table = pa.Table.from_pandas(frame, preserve_index=False) if isinstance(frame, pd.DataFrame) else frame
        pq.write_table(marked(table, JSON), path)
    return list(map(str, paths))


def drawn(paths, rows, reference=None, batch_id="b", config=()):
    return prepare(paths, reference, cache=False, config=config, sample=Sample.of(rows, batch_id))


def test_a_sample_has_rows_of_all_parts_once_and_in_their_order_and_is_the_same_again(tmp_path):
    frame = pd.DataFrame({"n": np.arange(ROWS), "t": [f"x{number}" for number in range(ROWS)]})
    paths = kept(tmp_path, frame[:100], frame[100:101], frame[101:])
    sample = drawn(paths, 300)
    numbers = sample.current["n"]
    assert (len(numbers), numbers.is_monotonic_increasing, numbers.is_unique) == (300, True, True)
    assert list(sample.current["t"]) == [f"x{number}" for number in numbers]
    assert (sample.rows, sample.sample, list(sample.current.index)) == (ROWS, Sample.of(300, "b"), list(range(300)))
    assert list(drawn(paths, 300).current["n"]) == list(numbers)
    assert list(drawn(paths, 300, batch_id="another").current["n"]) != list(numbers)


def test_each_row_is_as_likely_as_any_other(tmp_path):
    [path] = kept(tmp_path, pd.DataFrame({"n": np.arange(20)}))
    counts = np.zeros(20)
    for number in range(400):
        counts[drawn([path], 5, batch_id=str(number)).current["n"]] += 1
    # Each is drawn 400 * 5/20 = 100 times, give or take five standard deviations of sqrt(400 * 0.25 * 0.75) = 8.7.
    assert (abs(counts - 100) < 5 * 8.7).all()


@pytest.mark.parametrize("rows", [ROWS, ROWS + 1])
def test_a_batch_that_is_no_larger_is_taken_whole(tmp_path, rows):
    ready = drawn(kept(tmp_path, pd.DataFrame({"n": np.arange(ROWS)})), rows)
    assert (len(ready.current), ready.rows, ready.sample) == (ROWS, ROWS, None)


def odd(common, rare):
    """Make a column in which one value is unlike the rest, and hardly in the sample."""
    return [rare if number == ROWS - 1 else common for number in range(ROWS)]


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        (pa.array(odd(1, None)), None),
        (pa.array(odd(True, None)), None),
        (pa.array(odd(1, 2**63), pa.uint64()), None),
        (pa.array(odd(1, None)), [1.5, 2.5]),
        (pa.array(odd(2**60, None)), [1.5, 2.5]),
        (pa.array(odd(1, 2**60)), [1.5, 2.5]),
        (pa.array(odd("7", "many")), [1, 2]),
        (pa.array(odd("7", None)), [1, 2]),
        (pa.array(odd("7", "8")), [1, 2]),
        (pa.array(odd("7.5", "x")), [1.5, 2.5]),
        (pa.array(odd("2026-01-01", "soon")), pd.to_datetime(["2026-01-01", "2026-02-01"])),
        (pa.array(odd("2026-01-01", "2026-03-04T05:06:07Z")), pd.to_datetime(["2026-01-01", "2026-02-01"])),
        (pa.array(odd("true", None)), [True, False]),
        (pa.array(odd("true", "yes")), [True, False]),
        (pa.array(odd(1.0, 1.5)), [1, 2]),
        (pa.array(odd(1.0, None)), [1, 2]),
        (pa.array(odd(1, 7)), [True, False]),
        (pa.array(odd(1, 7)), ["a", "b"]),
        (pa.array(odd("a", None)), pd.Series(["a", "b"], dtype="category")),
        (pa.array(odd("1", "x")), pd.Series([1, 2], dtype="category")),
        (pa.array(odd("a", "b")).dictionary_encode(), ["a", "b"]),
        (pa.array(odd([1], [2])), None),
    ],
    ids=lambda value: f"{value.type}" if isinstance(value, pa.Array) else None,
)
def test_a_column_gets_the_type_that_it_has_in_the_whole_batch(tmp_path, values, reference):
    [path] = kept(tmp_path, pa.table({"c": values, "same": range(ROWS)}))
    if reference is not None:
        pd.DataFrame({"c": reference, "same": [1, 2]}).to_parquet(tmp_path / "reference.parquet")
        reference = str(tmp_path / "reference.parquet")
    whole = prepare([path], reference, cache=False, config=())
    sample = drawn([path], 10, reference)
    assert ROWS - 1 not in list(sample.current["same"])
    assert [kind_of(column) for _, column in sample.current.items()] == [
        kind_of(column) for _, column in whole.current.items()
    ]
    assert sample.notes == whole.notes


def kind_of(column):
    """Return a column's type; of categories, that of their values: which there are is the sample's own."""
    return ("category", column.cat.categories.dtype) if hasattr(column, "cat") else column.dtype


def test_parts_of_different_columns_and_types_are_aligned_as_in_a_whole_batch(tmp_path):
    paths = kept(
        tmp_path,
        pa.table({"a": range(100), "b": ["x"] * 100}),
        pa.table({"a": ["y"] * 100, "c": [0.5] * 100, "__index_level_0__": range(100)}),
    )
    whole, sample = prepare(paths, None, cache=False, config=()), drawn(paths, 150)
    assert sample.notes == whole.notes == ["Column 'a' came as numbers and text: taken as text."]
    assert dict(sample.current.dtypes) == dict(whole.current.dtypes)
    assert set(sample.current["a"]) <= {*map(str, range(100)), "y"}


def test_a_column_without_a_value_in_the_sample_is_told(tmp_path):
    [path] = kept(tmp_path, pa.table({"a": pa.array(odd(None, 5)), "n": range(ROWS)}))
    assert drawn([path], 10).notes == ["Column 'a' has no value in the sample."]


@pytest.mark.parametrize("spoil", [lambda body: body[:100], lambda body: body[:40] + b"\xff" * 8 + body[48:]])
def test_damaged_parts_are_told(spoil, tmp_path, make_job):
    frame = pd.DataFrame({"n": np.arange(ROWS)})
    job = make_job({"metrics": ["DataSummaryPreset"]}, [frame, frame, frame], sample={"rows": 10})
    for path in job["parts"][::2]:
        Path(path).write_bytes(spoil(Path(path).read_bytes()))
    assert worker.evaluate(job) == {"ok": False, "damaged": job["parts"][::2]}


@pytest.mark.parametrize("generation", ["modern", "legacy"])
def test_a_snapshot_says_what_it_is_a_sample_of(generation, evaluate, make_job, tmp_path, iris):
    config = {
        "modern": {"metrics": [{"type": "MinValue", "column": "number"}]},
        "legacy": {"metrics": [{"type": "evidently:metric:DatasetDriftMetric"}], "options": {}},
    }[generation]
    outcome = evaluate(config, iris, iris, sample={"rows": 40})
    metadata = json.loads((tmp_path / "snapshot.json").read_bytes())["metadata"]
    seed = Sample.of(40, make_job({}, iris)["batch_id"]).seed
    assert (outcome["rows"], metadata["rows"]) == (150, "150")
    assert (metadata["sampled_rows"], metadata["sample_seed"]) == ("40", str(seed))
    evaluate(config, iris, iris, sample={"rows": 150})
    assert "sampled_rows" not in json.loads((tmp_path / "snapshot.json").read_bytes())["metadata"]


GROWTH = """
import json, resource, sys
from collector.evaluation import worker
small, large = map(json.loads, sys.argv[1:])
def peak(job):
    outcome = worker.evaluate(job)
    return outcome["rows"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([peak(small), peak(large)]))
"""


def test_a_workers_memory_does_not_grow_with_a_batch_that_it_samples(make_job, tmp_path):
    rows, columns, parts = 100_000, 10, 15
    rng = np.random.default_rng(1)
    paths = [tmp_path / f"large{number}.parquet" for number in range(parts)]
    for path in paths:
        table = pa.table({f"c{column}": rng.normal(size=rows) for column in range(columns)})
        pq.write_table(table, path, use_dictionary=False)
    config = {"metrics": [{"type": "MinValue", "column": "c0"}, {"type": "ValueDrift", "column": "c1"}]}
    few = pq.read_table(paths[0]).slice(0, 5000).to_pandas()
    small = make_job(config, few, few)
    large = small | {"parts": list(map(str, paths)), "sample": {"rows": 5000}}
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GROWTH, json.dumps(small), json.dumps(large)],
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    (_, before), (sampled_rows, after) = json.loads(child.stdout)
    size = rows * columns * parts * 8
    assert (sampled_rows, size) == (rows * parts, 120_000_000)
    assert after - before < size / 3
