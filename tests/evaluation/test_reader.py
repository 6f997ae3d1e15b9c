import pytest
from evidently.core.datasets import Descriptor
from evidently.metrics import MinValue
from evidently.presets import DataDriftPreset, RecsysPreset

from collector.evaluation.catalogue import MODERN_METRICS
from collector.evaluation.reader import LEFT_OUT, Reader


def test_a_bare_name_stands_for_a_type_without_parameters():
    reader = Reader()
    assert isinstance(reader.read("DataDriftPreset", MODERN_METRICS, []), DataDriftPreset)
    assert reader.problems == []


def test_what_is_wrong_is_left_out_and_the_rest_is_built():
    reader = Reader()
    items = [{"type": "MinValue", "column": "a"}, {"type": "MinValue", "colum": "a"}, 5]
    assert reader.read_list(items, MODERN_METRICS, ["metrics"]) == [MinValue(column="a")]
    assert [one["path"] for one in reader.problems] == [
        ["metrics", 1, "column"],
        ["metrics", 1, "colum"],
        ["metrics", 2],
    ]
    assert "did you mean" in reader.problems[1]["message"]


@pytest.mark.parametrize("value", [None, 5, "x", {}])
def test_what_is_no_list_is_one_problem(value):
    reader = Reader()
    assert reader.read_list(value, MODERN_METRICS, ["metrics"]) == []
    assert len(reader.problems) == 1


def test_a_number_is_no_text():
    """pydantic would take 5 for "5", and the report would look for a column of that name."""
    reader = Reader()
    assert reader.read({"type": "MinValue", "column": 5}, MODERN_METRICS, ["m"]) is LEFT_OUT
    assert reader.problems == [{"path": ["m", "column"], "message": "a string is expected, not a number"}]


def test_ids_of_users_may_be_numbers_as_in_the_events():
    """RecsysPreset was refused with them, which takes them when it is made in Python."""
    reader = Reader()
    built = reader.read({"type": "RecsysPreset", "k": 3, "user_ids": [1]}, MODERN_METRICS, ["m"])
    assert (reader.problems, getattr(built, "user_ids", None)) == ([], RecsysPreset(k=3, user_ids=[1]).user_ids)


def test_a_function_that_makes_a_descriptor_is_called():
    reader = Reader()
    built = reader.read({"type": "TextLength", "column_name": "t"}, (Descriptor,), [])
    assert (isinstance(built, Descriptor), reader.problems) == (True, [])
