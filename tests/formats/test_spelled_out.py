import pyarrow as pa
import pytest

from collector.formats.spelled_out import spelled_out

TEXT = pa.array(["x" * 100, "y" * 10])


def dictionary(indices, values=TEXT):
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), values)


@pytest.mark.parametrize(
    ("array", "size"),
    [
        (pa.array([1, 2]), 0),
        (TEXT, 0),
        (dictionary([0, 0, 1, None]), 210),
        (dictionary([0, 0], TEXT.cast(pa.large_binary())), 200),
        (dictionary([0, 0], TEXT.cast(pa.string_view())), 200),
        (dictionary([0, 0, 0], pa.array([1])), 3 * 9),
        (dictionary([0, None], pa.nulls(1)), 2),
        (pa.array(["x" * 100, None, "y"]).cast(pa.string_view()), 101),
        (pa.array(["x" * 100, None, "y"]).cast(pa.binary_view())[1:], 1),
        (pa.ListArray.from_arrays([0, 2], dictionary([0, 0])), 200),
        (pa.FixedSizeListArray.from_arrays(dictionary([0, 0]), 2), 200),
        (pa.StructArray.from_arrays([dictionary([0, 1])], ["a"]), 110),
        (pa.MapArray.from_arrays([0, 2], TEXT, dictionary([0, 0])), 200),
    ],
    ids=lambda part: str(part.type) if isinstance(part, pa.Array) else "",
)
def test_what_stands_once_is_counted_as_often_as_it_is_meant(array, size):
    assert spelled_out(array) == size


@pytest.mark.parametrize(
    "array",
    [
        pa.RunEndEncodedArray.from_arrays([1000], pa.array(["x"])),
        pa.ListViewArray.from_arrays([0, 0], [1, 1], pa.array([1])),
        pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]),
        dictionary([0, 0], pa.array([[1], [2]])),
    ],
    ids=lambda array: str(array.type),
)
def test_types_whose_values_may_overlap_otherwise_are_refused(array):
    with pytest.raises(ValueError, match="send"):
        spelled_out(array)
