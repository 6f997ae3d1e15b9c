"""Which of Arrow's types are of which kind."""

import pyarrow as pa
import pytest

from collector.formats import kinds

ALL = {
    "is_text": [pa.string(), pa.large_string(), pa.string_view()],
    "is_binary": [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(4)],
    "is_number": [pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.decimal128(5, 2)],
    "is_time": [pa.timestamp("s"), pa.timestamp("ns", "UTC"), pa.date32(), pa.date64()],
    "is_list": [pa.list_(pa.int8()), pa.large_list(pa.int8()), pa.list_(pa.int8(), 3)],
    "is_nothing": [pa.null(), pa.dictionary(pa.int8(), pa.null())],
    "": [pa.bool_(), pa.time32("s"), pa.duration("s"), pa.struct([]), pa.dictionary(pa.int8(), pa.string())],
}


@pytest.mark.parametrize("name", [name for name in ALL if name])
def test_a_type_is_of_one_kind_at_most(name):
    is_kind = getattr(kinds, name)
    for other, types in ALL.items():
        assert [is_kind(kind) for kind in types] == [other == name] * len(types)


def test_a_view_has_a_plain_type_and_no_other_type_is_changed():
    assert kinds.without_view(pa.string_view()) == pa.large_string()
    assert kinds.without_view(pa.binary_view()) == pa.large_binary()
    assert [kinds.without_view(kind) for kind in ALL["is_time"]] == ALL["is_time"]
