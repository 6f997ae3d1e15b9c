"""What a part keeps of columns: each value in the type in which it came, in a time and memory of the values."""

import json
import time

import pyarrow as pa
import pytest

from collector.formats.apart import append, forms_of
from collector.formats.frames import decode_frames
from collector.formats.merging import Merging


def test_values_of_two_types_lie_apart_in_their_rows():
    table = append([pa.table({"a": [1, 2]}), pa.table({"b": [True]}), pa.table({"a": ["x"]})])
    kept = [{"int64": 1, "string": None}, {"int64": 2, "string": None}, None, {"int64": None, "string": "x"}]
    assert table.to_pydict() == {"a": kept, "b": [None, None, True, None]}


def test_a_type_without_values_is_kept_and_marked():
    table = append([pa.table({"a": pa.array([None], pa.float64())}), pa.table({"a": ["x"]})])
    forms = {str(form.type): has_value for form, has_value in forms_of(table.schema.field("a")).items()}
    assert forms == {"double": False, "string": True}


def test_a_column_of_one_type_is_that_and_nothing_else():
    table = append([pa.table({"a": [1]}), pa.table({"b": [2]}), pa.table({"a": [3]})])
    assert table.schema.equals(pa.schema({"a": pa.int64(), "b": pa.int64()}), check_metadata=True)


def test_categories_keep_their_order_and_the_unused_beside_other_types():
    sizes = pa.DictionaryArray.from_arrays([0, 1], ["s", "m", "xl"], ordered=True)
    table = append([pa.table({"a": sizes}), pa.table({"a": sizes})])
    assert table.schema.field("a").type == pa.dictionary(pa.int32(), pa.string(), ordered=True)
    assert table["a"].combine_chunks().dictionary.to_pylist() == ["s", "m", "xl"]


def arrow(names):
    sink = pa.BufferOutputStream()
    table = pa.table({name: [1.5] for name in names})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return "arrow", sink.getvalue().to_pybytes()


def as_json(names):
    return "json", json.dumps([dict.fromkeys(names, 1.5)]).encode()


def seconds(frames):
    """Measure what a part and its reading take, without writing it; the best of three."""
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        table = decode_frames(frames)
        Merging([table.schema]).merge(table)
        best = min(best, time.process_time() - started)
    return best


@pytest.mark.parametrize("body", [arrow, as_json])
def test_names_that_are_new_in_each_frame_cost_no_more_than_their_cells(body):
    """With four times the frames, and the names, it took sixteen times as long."""
    few, many = ([body([f"c{number}_{column}" for column in range(20)]) for number in range(n)] for n in (50, 200))
    assert seconds(many) < 10 * seconds(few)
