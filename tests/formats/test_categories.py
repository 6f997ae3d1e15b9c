"""Categories on their way through parquet: which there are, in which order, and whether that is one."""

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector.client.arrow import arrow_body, table_of
from collector.evaluation.pandas_columns import to_frame
from collector.evaluation.part_files import read_parts
from collector.formats.frames import check_frame
from collector.store.parts import write_reference

KINDS = [
    pd.CategoricalDtype([3, 1, 2], ordered=True),
    pd.CategoricalDtype([3, 1, 2]),
    pd.CategoricalDtype([2.5, 1.5]),
    pd.CategoricalDtype(pd.to_datetime(["2026-01-02", "2026-01-01"])),
    pd.CategoricalDtype(["c", "a", "b"], ordered=True),
    pd.CategoricalDtype([True, False]),
]


def back(format_, body, path):
    """Take a body through a file of ours, to the frame that is evaluated."""
    assert check_frame(format_, body).rows
    write_reference(format_, body, str(path))
    return to_frame(read_parts([str(path)])[0])[0]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_categories_are_as_pandas_has_them_unused_and_ordered_ones_too(kind, tmp_path):
    column = pd.Series([kind.categories[0], None, kind.categories[1]], dtype=kind)
    found = back("arrow", arrow_body(table_of(pd.DataFrame({"c": column}))), tmp_path / "part.parquet")["c"]
    pd.testing.assert_series_equal(found, column, check_names=False)


def test_those_of_a_file_that_pandas_wrote_are_known_by_its_metadata(tmp_path):
    """pandas itself reads integers of it, and floats where one is missing."""
    frame = pd.DataFrame(
        {"c": pd.Categorical([3, 1, None], ordered=True), "t": pd.Categorical(["b", "a", None]), "n": [1, 2, 3]}
    )
    frame.to_parquet(file := io.BytesIO())
    for found in (back("parquet", file.getvalue(), tmp_path / "part.parquet"), to_frame(reference(frame, tmp_path))[0]):
        assert found["c"].dtype == pd.CategoricalDtype([1, 3], ordered=True)
        assert list(found["t"].cat.categories) == ["a", "b"]
        assert found["n"].dtype == "int64"


def reference(frame, tmp_path):
    frame.to_parquet(tmp_path / "reference.parquet")
    return read_parts([str(tmp_path / "reference.parquet")])[0]


@pytest.mark.parametrize("metadata", ["[]", '{"columns": [{"pandas_type": "categorical"}]}', '{"columns": 5}'])
def test_whatever_metadata_say_of_categories_is_no_error(metadata):
    table = pa.table({"a": [1]}).replace_schema_metadata({"pandas": metadata})
    pq.write_table(table, file := io.BytesIO())
    assert check_frame("parquet", file.getvalue()).rows == 1


def test_the_intervals_of_a_cut_are_their_text(tmp_path):
    frame = pd.DataFrame({"bin": pd.cut([1, 5, 9], 2)})
    for table in (frame, pa.Table.from_pandas(frame)):
        found = back("arrow", arrow_body(table_of(table)), tmp_path / "part.parquet")["bin"]
        assert list(found) == ["(0.992, 5.0]", "(0.992, 5.0]", "(5.0, 9.0]"]
        assert found.cat.ordered
