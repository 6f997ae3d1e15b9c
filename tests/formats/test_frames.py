import io
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadBody, BodyTooLarge
from collector.formats.apart import append
from collector.formats.bounds import Bounds
from collector.formats.frames import Frame, check_frame, decode_frames, format_of
from collector.formats.json_body import loads
from collector.formats.merging import Merging

INFINITY = float("inf")


def _stream(table):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _parquet(table):
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _csv(table):
    return table.to_pandas().to_csv(index=False).encode()


def _json(table):
    return json.dumps(table.to_pydict()).encode()


def _ndjson(table):
    return "\n".join(map(json.dumps, table.to_pylist())).encode()


WRITERS = {"json": _json, "ndjson": _ndjson, "csv": _csv, "arrow": _stream, "parquet": _parquet}


def _decoded(format_, body):
    """Take a body through the whole way: checked, decoded, written, with its rows the same all along."""
    frame = check_frame(format_, body)
    table = decode_frames([(format_, body)])
    written = pq.read_table(io.BytesIO(_parquet(table)))
    assert frame.rows == table.num_rows == written.num_rows
    return _merged(table)


def _merged(table):
    """Return what a batch of these rows is."""
    return Merging([table.schema]).merge(table)


def _refusal(format_, body):
    with pytest.raises(BadBody) as caught:
        check_frame(format_, body)
    return str(caught.value)


# Media types


@pytest.mark.parametrize(
    ("media_type", "format_"),
    [
        ("", "json"),
        ("application/json", "json"),
        ("application/x-www-form-urlencoded", "json"),  # what curl -d sends
        ("text/plain; charset=utf-8", "json"),
        ("application/x-ndjson", "ndjson"),
        ("application/jsonl", "ndjson"),
        ("application/jsonlines", "ndjson"),
        ("application/x-jsonlines", "ndjson"),
        ("application/x-jsonl; charset=utf-8", "ndjson"),
        ("Text/CSV; charset=utf-8", "csv"),
        ("application/vnd.apache.arrow.stream", "arrow"),
        (" application/vnd.apache.parquet ", "parquet"),
    ],
)
def test_the_content_type_tells_the_format_and_json_is_for_all_others(media_type, format_):
    assert format_of(media_type) == format_


# The shapes of JSON


@pytest.mark.parametrize(
    ("body", "columns"),
    [
        ('{"a": {"0": 1, "1": 2}, "b": {"0": "x", "1": "y"}}', {"a": [1, 2], "b": ["x", "y"]}),
        ('{"a": [1, 2], "b": ["x", "y"]}', {"a": [1, 2], "b": ["x", "y"]}),
        ('[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]', {"a": [1, 2], "b": ["x", "y"]}),
        ('[{"a": 1}, {"b": "y"}]', {"a": [1, None], "b": [None, "y"]}),
        ("[[1, 2], [3, 4]]", {"0": [1, 3], "1": [2, 4]}),
        ("[[1], [3, 4]]", {"0": [1, 3], "1": [None, 4]}),
        ('{"a": {"0": 1}, "b": {"1": 2}}', {"a": [1, None], "b": [None, 2]}),
        ('{"a": {"x": 1, "y": 2}, "b": {"y": 4, "x": 3}}', {"a": [1, 2], "b": [3, 4]}),
        ('{"a": 1, "b": "x", "c": null}', {"a": [1], "b": ["x"], "c": [None]}),
        ('{"a": NaN, "b": Infinity}', {"a": [None], "b": [INFINITY]}),
        ('{"": [1], "index": [2], "a\\u0000": [3]}', {"": [1], "index": [2], "a\0": [3]}),
    ],
)
def test_each_shape_of_json_is_a_table(body, columns):
    table = _decoded("json", body.encode())
    assert (table.column_names, table.to_pydict()) == (list(columns), columns)


@pytest.mark.parametrize("body", ["{}", '{"a": {}}', '{"a": []}', "[]"])
def test_a_table_without_rows_counts_none(body):
    assert _decoded("json", body.encode()).num_rows == 0


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("5", "the body is a number, not a table"),
        ('"hello"', "the body is a string, not a table"),
        ("null", "the body is null, not a table"),
        ("true", "the body is a boolean, not a table"),
        ("[1, 2]", "record 0 is a number, not an object"),
        ('[{"a": 1}, "b"]', "record 1 is a string, not an object"),
        ('[[1], {"a": 1}]', "record 0 is a list, not an object"),
        ('{"a": {"0": 1, "1": 2}, "b": 5}', "'a' is an object and 'b' is a plain value"),
        ('{"b": null, "a": [1, 2]}', "'a' is a list and 'b' is a plain value"),
        ('{"a": [1], "b": {"0": 1}}', "some columns are objects, some are lists"),
        ('{"a": [1, 2], "b": [1]}', "different numbers of values: 'a' has 2, 'b' has 1"),
    ],
)
def test_what_is_no_table_is_refused_with_what_is_wrong(body, told):
    assert told in _refusal("json", body.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"{bad",
        b"",
        b'{"a": [1]} x',
        b'{"a": [NaN}',
        b'{"a": ["\xff"]}',
        b"[" * 100_000,
        b'{"a": [NaN, ' + b"[" * 100_000,
        b'{"a": [1e400]}',
    ],
    ids=lambda body: body[:24].decode(errors="replace"),
)
def test_what_is_no_json_is_refused(body):
    assert _refusal("json", body).startswith("JSON is malformed")


@pytest.mark.parametrize("beside", [b"", b"NaN, "], ids=["plain", "beside NaN"])
@pytest.mark.parametrize("depth", [300, 2_000])
def test_values_nested_too_deep_to_be_kept_are_refused(beside, depth):
    """How deep JSON may be differs between its two parsers, and between versions of Python; beyond 254 none is kept."""
    assert _refusal("json", b'{"a": [' + beside + b"[" * depth + b"]" * depth + b"]}")


def test_loads_tells_the_byte_and_the_place():
    with pytest.raises(BadBody, match=r"JSON is malformed in line 3: .* \(byte 1\)"):
        loads(b"{bad", " in line 3")


# The values of JSON


@pytest.mark.parametrize(
    ("values", "type_", "kept"),
    [
        ("1, 2, null", "int64", [1, 2, None]),
        ("9223372036854775807, -9223372036854775808", "int64", [2**63 - 1, -(2**63)]),
        ("1, 2.5, null", "double", [1.0, 2.5, None]),
        ("NaN, Infinity, -Infinity, 1", "double", [None, INFINITY, -INFINITY, 1.0]),
        ("99999999999999999999999, 1", "double", [1e23, 1.0]),
        ("true, null", "bool", [True, None]),
        ('"x", null, ""', "string", ["x", None, ""]),
        ('"x", NaN', "string", ["x", None]),
        ('"\\u0000\\ud83d\\ude00"', "string", ["\0😀"]),
        ("null, NaN", "null", [None, None]),
        ('1, "x", true, 1.5, null, NaN', "string", ["1", "x", "true", "1.5", None, None]),
        ("true, 1", "string", ["true", "1"]),
        ("1.5, true", "string", ["1.5", "true"]),
        ("true, NaN", "bool", [True, None]),
        ('[1, "x"], {"k": [null]}, null, 5', "string", ['[1,"x"]', '{"k":[null]}', None, "5"]),
        ('"x", Infinity', "string", ["x", "Infinity"]),
    ],
)
def test_values_get_the_type_that_holds_them_all(values, type_, kept):
    table = _decoded("json", f'{{"a": [{values}]}}'.encode())
    assert (str(table.schema.field("a").type), table["a"].to_pylist()) == (type_, kept)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
EXACT = st.integers(-(2**53), 2**53)  # what a double holds too
SCALAR = st.none() | st.booleans() | EXACT | st.floats(allow_nan=True) | TEXT
COLUMNS = [EXACT, EXACT | st.floats(), st.booleans(), TEXT, SCALAR]
WIDE = st.integers(-(2**63), 2**63 - 1)


@st.composite
def _tables(draw, columns=(*COLUMNS, WIDE)):
    rows = draw(st.integers(0, 6))
    names = draw(st.lists(TEXT, unique=True, min_size=1, max_size=4))
    return {
        name: draw(st.lists(draw(st.sampled_from(columns)) | st.none(), min_size=rows, max_size=rows)) for name in names
    }


def _modelled(values):
    """Return what a column of JSON values is to come back as: itself if its values are of one kind, else text."""
    values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) < 2 or kinds == {int, float}:
        return values
    return [value if value is None or isinstance(value, str) else _spelled(value) for value in values]


def _spelled(value):
    """Spell a value beside others: one is 1 whether it was an integer or not."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= 2**53
    return json.dumps(int(value) if is_whole else value)


def _keyed(table):
    return json.dumps({name: {str(key): value for key, value in enumerate(column)} for name, column in table.items()})


def _records(table):
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


SHAPES = {
    "keyed columns": ("json", _keyed),
    "column lists": ("json", json.dumps),
    "records": ("json", lambda table: json.dumps(_records(table))),
    "lines": ("ndjson", lambda table: "\n".join(json.dumps(record) for record in _records(table))),
}


@pytest.mark.parametrize("shape", SHAPES)
@settings(deadline=None)
@given(table=_tables())
def test_rows_in_are_rows_counted_and_rows_decoded_with_equal_values(shape, table):
    format_, write = SHAPES[shape]
    rows = len(next(iter(table.values())))
    body = write(table).encode()
    decoded = decode_frames([(format_, body)])
    assert check_frame(format_, body) == Frame(format_, body, rows)
    assert decoded.num_rows == rows
    if rows:  # records of no rows have no columns
        assert _merged(decoded).to_pydict() == {name: _modelled(column) for name, column in table.items()}


@settings(deadline=None)
@given(st.dictionaries(TEXT, st.dictionaries(st.sampled_from("0123xy"), st.integers(-9, 9), max_size=4), min_size=1))
def test_keys_are_aligned_as_pandas_aligns_them(data):
    frame = pd.DataFrame.from_dict(data)
    table = _decoded("json", json.dumps(data).encode())
    expected = {name: [None if pd.isna(value) else value for value in frame[name]] for name in frame.columns}
    assert table.to_pydict() == expected


@settings(deadline=None)
@given(st.lists(_tables(COLUMNS), min_size=2, max_size=4))
def test_frames_follow_each_other_and_lack_what_they_lacked(tables):
    """Each value comes back as it was, or as its text where the frames' types differ."""
    decoded = _merged(decode_frames([("json", json.dumps(table).encode()) for table in tables]))
    rows = [len(next(iter(table.values()))) for table in tables]
    assert decoded.num_rows == sum(rows)
    for name in decoded.column_names:
        gathered = [v for table, n in zip(tables, rows, strict=True) for v in table.get(name, [None] * n)]
        assert decoded[name].to_pylist() == _modelled(gathered)


@settings(deadline=None)
@given(st.binary(max_size=40), st.sampled_from(["json", "ndjson", "csv", "arrow", "parquet"]))
def test_no_bytes_break_the_check_and_what_passes_decodes(body, format_):
    try:
        frame = check_frame(format_, body)
    except BadBody:
        return
    assert decode_frames([(format_, body)]).num_rows == frame.rows


# NDJSON and CSV


@pytest.mark.parametrize(
    ("body", "rows"),
    [(b'{"a": 1}\n{"b": 2}\n', 2), (b'{"a": 1}\r\n\r\n{"a": 2}', 2), (b"\n", 0), (b'{"a": NaN}', 1)],
)
def test_ndjson_has_a_row_a_line_that_is_not_blank(body, rows):
    assert _decoded("ndjson", body).num_rows == rows


@pytest.mark.parametrize("body", [b'{"a": 1}\n{bad', b'{"a": 1}\r\n{"a": 2} {"a": 3}', b'{"a": NaN}\n{"a": NaN'])
def test_a_bad_line_is_told_by_its_number(body):
    assert _refusal("ndjson", body).startswith("JSON is malformed in line 2: ")


def test_blank_lines_count_for_a_bad_lines_number():
    assert _refusal("ndjson", b'{"a": 1}\n\n{bad').startswith("JSON is malformed in line 3: ")


@pytest.mark.parametrize(
    ("body", "columns"),
    [
        (b"a,b\n1,x\n2,y\n", {"a": ["1", "2"], "b": ["x", "y"]}),
        (b"a,b\r\n1.5,true\r\n", {"a": ["1.5"], "b": ["true"]}),
        (b'a,b\n"x\ny","1,5"\n', {"a": ["x\ny"], "b": ["1,5"]}),
        (b'a,b\n,""\nx,"y"\n', {"a": [None, "x"], "b": ["", "y"]}),
        (b"\xef\xbb\xbfa\n1\n", {"a": ["1"]}),
        (b"a,b\n", {"a": [], "b": []}),
        (b"", {}),
    ],
)
def test_csv_is_text_and_an_empty_field_is_missing(body, columns):
    assert _decoded("csv", body).to_pydict() == columns


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"a,b\n1\n", "Expected 2 columns, got 1"),
        (b"a,b\n1,2,3\n", "Expected 2 columns, got 3"),
        (b"a,a\n1,2\n", "the column 'a' is there twice"),
    ],
)
def test_ragged_csv_is_refused(body, told):
    assert told in _refusal("csv", body)


# Arrow and parquet

TYPED = pa.table(
    {
        "zoned": pa.array([datetime(2026, 3, 1, tzinfo=UTC), None], pa.timestamp("us", "Europe/Berlin")),
        "naive": pa.array([datetime(2026, 3, 1), None], pa.timestamp("us")),  # noqa: DTZ001  (naive is what is tried)
        "date": pa.array([date(2026, 3, 1), None]),
        "category": pa.array(["x", None]).dictionary_encode(),
        "nullable": pa.array([2**60 + 1, None]),
        "unsigned": pa.array([2**64 - 1, None], pa.uint64()),
        "small": pa.array([1, None], pa.int8()),
        "single": pa.array([1.5, None], pa.float32()),
        "text": pa.array(["ü", None]),
        "bool": pa.array([True, None]),
        "decimal": pa.array([Decimal("1.50"), None]),
        "list": pa.array([[1, 2], None]),
        "nothing": pa.nulls(2),
    }
)


@pytest.mark.parametrize(("format_", "write"), [("arrow", _stream), ("parquet", _parquet)])
def test_typed_bodies_keep_their_types_and_values(format_, write):
    table = _decoded(format_, write(TYPED))
    assert table.equals(TYPED)


@pytest.mark.parametrize(("format_", "write"), [("arrow", _stream), ("parquet", _parquet)])
@pytest.mark.parametrize("index", [[7, 8], ["x", "y"], pd.MultiIndex.from_tuples([(1, 2), (1, 3)])])
def test_an_index_without_a_name_is_no_column(format_, write, index):
    frame = pd.DataFrame({"a": [1, 2]}, index=index)
    table = _decoded(format_, write(pa.Table.from_pandas(frame)))
    assert (table.to_pydict(), table.schema.metadata) == ({"a": [1, 2]}, None)


@pytest.mark.parametrize(("format_", "write"), [("arrow", _stream), ("parquet", _parquet)])
def test_a_torn_typed_body_is_refused(format_, write):
    assert _refusal(format_, write(TYPED)[:-20]).startswith(f"the body can't be read as {format_}: ")


@pytest.mark.parametrize("format_", ["arrow", "parquet"])
def test_what_is_no_typed_body_is_refused(format_):
    assert _refusal(format_, b'{"a": [1]}').startswith(f"the body can't be read as {format_}: ")


def test_a_typed_body_with_a_column_twice_is_refused():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert _refusal("arrow", _stream(table)) == "the column 'a' is there twice; each column needs a name of its own"


def test_text_that_is_no_utf_8_is_refused():
    text = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    assert "can't be read as arrow" in _refusal("arrow", _stream(pa.table({"a": text})))


ODD = {
    "interval": pa.array([pa.MonthDayNano([1, 2, 3]), None]),
    "run ends": pa.RunEndEncodedArray.from_arrays([1, 2], pa.array(["x", None])),
    "union": pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["x", "y"])]),
    "empty struct": pa.array([{}, None], pa.struct([])),
    "far time": pa.array([2**62, None], pa.timestamp("s")),
    "duration": pa.array([1, None], pa.duration("ns")),
    "binary": pa.array([b"\xff", None]),
    "view": pa.array(["x", None], pa.string_view()),
    "half": pa.array([1.5, None], pa.float16()),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_accepted_can_be_written_to_a_part(name):
    """A frame that can't be spilled stops its collector for ever; it must be refused, or written somehow."""
    body = _stream(pa.table({"a": ODD[name]}))
    try:
        check_frame("arrow", body)
    except BadBody:
        return
    assert _decoded("arrow", body).num_rows == 2


# Together


@pytest.mark.parametrize(
    ("left", "right", "type_", "values"),
    [
        (pa.array([1]), pa.array([2.5]), "double", [1.0, 2.5]),
        (pa.array([2**60 + 1]), pa.array([2.5]), "double", [2.0**60, 2.5]),
        (pa.array([1], pa.int8()), pa.array([300]), "int64", [1, 300]),
        (pa.array([1], pa.uint8()), pa.array([-1], pa.int8()), "int64", [1, -1]),
        (pa.array([1]), pa.array(["x"]), "string", ["1", "x"]),
        (pa.array([True]), pa.array([1]), "string", ["true", "1"]),
        (pa.array([1]), pa.nulls(1), "int64", [1, None]),
        (pa.array(["x"]), pa.array(["y"]).dictionary_encode(), "string", ["x", "y"]),
        (pa.array([[1]]), pa.array([2]), "string", ["[1]", "2"]),
        (pa.array([date(2026, 3, 1)]), pa.array([1]), "string", ["2026-03-01", "1"]),
        (pa.array([2**64 - 1], pa.uint64()), pa.array([-1]), None, None),
        (pa.array([b"\xff"]), pa.array([1]), None, None),
        (pa.array([2**63 - 1]), pa.array([Decimal("1.5")]), None, None),
        (pa.array([[Decimal("1.5")]]), pa.array(["x"]), None, None),
        (pa.array([2**40], pa.timestamp("s")), pa.array([1], pa.timestamp("ns")), None, None),
    ],
    ids=lambda part: str(part.type) if isinstance(part, pa.Array) else "",
)
def test_types_that_differ_are_promoted_or_become_text_and_no_row_is_lost(left, right, type_, values):
    """None stands for a type that is left open: what matters is that two accepted frames make one part."""
    for first, second in ((left, right), (right, left)):
        table = _merged(append([pa.table({"a": first}), pa.table({"a": second})]))
        assert _parquet(table)
        assert (table.num_rows, table["a"].null_count) == (2, first.null_count + second.null_count)
        if values is not None:
            expected = values if first is left else values[::-1]
            assert (str(table.schema.field("a").type), table["a"].to_pylist()) == (type_, expected)


def test_categories_of_several_frames_are_one_dictionary():
    tables = [pa.table({"a": pa.array([value]).dictionary_encode()}) for value in "xyx"]
    table = append(tables)
    assert pa.types.is_dictionary(table.schema.field("a").type)
    assert table["a"].combine_chunks().dictionary.to_pylist() == ["x", "y"]
    assert table["a"].to_pylist() == ["x", "y", "x"]


def test_frames_of_all_formats_become_one_table_in_their_order():
    row = pa.table({"a": [3], "b": ["z"]})
    frames = [
        ("json", b'{"a": {"0": 1}}'),
        ("ndjson", b'{"a": 2, "b": "y"}'),
        ("arrow", _stream(row)),
        ("parquet", _parquet(row)),
        ("csv", b"b,c\nx,1\n"),
        ("json", b"[]"),
    ]
    table = _merged(decode_frames(frames))
    assert table.to_pydict() == {
        "a": [1, 2, 3, 3, None],
        "b": [None, "y", "z", "z", "x"],
        "c": [None, None, None, None, "1"],
    }


def test_small_categories_that_are_many_together_become_one_column():
    """pandas sends up to 127 categories with indices of 8 bits; three such frames have more."""
    frames = []
    for start in (0, 100, 200):
        names = pa.array([f"c{number}" for number in range(start, start + 100)])
        indices = pa.array(range(100), pa.int8())
        frames.append(pa.table({"c": pa.DictionaryArray.from_arrays(indices, names)}))
    assert append(frames)["c"].to_pylist() == [f"c{number}" for number in range(300)]


@pytest.mark.parametrize(
    "data",
    [
        [{f"n{number}": 1} for number in range(4_000)],
        {f"n{number}": {f"k{number}": 1} for number in range(4_000)},
    ],
    ids=["records without shared names", "columns without shared keys"],
)
def test_what_unfolds_to_the_square_of_its_size_is_refused_before(data):
    with pytest.raises(BodyTooLarge, match="would be a table of more than 10000000 cells"):
        check_frame("json", json.dumps(data).encode())


@pytest.mark.parametrize("format_", ["json", "ndjson", "csv", "arrow", "parquet"])
@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        (Bounds(max_rows=2), "the body has 3 rows, the limit is 2"),
        (Bounds(max_columns=1), "the body has 2 columns, the limit is 1"),
    ],
)
def test_rows_and_columns_are_bounded_in_each_format(format_, bounds, told):
    table = pa.table({"a": [1, 2, 3], "b": [4, 5, 6]})
    body = WRITERS[format_](table)
    with pytest.raises(BodyTooLarge, match=told):
        check_frame(format_, body, bounds)
    exact = Bounds(max_rows=3, max_columns=2)
    assert check_frame(format_, body, exact).rows == 3
