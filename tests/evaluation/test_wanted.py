import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from collector.evaluation.wanted import Wanted

TIMES = pd.to_datetime(["2026-01-01"])


@pytest.mark.parametrize(
    ("column", "kind", "is_category", "type_"),
    [
        (pd.Series([1]), "integer", False, pa.int64()),
        (pd.Series([1.5, np.nan]), "float", False, pa.float64()),
        (pd.Series([True]), "boolean", False, pa.bool_()),
        (pd.Series(["x", None], dtype="str"), "text", False, pa.string()),
        (pd.Series([["a"]]), "list", False, pa.list_(pa.string())),
        (pd.Series(TIMES.astype("datetime64[ms]")), "time", False, pa.timestamp("ms")),
        (pd.Series([3, 1], dtype="category"), "integer", True, pa.dictionary(pa.int32(), pa.int64())),
        (pd.Series([True, None], dtype="category"), "boolean", True, pa.dictionary(pa.int32(), pa.bool_())),
    ],
)
def test_a_references_column_tells_its_kind(column, kind, is_category, type_):
    wanted = Wanted.of(column)
    assert (wanted.kind, wanted.is_category, wanted.type) == (kind, is_category, type_)


@pytest.mark.parametrize("dtype", ["float64", "str", "datetime64[us]", "category"])
def test_one_without_a_value_tells_nothing(dtype):
    assert Wanted.of(pd.Series([None, None], dtype=dtype)) is None


@pytest.mark.parametrize(
    ("texts", "true"), [(["x"], "true"), (["True", "x"], "True"), (["FALSE"], "TRUE"), (["false"], "true")]
)
def test_booleans_are_written_as_the_reference_writes_them(texts, true):
    assert Wanted.of(pd.Series(texts, dtype="str")).booleans[True] == true


def test_ten_years_around_the_last_time_that_there_is_are_no_error():
    far = pd.Series(np.array(["9999-12-31"], "datetime64[us]"))
    first, last = Wanted.of(far).years_around
    assert last - first == 2 * 3653 * 24 * 3600 * 10**6
