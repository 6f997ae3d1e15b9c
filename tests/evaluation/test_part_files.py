import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector.evaluation.part_files import check_reference, read_parts, read_table
from collector.formats.sources import JSON, TYPED, marks_of_field
from collector.store.parts import write_reference


def as_arrow(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def written(tmp_path, *tables):
    paths = [tmp_path / f"{number}.parquet" for number in range(len(tables))]
    for path, table in zip(paths, tables, strict=True):
        pq.write_table(table, path)
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (pa.array([1]), pa.array([1.5]), "double"),
        (pa.array([1], pa.int8()), pa.array([2], pa.int64()), "int64"),
        (pa.array([None]), pa.array(["x"]), "string"),
        (pa.array(["x"]).dictionary_encode(), pa.array(["y"]), "string"),
        (
            pa.array(["x"]).dictionary_encode(),
            pa.array(["y"]).dictionary_encode(),
            "dictionary<values=string, indices=int32, ordered=0>",
        ),
    ],
    ids=str,
)
def test_parts_of_kindred_types_are_promoted_without_a_word(tmp_path, first, second, kind):
    table, merging = read_parts(written(tmp_path, pa.table({"c": first}), pa.table({"c": second})))
    assert (str(table.schema.field("c").type), table.num_rows, merging.notes) == (kind, 2, [])


def test_parts_of_clashing_types_become_text_in_order_and_that_is_said(tmp_path):
    parts = written(
        tmp_path, pa.table({"c": [1, 2]}), pa.table({"c": ["x"]}), pa.table({"c": [[1]]}), pa.table({"d": [1]})
    )
    table, merging = read_parts(parts)
    assert table.column("c").to_pylist() == ["1", "2", "x", "[1]", None]
    assert merging.notes == ["Column 'c' came as lists and numbers and text: taken as text."]


def test_a_pandas_index_is_no_column(tmp_path):
    pd.DataFrame({"a": [1]}, index=["row"]).to_parquet(tmp_path / "a.parquet")
    assert read_table(str(tmp_path / "a.parquet")).column_names == ["a"]


def test_a_folder_that_looks_like_a_partition_adds_no_column(tmp_path):
    (tmp_path / "day=1").mkdir()
    assert read_table(written(tmp_path / "day=1", pa.table({"a": [1]}))[0]).column_names == ["a"]


def test_a_sound_reference_has_no_problem(tmp_path):
    assert check_reference(written(tmp_path, pa.table({"a": [1]}))[0]) == []


def test_a_pipe_for_a_reference_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    [problem] = check_reference(str(tmp_path / "pipe"))
    assert "isn't a file" in problem["message"]


def test_a_reference_that_was_sound_and_is_damaged_is_found_and_told_as_that(tmp_path):
    """Its footer alone would be well: every page is read."""
    [path] = written(tmp_path, pa.table({"a": list(range(1000))}))
    write_reference("arrow", as_arrow(pa.table({"a": list(range(1000))})), path)
    body = bytearray(Path(path).read_bytes())
    body[len(body) // 4] ^= 1
    Path(path).write_bytes(body)
    [problem] = check_reference(path)
    assert f"{path} is damaged" in problem["message"]
    assert problem["is_damage"]


def test_a_useless_reference_is_named_with_what_to_do(tmp_path):
    (tmp_path / "text.parquet").write_text("a,b")
    empty = written(tmp_path, pa.table({"a": pa.array([], pa.int64())}))[0]
    for path, said in [
        (tmp_path / "none", "no file"),
        (tmp_path / "text.parquet", "isn't a parquet table"),
        (empty, "no rows"),
        (tmp_path, "isn't a file; name a single parquet file"),
    ]:
        (problem,) = check_reference(str(path))
        assert str(path) in problem["message"]
        assert said in problem["message"]
        assert problem["path"] == ["reference_path"]
        assert not problem["is_damage"]


def test_a_part_that_was_written_before_columns_had_marks_counts_as_json(tmp_path):
    """Its columns were cast whatever they came as, and so they are after an upgrade."""
    table = pa.table({"a": ["1"]}).replace_schema_metadata({"collector.origin": "{}"})
    [path] = written(tmp_path, table)
    assert marks_of_field(read_parts([path])[0].field("a")) >= JSON
    [path] = written(tmp_path, table.replace_schema_metadata({"collector.origin": "{}", "collector.marked": "1"}))
    assert marks_of_field(read_parts([path])[0].field("a")) >= TYPED
