import struct

import pytest

from collector.errors import BadBody
from collector.ingest.kserve.tensors import read_tensors


def tensor(datatype, data, shape=None, name="x", **others):
    return {"name": name, "shape": [len(data)] if shape is None else shape, "datatype": datatype, "data": data} | others


def columns(*tensors, raw=None):
    return [column for group in read_tensors(list(tensors), "request", raw) for column in group.read()]


@pytest.mark.parametrize(
    ("shape", "data", "expected"),
    [
        ([6], [1, 2, 3, 4, 5, 6], [[1, 2, 3, 4, 5, 6]]),
        ([6, 1], [1, 2, 3, 4, 5, 6], [[1, 2, 3, 4, 5, 6]]),
        ([2, 3], [1, 2, 3, 4, 5, 6], [[1, 4], [2, 5], [3, 6]]),
        ([2, 3], [[1, 2, 3], [4, 5, 6]], [[1, 4], [2, 5], [3, 6]]),
        ([1, 2, 3], [1, 2, 3, 4, 5, 6], [[1], [2], [3], [4], [5], [6]]),
        ([1, 2, 3], [[[1, 2, 3], [4, 5, 6]]], [[1], [2], [3], [4], [5], [6]]),
        ([], [7], [[7]]),
    ],
    ids=["flat", "one column", "rows", "nested rows", "three", "nested three", "scalar"],
)
def test_a_tensors_first_dimension_is_of_rows_and_its_values_stand_row_by_row(shape, data, expected):
    assert columns(tensor("INT64", data, shape)) == expected


@pytest.mark.parametrize(
    ("datatype", "data", "expected"),
    [
        ("FP32", [1, 2.5, None, "NaN", "-Infinity"], [1.0, 2.5, None, "nan", float("-inf")]),
        ("FP64", [0.1], [0.1]),
        ("FP16", [1], [1.0]),
        ("INT8", [-128, 127, None], [-128, 127, None]),
        ("INT64", [2**63 - 1, 3.0], [2**63 - 1, 3]),
        ("UINT64", [2**64 - 1], [2**64 - 1]),
        ("BOOL", [True, 0, 1, None], [True, False, True, None]),
        ("BYTES", ["a", "ü", None], ["a", "ü", None]),
    ],
    ids=["FP32", "FP64", "FP16", "INT8", "INT64", "UINT64", "BOOL", "BYTES"],
)
def test_the_datatype_says_what_values_are(datatype, data, expected):
    """Of a float that JSON writes as 1 an integer would come, which Evidently takes for a category."""
    [found] = columns(tensor(datatype, data))
    found = ["nan" if isinstance(one, float) and one != one else one for one in found]  # noqa: PLR0124
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))


@pytest.mark.parametrize(
    ("datatype", "raw", "expected"),
    [
        ("FP64", struct.pack("<2d", 0.1, -2.0), [0.1, -2.0]),
        ("FP32", struct.pack("<2f", 0.5, 1.0), [0.5, 1.0]),
        ("FP16", struct.pack("<2e", 0.5, 1.0), [0.5, 1.0]),
        ("BF16", b"\x80\x3f\x20\xc0", [1.0, -2.5]),
        ("INT16", struct.pack("<2h", -5, 6), [-5, 6]),
        ("UINT8", b"\x00\xff", [0, 255]),
        ("BOOL", b"\x01\x00", [True, False]),
        ("BYTES", b"\x02\x00\x00\x00ok\x02\x00\x00\x00\xc3\xbc", ["ok", "ü"]),
    ],
    ids=["FP64", "FP32", "FP16", "BF16", "INT16", "UINT8", "BOOL", "BYTES"],
)
def test_binary_tensors_have_their_values_behind_the_json(datatype, raw, expected):
    sized = {"name": "x", "shape": [2], "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
    after = {"name": "y", "shape": [1], "datatype": "UINT8", "parameters": {"binary_data_size": 1}}
    assert columns(sized, after, tensor("INT8", [5]), raw=raw + b"\x07") == [expected, [7], [5]]


def test_a_tensor_that_nobody_wants_is_not_read():
    """An image beside the features may be anything."""
    groups = read_tensors([tensor("BYTES", [1], name="image"), tensor("INT8", [1])], "request", None)
    assert groups[1].read() == [[1]]
    with pytest.raises(BadBody, match="the tensor 'image' has the datatype BYTES, but its value 0 isn't"):
        groups[0].read()


SIZED = {"name": "x", "shape": [1], "datatype": "INT32", "parameters": {"binary_data_size": 4}}


@pytest.mark.parametrize(
    ("tensors", "raw", "told"),
    [
        ({}, None, "aren't a list"),
        ([7], None, "tensor 0 of the request has no name"),
        ([{"name": "x"}], None, "'x' has no shape"),
        ([tensor("INT8", [1], [-1])], None, "'x' has no shape"),
        ([tensor("INT8", [1], [True])], None, "'x' has no shape"),
        ([tensor("INT8", [1], [1] * 17)], None, "17 dimensions, and at most 16 are accepted"),
        ([tensor("INT7", [1])], None, "no known datatype; known are BF16, BOOL"),
        ([tensor("INT8", {})], None, "no list of data"),
        ([tensor("INT8", [1, 2, 3], [2, 2])], None, r"3 values, but its shape \[2, 2\] needs 4"),
        ([tensor("INT8", [[1, 2], [3]], [2, 2])], None, "lists that aren't as long as its shape"),
        ([tensor("INT8", [1, [2]], [2])], None, "has the datatype INT8, but its value 1 isn't"),
        ([tensor("INT8", [128])], None, "its value 0 isn't"),
        ([tensor("UINT8", [-1])], None, "its value 0 isn't"),
        ([tensor("INT8", [1.5])], None, "its value 0 isn't"),
        ([tensor("INT8", [True])], None, "its value 0 isn't"),
        ([tensor("FP32", [0.5, "much"])], None, "its value 1 isn't"),
        ([tensor("FP32", [[[]]], [1])], None, "its value 0 isn't"),
        ([tensor("BOOL", [2])], None, "its value 0 isn't"),
        ([SIZED], None, "Inference-Header-Content-Length"),
        ([SIZED], b"\0\0\0", "has 4 bytes behind the JSON, but only 3 are left"),
        ([SIZED], b"\0\0\0\0\0", "1 bytes behind the JSON belong to no tensor"),
        ([SIZED | {"datatype": "INT64"}], b"\0\0\0\0", "has 4 bytes, which can't be divided by 8"),
        ([SIZED | {"shape": [2]}], b"\0\0\0\0", r"1 values, but its shape \[2\] needs 2"),
        ([SIZED | {"datatype": "BYTES"}], b"\x09\0\0\0", "cut off within its text 0"),
        (
            [SIZED | {"datatype": "BYTES", "parameters": {"binary_data_size": 5}}],
            b"\1\0\0\0\xff",
            "aren't text in UTF-8",
        ),
    ],
    ids=range(25),
)
def test_what_is_no_tensor_says_which_and_why(tensors, raw, told):
    with pytest.raises(BadBody, match=told):
        [group.read() for group in read_tensors(tensors, "request", raw)]
