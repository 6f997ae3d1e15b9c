"""JSON and NDJSON bodies that mean harm; what sound ones become stands in test_frames."""

import io
import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadBody, BodyTooLarge
from collector.formats.bounds import Bounds
from collector.formats.frames import check_frame, decode_frames
from collector.formats.json_body import loads

BOUNDS = Bounds(max_rows=1000, max_columns=100)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


def passes(format_, *bodies):
    """Tell whether each body passes; those that do become a part together, with all their rows."""
    kept = []
    for body in bodies:
        try:
            kept.append(check_frame(format_, body, BOUNDS))
        except (BadBody, BodyTooLarge):
            continue
    table = decode_frames([(frame.format, frame.body) for frame in kept if frame.rows])
    pq.write_table(table, io.BytesIO())
    assert table.num_rows == sum(frame.rows for frame in kept)
    return len(kept) == len(bodies)


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=3))
def test_whatever_json_passes_becomes_a_part(values):
    passes("json", *(json.dumps(value).encode() for value in values))


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=4), max_size=5))
def test_whatever_records_pass_become_a_part(records):
    lines = "\n".join(map(json.dumps, records)).encode()
    assert passes("json", json.dumps(records).encode()) == passes("ndjson", lines)


@settings(deadline=None)
@given(st.data())
def test_json_with_any_byte_changed_passes_whole_or_not(data):
    body = bytearray(b'{"a": {"0": 1, "1": NaN}, "b": {"0": "\\ud83d\\ude00", "1": [1e5]}}')
    for position in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=3)):
        body[position] = data.draw(st.integers(0, 255))
    passes("json", bytes(body))


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": [1e400]}',
        b'{"a": [NaN, 1' + b"0" * 5000 + b"]}",
        b'{"a": ["\xff"]}',
        b'{"a": [NaN, "\xff"]}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[NaN," + b"[" * 100_000,
        b'{"a": [' + b"[" * 300 + b"]" * 300 + b"]}",
        b'{"a": [[18446744073709551616e-1, [99999999999999999999999999]]]}'.replace(b"e-1", b"1" * 5000),
        b'{"a": [1, 2], "b": [3]}',
        b'{"a": {"0": 1}, "b": [1]}',
        b'[{"a": 1}, 2]',
        b'[[1], {"a": 1}]',
    ],
)
def test_what_can_not_be_kept_is_a_bad_body(body):
    with pytest.raises(BadBody):
        check_frame("json", body, BOUNDS)


@pytest.mark.parametrize("name", ["", "\0", "a\nb", "../../etc/passwd", "x" * 10_000, "😀"])
def test_a_column_may_have_any_name(name):
    assert passes("json", json.dumps({name: [1]}).encode())
    assert passes("json", json.dumps([{name: 1}]).encode())


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": [1], "a": [2]}',
        b'{"a" : [1], "a" : [2]}',
        b'{"a": {"0": 1, "0": 2}}',
        b'{"a": {"0": NaN, "0": 2}}',
        b'[{"a": 1, "a": 2}]',
        b'{"a": [{"b": 1, "b": 2}]}',
        b'{"a": ["\\"b\\": 1"], "a": [2]}',
        b'{"\\u0061": [1], "a": [2]}',
        b'[{"a":1,"a" :2}]',
        b'{"a":[1],"a"\n:[2]}',
        b'{"a":{"0":1,"0"\t :2}}',
    ],
)
def test_a_name_that_stands_twice_is_refused(body):
    """Parsers take the last, the original's too; what the first held would be lost."""
    with pytest.raises(BadBody, match="stands twice"):
        check_frame("json", body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": ["{\\"a\\": 1, \\"a\\": 2}"], "b": [":"]}',
        b'{"a" : {"0" : 1}, "b\\\\": {"0": 2}}',
        b'[{"a": {"a": {"a": 1}}}, {"a": {"b": [{"a": 1}, {"a": 2}]}}]',
    ],
)
def test_names_that_seem_to_stand_twice_are_taken(body):
    assert passes("json", body)


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b'{"a": {"0": 1, "1": 2}, "b": {"1": 3, "0": 4}}', 2),
        (b' {"a\\"{": {"10": 1}, "b": {"10": null}}', 1),
        (b'{"a": {"0": 1}, "b": {"-0": 1}}', 2),
        (b'{"a": {"0": 1, "-0": 2}}', 2),
        (b'{"a": {"0": 1, "00": 2}}', 2),
        (b'{"a": {"0": 1, "x": 2}}', 2),
        (b'{"a": {"1": 1}, "b": {"\\u0031": 1}}', 1),
        (b'{"a": {"18446744073709551616": 1, "18446744073709551617": 2}}', 2),
        (b'{"a": {"2026-01-01": 1, "2026-01-02": 2}}', 2),
        (b'{"a": {"-1": 1, "1": 2}}', 2),
        (b'{"a": {"0": {"x": 1}}}', 1),
    ],
)
def test_rows_are_counted_by_their_names_whether_these_are_numbers_or_not(body, rows):
    assert check_frame("json", body).rows == rows
    assert decode_frames([("json", body)]).num_rows == rows


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=3), st.sampled_from([(", ", ": "), (",", ":"), (" , ", " : ")]))
def test_what_has_each_name_once_is_never_told_to_have_one_twice(values, separators):
    told = ""
    try:
        loads(json.dumps(values, separators=separators).encode())
    except BadBody as error:
        told = str(error)
    assert "stands twice" not in told


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ([[0] * 101], "101 columns"),
        ([{str(number): 0 for number in range(101)}], "101 columns"),
        ([{str(number): 0} for number in range(101)], "101 columns"),
        ({str(number): [] for number in range(101)}, "101 columns"),
        ([{}] * 1001, "1001 rows"),
        ({"a": [0] * 1001}, "1001 rows"),
    ],
)
def test_columns_and_rows_are_counted_before_a_table_is_made_of_them(data, told):
    with pytest.raises(BodyTooLarge, match=told):
        check_frame("json", json.dumps(data).encode(), BOUNDS)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (rb"cut \ud83d", "cut \ufffd"),
        (rb"\uDE00", "\ufffd"),
        (rb"\ud83d\ud83d\ude00", "\ufffd😀"),
        (rb"\\ud83d", "\\ud83d"),
        (rb"\\\ud83d\n", "\\\ufffd\n"),
        (rb"\ud83d\ude00", "😀"),
    ],
)
@pytest.mark.parametrize("beside", [b"", b', "n": NaN'], ids=["plain", "beside NaN"])
def test_half_of_an_emoji_is_kept_as_the_replacement_character(written, kept, beside):
    """JSON.stringify writes a half where a text is cut in the midst of one."""
    body = b'{"q": "%b"%b}' % (written, beside)
    for format_ in ("json", "ndjson"):
        assert check_frame(format_, body).rows == 1
        assert decode_frames([(format_, body)] * 2)["q"].to_pylist() == [kept, kept]


@pytest.mark.parametrize("format_", ["json", "ndjson"])
def test_a_byte_order_mark_before_json_is_no_part_of_it(format_):
    body = b'\xef\xbb\xbf{"a": 1}'
    assert check_frame(format_, body).rows == 1
    assert decode_frames([(format_, body)])["a"].to_pylist() == [1]


def test_what_is_no_utf_8_is_told_by_its_byte():
    with pytest.raises(BadBody, match=r"0xE9 isn't UTF-8 \(byte 10\); send UTF-8, or name the charset"):
        check_frame("json", '{"a": "caf\xe9"}'.encode("latin-1"))
