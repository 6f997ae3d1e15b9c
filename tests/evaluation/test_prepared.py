import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from collector.evaluation import prepared as frames


@pytest.fixture
def prepare(tmp_path):
    def run(current, reference=None, config=(), *, cache=False):
        paths = [tmp_path / "current.parquet", tmp_path / "reference.parquet"]
        for path, frame in zip(paths, (current, reference), strict=True):
            if frame is not None:
                frame.to_parquet(path)
        return frames.prepare([str(paths[0])], None if reference is None else str(paths[1]), cache=cache, config=config)

    return run


def test_what_came_as_json_text_gets_the_references_types_and_a_note(prepare):
    reference = pd.DataFrame({"at": pd.to_datetime(["2026-01-01"]), "n": [1], "x": [1.5]})
    ready = prepare(pd.DataFrame({"at": ["2026-02-01T00:00:00Z"], "n": ["7"], "x": [2]}), reference)
    assert list(ready.current.dtypes) == list(ready.reference.dtypes)
    assert ready.notes == [
        "Column 'at' was cast from text to times, as in the reference.",
        "Column 'n' was cast from text to integers, as in the reference.",
        "Column 'x' was cast from integers to numbers, as in the reference.",
    ]


def test_what_cannot_be_cast_is_left_and_said(prepare):
    ready = prepare(pd.DataFrame({"n": ["7", "many"]}), pd.DataFrame({"n": [1, 2]}))
    assert list(ready.current["n"]) == ["7", "many"]
    assert ready.notes == [
        "Column 'n' is text here and integers in the reference, and not all of it can be cast: left as it is."
    ]


def test_columns_of_one_side_or_without_values_are_left_out_on_both(prepare):
    current = pd.DataFrame({"a": [1], "mine": [1], "gone": [np.nan], "was": [1.0]})
    reference = pd.DataFrame({"a": [2], "its": [1], "gone": [1.0], "was": [np.nan]})
    ready = prepare(current, reference)
    assert list(ready.current) == list(ready.reference) == ["a"]
    assert sorted(ready.notes) == [
        "Column 'gone' has no value in the batch: left out.",
        "Column 'its' is only in the reference: left out.",
        "Column 'mine' is only in the batch: left out.",
        "Column 'was' has no value in the reference: left out.",
    ]


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ([{"metrics": [{"type": "MinValue", "column": "mine"}]}], True),
        ([{}, {"numerical_columns": ["mine"]}], True),
        ([{"metrics": [{"type": "DataDriftPreset", "per_column_method": {"mine": "psi"}}]}], True),
        ([{"metrics": [], "metadata": {"team": "mine"}, "tags": ["mine"]}], False),
        ([None], False),
    ],
)
def test_a_column_that_the_config_names_stays_whatever_is_wrong_with_it(prepare, config, kept):
    ready = prepare(pd.DataFrame({"a": [1], "mine": [1]}), pd.DataFrame({"a": [1]}), config)
    assert ("mine" in ready.current) is kept


def test_no_column_name_is_special(prepare):
    frame = pd.DataFrame({"self": [1], "index": [1], "": [1]})
    assert list(prepare(frame.astype(str), frame).current.dtypes) == ["int64"] * 3


def test_without_a_reference_only_empty_columns_go(prepare):
    ready = prepare(pd.DataFrame({"a": ["3"], "e": [None]}))
    assert (list(ready.current), list(ready.current["a"]), ready.reference) == (["a"], ["3"], None)
    assert ready.notes == ["Column 'e' has no value in the batch: left out."]


def test_nullable_and_numpy_columns_come_out_alike(prepare):
    current = pd.DataFrame(
        {"i": pd.array([1, 2], "Int64"), "f": pd.array([1.5, None], "Float64"), "u": pd.array([1, 2], "uint8")}
    )
    reference = pd.DataFrame({"i": [1, 2], "f": [1.5, np.nan], "u": [1, 2]})
    ready = prepare(current, reference)
    assert_frame_equal(ready.current, ready.reference)
    assert ready.notes == []


def test_a_batch_without_rows_or_columns_is_an_error(prepare):
    with pytest.raises(ValueError, match="the batch has no rows"):
        prepare(pd.DataFrame({"a": pd.Series([], dtype="int64")}))
    with pytest.raises(ValueError, match="no column is left to evaluate: 'a' is only in the batch"):
        prepare(pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}))
    with pytest.raises(ValueError, match=r"reference\.parquet has no rows"):
        prepare(pd.DataFrame({"a": [1]}), pd.DataFrame({"a": pd.Series([], dtype="int64")}))


def test_a_cached_reference_is_read_once_until_its_file_changes(tmp_path, monkeypatch):
    reads = []
    monkeypatch.setattr(frames, "read_table", lambda path: reads.append(path) or pq.read_table(path))
    part, reference = str(tmp_path / "part.parquet"), str(tmp_path / "reference.parquet")
    pq.write_table(pa.table({"a": [1]}), part)
    pq.write_table(pa.table({"a": [1]}), reference)
    for _ in range(2):
        frames.prepare([part], reference, cache=True, config=[])
    assert len(reads) == 1
    os.utime(reference, ns=(1, 1))
    frames.prepare([part], reference, cache=True, config=[])
    assert len(reads) == 2
    for _ in range(2):
        frames.prepare([part], reference, cache=False, config=[])
    assert len(reads) == 4


def test_a_file_in_the_place_of_another_of_the_same_time_and_size_is_read(tmp_path):
    part, reference, other = (str(tmp_path / f"{name}.parquet") for name in ("part", "reference", "other"))
    for path, value in ((part, 1), (reference, 1), (other, 2)):
        pq.write_table(pa.table({"a": [value]}), path)
        os.utime(path, ns=(1, 1))
    assert os.stat(reference).st_size == os.stat(other).st_size  # noqa: PTH116
    assert list(frames.prepare([part], reference, cache=True, config=[]).reference["a"]) == [1]
    os.replace(other, reference)  # noqa: PTH105
    assert list(frames.prepare([part], reference, cache=True, config=[]).reference["a"]) == [2]


def test_a_kept_reference_is_not_changed_by_its_users(tmp_path):
    part, reference = str(tmp_path / "part.parquet"), str(tmp_path / "reference.parquet")
    pq.write_table(pa.table({"a": ["x"], "b": [1]}), part)
    pq.write_table(pa.table({"a": ["x"], "c": [1]}), reference)
    for config, columns in (([], ["a"]), (["c"], ["a", "c"]), ([], ["a"])):
        assert list(frames.prepare([part], reference, cache=True, config=config).reference) == columns


@pytest.mark.parametrize("cache", [True, False])
def test_a_reference_that_may_be_kept_has_a_key_that_tells_its_columns_apart(tmp_path, cache):
    part, reference = str(tmp_path / "part.parquet"), str(tmp_path / "reference.parquet")
    pq.write_table(pa.table({"a": ["x"], "b": [1]}), reference)
    keys = []
    for columns in ({"a": ["x"]}, {"b": [1]}, {"a": ["y"]}):
        pq.write_table(pa.table(columns), part)
        keys.append(frames.prepare([part], reference, cache=cache, config=[]).reference_key)
    assert (keys[0] == keys[2], keys[0] == keys[1], None in keys) == (True, not cache, not cache)
