import json

import pytest

from collector.errors import BadBody, BodyTooLarge
from collector.formats.bounds import Bounds
from collector.ingest.kserve.payloads import columns_of, read_payload

A, B = (
    {"name": name, "shape": [2], "datatype": "INT64", "data": data} for name, data in (("a", [1, 2]), ("b", [3, 4]))
)
WIDE = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}


def read(payload, wanted=None, what="request", **bounds):
    return columns_of((payload, None), what, wanted, Bounds(**bounds))


@pytest.mark.parametrize(
    ("payload", "wanted", "expected"),
    [
        ({"instances": [[1, 2], [3, 4]]}, None, {"feature-0": [1, 3], "feature-1": [2, 4]}),
        ({"instances": [[1, 2], [3, 4]]}, ["a", "b"], {"a": [1, 3], "b": [2, 4]}),
        ({"instances": [[1, 2]]}, ["feature", "b"], {"feature": [1], "b": [2]}),
        ({"instances": [1, 2]}, None, {"feature": [1, 2]}),
        ({"instances": [[[1, 2], [3, 4]]]}, None, {f"feature-{place}": [place + 1] for place in range(4)}),
        ({"instances": [{"a": 1}, {"b": 2}]}, None, {"a": [1, None], "b": [None, 2]}),
        ({"instances": [{"a": 1, "b": 2}]}, ["b", "c"], {"b": [2], "c": [None]}),
        ({"inputs": [A, B]}, None, {"a": [1, 2], "b": [3, 4]}),
        ({"inputs": [A, B]}, ["b", "a"], {"b": [3, 4], "a": [1, 2]}),
        ({"inputs": [A, B]}, ["b"], {"b": [3, 4]}),
        ({"inputs": [A, B]}, ["one", "two"], {"one": [1, 2], "two": [3, 4]}),
        ({"inputs": [WIDE, A]}, None, {"x-0": [1.0, 3.0], "x-1": [2.0, 4.0], "a": [1, 2]}),
        ({"inputs": [WIDE, A]}, ["age", "income", "n"], {"age": [1.0, 3.0], "income": [2.0, 4.0], "n": [1, 2]}),
        ({"inputs": [WIDE, A]}, ["x"], {"x-0": [1.0, 3.0], "x-1": [2.0, 4.0]}),
        ({"data": {"ndarray": [[1, "pro"]]}}, None, {"feature-0": [1], "feature-1": ["pro"]}),
        ({"data": {"names": ["a", "b"], "ndarray": [[1, 2]]}}, ["b"], {"b": [2]}),
        ({"data": {"names": [], "tensor": {"shape": [1, 2], "values": [1, 2]}}}, ["a", "b"], {"a": [1.0], "b": [2.0]}),
    ],
    ids=range(17),
)
def test_a_requests_columns_are_called_as_the_config_says_or_the_payload_or_are_numbered(payload, wanted, expected):
    found = read(payload, wanted)
    assert found == expected
    assert list(found) == list(expected)


@pytest.mark.parametrize(
    ("payload", "wanted", "expected"),
    [
        ({"predictions": [1, 0]}, None, {"prediction": [1, 0]}),
        ({"predictions": [1, 0]}, "y", {"y": [1, 0]}),
        ({"predictions": [[0.1, 0.9]]}, "y", {"y-0": [0.1], "y-1": [0.9]}),
        ({"predictions": [[0.1, 0.9]]}, ["no", "yes"], {"no": [0.1], "yes": [0.9]}),
        ({"predictions": [{"label": "a", "score": 1}]}, "label", {"label": ["a"]}),
        ({"outputs": [A]}, "y", {"y": [1, 2]}),
        ({"outputs": [A, B]}, "b", {"b": [3, 4]}),
        ({"outputs": [A, B]}, ["label", "score"], {"label": [1, 2], "score": [3, 4]}),
    ],
    ids=range(8),
)
def test_a_responses_columns_are_called_as_the_config_says_or_the_payload(payload, wanted, expected):
    assert read(payload, wanted, "response") == expected


@pytest.mark.parametrize(
    ("payload", "wanted", "told"),
    [
        ([], None, "isn't a JSON object"),
        ({"a": 1, "b": 2}, None, "neither 'instances' .* nor 'data' .*; it has 'a', 'b'"),
        ({"instances": {}}, None, "'instances' isn't a list"),
        ({"instances": []}, None, "no rows"),
        ({"inputs": []}, None, "no rows"),
        ({"instances": [[]]}, None, "no rows"),
        ({"instances": [[1, 2], [3]]}, None, "ragged: row 1 has another shape than row 0"),
        ({"instances": [[1, 2], 3]}, None, "ragged: row 1"),
        ({"instances": [1, [2]]}, None, "ragged: row 1"),
        ({"instances": [[1], [[2]]]}, None, "ragged: row 1"),
        ({"instances": [[1], {"a": 1}]}, None, "an object at 1, and other values that aren't objects"),
        ({"instances": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}, None, "nested 17 deep"),
        ({"instances": [[1, 2, 3]]}, ["a", "b"], r"3 columns \('feature'\), and the config names 2: 'a', 'b'"),
        ({"instances": [{"a": 1}]}, ["x"], r"1 columns \('a'\), and the config names 1: 'x'"),
        ({"inputs": [A, B]}, ["a", "z"], "lacks 'z', which the config names; it has 'a', 'b'"),
        ({"inputs": [A, A]}, None, "has two tensors or columns of one name"),
        ({"inputs": [A, {**B, "shape": [1], "data": [1]}]}, None, "'b' has 1 rows, and 'a' has 2"),
        ({"inputs": [{**A, "shape": [0], "data": []}]}, None, "no rows"),
        ({"inputs": [{**A, "shape": [2, 0], "data": []}]}, None, "no rows"),
        ({"inputs": [WIDE, {**A, "name": "x-0"}]}, None, "two columns 'x-0'"),
        ({"data": {"strData": "x"}}, None, "neither 'ndarray' nor 'tensor'"),
    ],
    ids=range(21),
)
def test_what_is_no_request_says_what_is_wrong_and_where(payload, wanted, told):
    with pytest.raises(BadBody, match=told):
        read(payload, wanted)


def test_of_several_outputs_one_has_to_be_named():
    with pytest.raises(BadBody, match=r"has 'a', 'b'; name the one that counts in input\.kserve\.prediction"):
        read({"outputs": [A, B]}, "y", "response")


@pytest.mark.parametrize(
    "shape", [[1, 3, 224, 224], [2**62, 2**62], [1, 2**62], [2**40, 1]], ids=["image", "both", "wide", "long"]
)
def test_what_unfolds_to_too_much_is_refused_before_it_does(shape):
    """The data are one value: only the shape is large."""
    with pytest.raises((BadBody, BodyTooLarge)):
        read({"inputs": [{**A, "shape": shape, "data": [1]}]}, max_columns=10_000, max_rows=1_000_000)


def test_the_json_of_a_payload_ends_where_its_header_says():
    assert read_payload(b'{"a": 1}\x01\x02', 8) == ({"a": 1}, b"\x01\x02")
    assert read_payload(b'{"a": 1}', None) == ({"a": 1}, None)
    with pytest.raises(BadBody, match="is 99, and the body has 8 bytes"):
        read_payload(b'{"a": 1}', 99)


def test_binary_tensors_without_their_header_say_which_is_missing():
    body = json.dumps({"inputs": [{"name": "x", "parameters": {"binary_data_size": 4}}]}).encode() + b"\x00\x01\x02\x03"
    with pytest.raises(BadBody, match="send Inference-Header-Content-Length"):
        read_payload(body, None)
    with pytest.raises(BadBody, match="JSON is malformed"):
        read_payload(b"{", None)
