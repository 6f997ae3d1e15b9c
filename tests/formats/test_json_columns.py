import json
import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import BadBody
from collector.formats import json_columns
from collector.formats.bounds import NO_BOUNDS, Bounds
from collector.formats.frames import check_body, decode_frames
from collector.formats.json_body import count_rows
from collector.formats.json_columns import count_plain_rows
from collector.formats.keys import are_keys
from collector.formats.stored import StoredBody

_NAMES = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), min_size=0, max_size=6)
_KEYS = _NAMES | st.text("0123456789 :,", min_size=0, max_size=20)
_VALUES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | _KEYS
_CONTROL = b"".join(bytes([byte]) for byte in range(32))


@st.composite
def bodies(draw):
    """Write a table as JSON of columns, keyed or lists, as clients do and a little otherwise."""
    rows, names = draw(st.integers(0, 5)), draw(st.lists(_NAMES, min_size=1, max_size=4, unique=True))
    keys = draw(st.lists(_KEYS, min_size=rows, max_size=rows, unique=True))
    columns = {name: draw(st.lists(_VALUES, min_size=rows, max_size=rows)) for name in names}
    if draw(st.booleans()):
        columns = {name: dict(zip(keys, values, strict=True)) for name, values in columns.items()}
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]))
    return json.dumps(columns, separators=separators).encode()


@st.composite
def changed(draw):
    """Change some bytes of such a body, or leave some out, or say some of it twice."""
    body = draw(bodies())
    for _ in range(draw(st.integers(1, 3))):
        place, until = sorted(draw(st.tuples(st.integers(0, len(body)), st.integers(0, len(body)))))
        piece = draw(
            st.binary(max_size=2) | st.sampled_from([body[place:until], b"1e999", b"0", b"-", b",", b'"', b'":'])
        )
        body = body[:place] + piece + body[until if draw(st.booleans()) else place :]
    return body


def _parsed(body):
    try:
        return count_rows(body)
    except BadBody:
        return None


@given(bodies())
def test_rows_are_those_that_parsing_finds(body):
    assert count_plain_rows(body, NO_BOUNDS) in (None, count_rows(body))


@given(changed())
def test_what_is_counted_would_have_been_taken_and_is_decoded_later(body):
    counted = count_plain_rows(body, NO_BOUNDS)
    if counted is not None:
        rows, names = counted
        assert counted == _parsed(body)
        assert not rows or decode_frames([("json", body)]).num_rows == rows
        assert set(decode_frames([("json", body)]).column_names) <= set(names)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": {"0": 1, "1": 2.5e-07}, "b": {"0": "x, y", "1": null}}',
        b'{"a":{"0":true,"1":-1},"b":{"0":"","1":"z"}}',
        b'{"a": [1, 2.5e+20], "b": ["x, y", null]}',
        b'{"a": {"0": "10:20:30", "1": "x:-)"}, "b": {"0": "a:", "1": "x"}}',
        b'{"b": {"0": 1e22, "1": "e99"}, "a": {"0": "", "1": "b: c"}}',
        b'{"b": {"index": 1, "0": 2}, "a": {"index": 3, "0": 4}}',
        b'{"long key of 17 b": {"long key of 18 by": 1, "1": 2}, "b": {"long key of 18 by": 3, "1": 4}}',
    ],
)
def test_what_clients_send_is_counted(body):
    assert count_plain_rows(body, NO_BOUNDS)[0] == 2


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": {"0": 1}, "b": {"1": 1}}',
        b'{"a": {"0": 1, "0": 2}, "b": {"0": 1, "0": 2}}',
        b'{"a": {"0": 1}, "b": {"0": 1, "0" : 2}}',
        b'{"a": {"12345678x": 1}, "b": {"12345678y": 1}}',
        b'{"a": [1], "b": [1, 2]}',
        b'{"a": [1], "a": [2]}',
        b'{"a": {"0": 1}, "b": {"0": 2}, "a": {"0": 3}}',
        b'{"a": {"0": 1}, "b": {"0" : 1}}',
        b'{"a": {": ": 1}, "b": {": ": 1}}',
        b'{"a": {":b" : "x"}}',
        b'{"a": {}, "b{": 1}',
        b'{"a": {"0": ":b"}}',
        b'{"a": {"0": [1]}}',
        b'{"a": [{}]}',
        b'{"a": [1e999]}',
        b'{"a": {"0": -1E+999}}',
        b'{"a": {"long": 1e999, "0": 1}, "b": {"long": 1, "0": 1}}',
        b'{"a": {"0": 1%s}}' % (b"0" * 400),
        b'{"a": [%se99]}' % (b"9" * 250),
        b'{"a": {"1": 1, "0": %se99}}' % (b"9" * 250),
        b'{"a": [1]}\x0c',
        b'\x0b{"a": [1]}',
        b'{"a": ["\xc3\xa9"]}',
        b'{"a": ["\x01"]}',
        b'{"a": ["\\u0041"]}',
        b'{"a": {"0": NaN}}',
        b'{"a": [1], "b": 1}',
        b'[{"a": 1}]',
        b"{}",
        b"",
    ],
)
def test_whatever_leaves_a_doubt_is_parsed(body):
    assert count_plain_rows(body, NO_BOUNDS) is None


KEYS = ["a", "null", 7, -7, True, 1.5, 10**17, 2**63, 2**64 - 1, 2**64, "", None, 1e300]


@pytest.mark.parametrize("keys", [KEYS[:2], KEYS[2:4], KEYS[4:7], *([key, key] for key in KEYS)], ids=repr)
def test_a_column_of_keys_has_one_in_each_row(keys):
    for column in (keys, dict(zip("01", keys, strict=False)), keys[::-1]):
        body = json.dumps({"id": column, "x": column}).encode()
        is_sure = count_plain_rows(body, Bounds(key="id")) is not None
        rows = keys if isinstance(column, list) else column.values()
        assert is_sure == are_keys(orjson.loads(json.dumps(list(rows))))


def test_one_long_key_takes_no_memory_for_each_of_the_others():
    body = json.dumps({"a": {"k" * 100_000: 0} | {str(row): row for row in range(1_500)}}).encode()
    tracemalloc.start()
    try:
        assert count_plain_rows(body, NO_BOUNDS) is None
        assert tracemalloc.get_traced_memory()[1] < 20 * len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("number", ["1e999", "1E+999", "-1e0300"])
def test_a_number_too_large_for_a_float_is_found_among_many(number):
    texts = {str(key): "some text" for key in range(100)}
    body = json.dumps({"a": texts, "b": texts}).encode()
    assert count_plain_rows(body, NO_BOUNDS) == (len(texts), ["a", "b"])
    assert count_plain_rows(body.replace(b'"some text"', number.encode(), 1), NO_BOUNDS) is None


def test_another_key_is_found_in_each_column_of_a_body_that_is_looked_at_piece_by_piece(monkeypatch):
    monkeypatch.setattr(json_columns, "_BLOCK", 12_000)  # two of the columns
    columns = {name: {str(row): row for row in range(500)} for name in "abcdef"}
    assert count_plain_rows(json.dumps(columns).encode(), NO_BOUNDS) == (500, list("abcdef"))
    for name, column in columns.items():
        others = {"x50" if key == "250" else key: value for key, value in column.items()}
        assert count_plain_rows(json.dumps(columns | {name: others}).encode(), NO_BOUNDS) is None


@pytest.mark.parametrize("bounds", [Bounds(max_rows=1), Bounds(max_columns=1)])
def test_what_is_over_the_limits_is_left_to_who_refuses_it(bounds):
    assert count_plain_rows(b'{"a": [1, 2], "b": [3, 4]}', bounds) is None


@pytest.mark.parametrize("body", [b'{"a": [1, 2]}', b'[{"a": 1}, {"a": 2}]'])
def test_a_body_in_a_file_is_counted_either_way(tmp_path, body):
    path = tmp_path / "body"
    path.write_bytes(b"behind" + body + b"before")
    assert check_body("json", StoredBody(path, 6, len(body)), NO_BOUNDS) == (2, ["a"])
