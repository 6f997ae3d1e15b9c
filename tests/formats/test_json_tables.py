"""JSON frames as Arrow: each column once, in the types in which its values came."""

import pyarrow as pa

from collector.formats.apart import forms_of
from collector.formats.json_tables import table_of


def test_frames_follow_each_other_and_what_one_lacks_is_missing():
    table = table_of([{"a": [1, 2]}, {"b": ["x"]}, {"a": [3], "b": ["y"]}])
    assert table.to_pydict() == {"a": [1, 2, None, 3], "b": [None, None, "x", "y"]}


def test_a_column_that_few_frames_have_is_as_long_as_all():
    table = table_of([{"a": [number], **({"rare": [number]} if number in {3, 8} else {})} for number in range(20)])
    assert table["rare"].to_pylist() == [number if number in {3, 8} else None for number in range(20)]


def test_values_of_several_kinds_are_kept_apart():
    table = table_of([{"a": [1, "x"]}, {"a": [True, 2**63]}])
    forms = forms_of(table.schema.field("a"))
    assert {form.type for form in forms} == {pa.int64(), pa.string(), pa.bool_(), pa.uint64()}


def test_nan_is_missing_and_what_is_nested_is_text():
    table = table_of([{"a": [float("nan"), 1.5], "b": [{"c": [1]}, [2]]}])
    assert table.to_pydict() == {"a": [None, 1.5], "b": ['{"c":[1]}', "[2]"]}
