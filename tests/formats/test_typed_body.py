"""Arrow, parquet and CSV bodies of any content, and ones that mean harm."""

import csv
import io
import os
import subprocess
import sys
from contextlib import nullcontext, suppress
from functools import reduce

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from machine import PATIENCE

from collector.errors import BadBody, BodyTooLarge
from collector.formats.bounded_memory import SLACK
from collector.formats.bounds import Bounds
from collector.formats.frames import check_frame, decode_frames


def stream(table, **options):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


WRITERS = {"arrow": stream, "parquet": parquet}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
INT64 = st.integers(-(2**63), 2**63 - 1)
# Types, and the values that they hold.
TYPES = [
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()),
    (pa.string(), TEXTS),
    (pa.large_string(), TEXTS),
    (pa.string_view(), TEXTS),
    (pa.binary(), st.binary(max_size=5)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.decimal128(9, 2), st.decimals(-(10**6), 10**6, places=2)),
    (pa.timestamp("us", "Europe/Berlin"), st.integers(0, 2**50)),
    (pa.timestamp("ns"), INT64),
    (pa.timestamp("us"), st.integers(-(2**50), 2**50)),
    (pa.timestamp("ms", "UTC"), st.integers(0, 2**40)),
    (pa.date32(), st.integers(0, 2**20)),
    (pa.time64("us"), st.integers(0, 86_399_999_999)),
    (pa.duration("s"), st.integers(0, 2**40)),
    (pa.list_(pa.int64()), st.lists(INT64, max_size=3)),
    (pa.list_(pa.string()), st.lists(TEXTS, max_size=3)),
    (pa.list_(pa.list_(pa.string())), st.lists(st.lists(TEXTS, max_size=3), max_size=3)),
    (pa.list_(pa.int8(), 2), st.lists(st.integers(0, 9), min_size=2, max_size=2)),
    (pa.map_(pa.string(), pa.string()), st.dictionaries(TEXTS, TEXTS, max_size=3).map(lambda pairs: [*pairs.items()])),
    (pa.struct([("x", pa.string()), ("y", pa.int8())]), st.fixed_dictionaries({"x": TEXTS, "y": st.integers(0, 9)})),
    (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["a", "b"])),
    (pa.dictionary(pa.int32(), pa.large_string()), st.sampled_from(["a", "b"])),
    (pa.dictionary(pa.int32(), pa.int64()), st.sampled_from([1, 2])),
    (pa.null(), st.none()),
]


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 5))
    columns = {}
    for name in draw(st.lists(NAMES, unique=True, min_size=1, max_size=3)):
        type_, values = draw(st.sampled_from(TYPES))
        columns[name] = pa.array(draw(st.lists(values | st.none(), min_size=rows, max_size=rows)), type_)
    return pa.table(columns)


@pytest.mark.parametrize("format_", WRITERS)
@settings(deadline=None)
@given(table=tables())
def test_a_table_of_any_types_comes_back_as_it_was(format_, table):
    body = WRITERS[format_](table)
    frame = check_frame(format_, body, Bounds(1e6, 100, 100))
    decoded = decode_frames([(format_, body)])
    assert frame.rows == decoded.num_rows == table.num_rows
    # NaN isn't equal to itself, but its text is.
    assert str(decoded.to_pydict()) == str(table.to_pydict())
    pq.write_table(decoded, io.BytesIO())


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(WRITERS)), tables()), min_size=2, max_size=4))
def test_tables_of_any_types_become_one_part(bodies):
    """Two columns of one name may differ in any way; a part that can't be written would stop its collector."""
    frames = [(format_, WRITERS[format_](table)) for format_, table in bodies]
    rows = sum(check_frame(*frame).rows for frame in frames)
    decoded = decode_frames(frames)
    written = io.BytesIO()
    pq.write_table(decoded, written)
    assert pq.read_metadata(written).num_rows == rows


@pytest.mark.parametrize("format_", WRITERS)
@settings(deadline=None)
@given(table=tables(), data=st.data())
def test_a_table_with_any_bytes_changed_passes_whole_or_not(format_, table, data):
    body = bytearray(WRITERS[format_](table))
    for position in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=3)):
        body[position] = data.draw(st.integers(0, 255))
    try:
        frame = check_frame(format_, bytes(body), Bounds(1e6, 1000, 100))
    except (BadBody, BodyTooLarge):
        return
    decoded = decode_frames([(format_, bytes(body))])
    assert decoded.num_rows == frame.rows
    pq.write_table(decoded, io.BytesIO())


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=5)


@settings(deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=5))
def test_a_csv_row_is_a_row_and_its_texts_are_kept(rows):
    sink = io.StringIO()
    csv.writer(sink, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("left", "right"), *rows])
    body = sink.getvalue().encode()
    assert check_frame("csv", body).rows == len(rows)
    table = decode_frames([("csv", body)])
    for name, values in zip(("left", "right"), zip(*rows, strict=True), strict=False):
        if pa.types.is_string(table.schema.field(name).type):
            assert table[name].to_pylist() == list(values)


@pytest.mark.parametrize("body", [b'a\n"x\ny\n', b'a,b\n1,"x\n2,3\n', b'a\n5" pipe\n"x\n', b'a\n"' + b"x\n" * 10**6])
def test_a_quote_that_never_ends_is_refused(body):
    with pytest.raises(BadBody, match="a quote is opened and never closed"):
        check_frame("csv", body)


@pytest.mark.parametrize("body", [b'a\n"x"\n"y\nz"\n', b'a\n5" pipe\n', b'a,b\n"x ""y""",1', b'"a"\n1'])
def test_quotes_that_end_are_taken(body):
    assert check_frame("csv", body).rows >= 1


def test_a_csv_column_is_text_however_late_it_is_known():
    body = b"a\n" + b"1\n" * 10**6 + b"x\n"
    assert decode_frames([("csv", body)]).schema.field("a").type == pa.string()


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@settings(deadline=None)
@given(header=st.text('a,"\n\r ', min_size=1, max_size=14))
def test_csv_columns_are_counted_as_arrow_counts_them(header, bom):
    assume(header.strip())
    body = bom + header.encode()
    try:
        columns = pyarrow.csv.read_csv(io.BytesIO(body)).num_columns
    except pa.ArrowInvalid:
        return
    with pytest.raises(BodyTooLarge, match=f"the body has {columns} columns"):
        check_frame("csv", body, Bounds(max_columns=columns - 1))


def test_csv_columns_are_counted_no_further_than_their_limit():
    """Arrow takes a gigabyte for a million of them, so it must not see them."""
    with pytest.raises(BodyTooLarge, match="the body has 101 columns"):
        check_frame("csv", b"," * 10**6, Bounds(max_columns=100))


@pytest.mark.parametrize("told", [b"{", b"5", b"[]", b'{"index_columns": 5}', b'{"index_columns": [{}]}', b"[" * 10**5])
def test_what_pandas_is_said_to_have_said_harms_no_one(told):
    body = stream(pa.table({"a": [1]}).replace_schema_metadata({"pandas": told}))
    with suppress(BadBody):
        assert check_frame("arrow", body).rows == decode_frames([("arrow", body)]).num_rows


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.int64()])
def test_a_dictionary_with_a_null_in_it_is_refused(type_):
    """Arrow can't write it to parquet, so that the rows would be in no part."""
    column = pa.DictionaryArray.from_arrays([0, 1], pa.array(["1", None]).cast(type_))
    with pytest.raises(BadBody, match="column 'a' of the arrow body can't be kept"):
        check_frame("arrow", stream(pa.table({"a": column})))


def test_streams_one_behind_the_other_are_refused():
    """The rows of the second would be lost: a stream says where it ends."""
    one = stream(pa.table({"a": [1, 2]}))
    with pytest.raises(BadBody, match="more behind the end of the Arrow stream"):
        check_frame("arrow", one + one)
    assert check_frame("arrow", one + bytes(8)).rows == 2


@pytest.mark.parametrize("is_ordered", [True, False])
def test_categories_that_are_views_are_plain_ones(is_ordered):
    """So polars writes its categories into an Arrow stream."""
    views = pa.array(["a", "b", "no view: this is longer"], pa.string_view())
    column = pa.DictionaryArray.from_arrays(pa.array([0, 2, None], pa.uint32()), views, ordered=is_ordered)
    body = stream(pa.table({"a": column}))
    assert check_frame("arrow", body).rows == 3
    kept = decode_frames([("arrow", body)])["a"]
    assert kept.to_pylist() == ["a", "no view: this is longer", None]
    assert kept.type == pa.dictionary(pa.int32(), pa.large_string(), is_ordered)


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"])
def test_texts_are_read_however_parquet_encodes_them(encoding):
    """Writers of parquet's second version write how a text differs from the one before."""
    table = pa.table({"a": ["x", "xy", "xyz"], "b": ["p", "q", "p"]})
    body = parquet(table, use_dictionary=["b"], column_encoding={"a": encoding})
    assert check_frame("parquet", body).rows == 3
    assert decode_frames([("parquet", body)]).equals(table)


def test_a_time_too_far_off_for_parquet_is_refused():
    with pytest.raises(BadBody, match="column 'a' of the arrow body can't be kept"):
        check_frame("arrow", stream(pa.table({"a": pa.array([2**62], pa.timestamp("s"))})))


def test_rows_without_columns_are_refused():
    """They would be counted, and in no part."""
    index_only = pa.table({"__index_level_0__": [1]})
    no_columns = pa.table({"a": [1]}).drop_columns(["a"])
    for format_, table in [("arrow", index_only), ("parquet", index_only), ("arrow", no_columns)]:
        with pytest.raises(BadBody, match="have no columns"):
            check_frame(format_, WRITERS[format_](table))


@pytest.mark.parametrize(("depth", "is_taken"), [(10, True), (60, False)])
def test_lists_are_taken_as_deep_as_a_part_can_be_read(depth, is_taken):
    """A list is two levels in parquet, which Arrow writes at any depth, and reads to a hundred."""
    type_ = reduce(lambda inner, _: pa.list_(inner), range(depth), pa.int64())
    body = stream(pa.table({"a": pa.nulls(1, type_)}))
    with nullcontext() if is_taken else pytest.raises(BadBody, match="too deeply nested"):
        assert check_frame("arrow", body).rows == 1


CHECK = """
import sys
from pathlib import Path
from collector.formats.frames import check_frame

for path in map(Path, sys.argv[1:]):
    check_frame(path.suffix[1:], path.read_bytes())
assert "pyarrow" in sys.modules
assert "pandas" not in sys.modules
"""


def test_no_check_imports_pandas(tmp_path):
    """Arrow does so by itself in places, and the daemon's process has no room for it."""
    texts = pa.array(["x"], pa.large_string())
    tables = [pa.table({"a": texts, "b": [[1]], "c": texts.dictionary_encode()}), pa.table({"a": texts[:0]})]
    for number, table in enumerate(tables):
        (tmp_path / f"{number}.arrow").write_bytes(stream(table))
        (tmp_path / f"{number}.parquet").write_bytes(parquet(table))
    with pa.ipc.new_stream(tmp_path / "none.arrow", tables[0].schema):
        pass
    subprocess.run(
        [sys.executable, "-c", CHECK, *sorted(tmp_path.iterdir())],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        timeout=PATIENCE,
    )


def test_an_error_quotes_no_more_of_a_body_than_can_be_read():
    told = {"ARROW:extension:name": "arrow.bool8", "ARROW:extension:metadata": "x" * 10**6}
    schema = pa.schema([pa.field("a", pa.int8(), metadata=told)])
    with pytest.raises(BadBody) as caught:
        check_frame("arrow", stream(schema.empty_table()))
    assert len(str(caught.value)) < 1000


# Bombs


def dictionary(rows):
    """One text of 1 MB, as often as there are rows."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 10**6]))


def views(rows):
    view = memoryview(pa.array(["x" * 10**6], pa.string_view()).buffers()[1]).tobytes()
    buffers = [None, pa.py_buffer(view * rows), pa.py_buffer(b"x" * 10**6)]
    return pa.Array.from_buffers(pa.string_view(), rows, buffers)


def lists(array):
    return pa.ListArray.from_arrays(pa.array([0, len(array)], pa.int32()), array)


def zeros(rows):
    return pa.array([0]).take(pa.nulls(rows, pa.int64()).fill_null(0))


BOMBS = {
    "compressed": ("arrow", lambda: stream(pa.table({"a": zeros(40_000_000)}), compression="zstd")),
    "a dictionary": ("arrow", lambda: stream(pa.table({"a": dictionary(100_000)}))),
    "a dictionary in a list": ("arrow", lambda: stream(pa.table({"a": lists(dictionary(100_000))}))),
    "views": ("arrow", lambda: stream(pa.table({"a": views(10_000)}))),
    "nulls": ("arrow", lambda: stream(pa.table({"a": pa.nulls(2**31 - 1)}))),
    "zeros in a row": ("parquet", lambda: parquet(pa.table({"a": lists(zeros(40_000_000))}))),
    "texts": ("parquet", lambda: parquet(pa.table({"a": dictionary(100_000)}), store_schema=False)),
    "texts in a list": ("parquet", lambda: parquet(pa.table({"a": lists(dictionary(100_000))}), store_schema=False)),
}
BOMBS["texts beside differences"] = (
    "parquet",
    lambda: parquet(
        pa.table({"a": dictionary(100_000), "b": [str(number) for number in range(100_000)]}),
        store_schema=False,
        use_dictionary=["a"],
        column_encoding={"b": "DELTA_BYTE_ARRAY"},
    ),
)
BOMBS["differences"] = (
    "parquet",
    lambda: parquet(
        pa.table({"a": dictionary(2_000).cast(pa.string())}),
        store_schema=False,
        use_dictionary=False,
        column_encoding={"a": "DELTA_BYTE_ARRAY"},
    ),
)
MEASURE = """
import sys
from pathlib import Path
import pyarrow.parquet
from collector.errors import BodyTooLarge
from collector.formats.bounded_memory import SLACK
from collector.formats.bounds import Bounds
from collector.formats.frames import check_body

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

body = Path(sys.argv[2]).read_bytes()
before = peak()
try:
    check_body(sys.argv[1], body, Bounds(int(sys.argv[3])))
except BodyTooLarge:
    print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_twice_the_limits_memory(tmp_path, name):
    format_, write = BOMBS[name]
    limit = 100_000_000
    (tmp_path / "bomb").write_bytes(write())
    assert (tmp_path / "bomb").stat().st_size < limit / 10
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, format_, str(tmp_path / "bomb"), str(limit)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert int(done.stdout) < 2 * limit + SLACK


CHANGE = """
import io, random, sys
import pyarrow as pa, pyarrow.parquet as pq
from collector.errors import BadBody, BodyTooLarge
from collector.formats.bounded_memory import SLACK
from collector.formats.bounds import Bounds
from collector.formats.frames import check_frame

table = pa.table({
    "text": ["x", "y" * 20, None],
    "list": [["a"], None, ["b", "c"]],
    "struct": [{"x": "q", "y": 1}] * 3,
    "category": pa.array(["x", "y", "x"]).dictionary_encode(),
    "map": pa.array([[("k", "v")]] * 3, pa.map_("string", "string")),
})
sound = io.BytesIO()
if sys.argv[1] == "parquet":
    pq.write_table(table, sound)
else:
    with pa.ipc.new_stream(sound, table.schema) as writer:
        writer.write_table(table)
chance = random.Random(1)
refused = 0
for _ in range(1500):
    body = bytearray(sound.getvalue())
    for _ in range(chance.randint(1, 4)):
        body[chance.randrange(len(body))] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])
    try:
        check_frame(sys.argv[1], bytes(body), Bounds(1e6, 1000, 100))
    except (BadBody, BodyTooLarge):
        refused += 1
print(refused)
"""


@pytest.mark.parametrize("format_", WRITERS)
def test_no_changed_bytes_end_the_process(format_):
    """Arrow ends it, by abort or segmentation fault, where it is asked about what it hasn't validated."""
    done = subprocess.run(
        [sys.executable, "-c", CHANGE, format_],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 500
