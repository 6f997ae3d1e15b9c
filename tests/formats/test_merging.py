"""Every pair of types, and any three, in one part or in several, in any order: the same table."""

import datetime as dt
import io
import json
from decimal import Decimal
from itertools import permutations, product

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.evaluation.part_files import read_parts, read_pieces
from collector.formats.apart import append
from collector.formats.frames import check_frame, decode_frames
from collector.formats.merging import Merging, merged_type
from collector.store.parts import write

FAR = 2**62  # in any unit but nanoseconds, a time that neither Python nor pandas can hold
NOON = dt.datetime(2026, 3, 1, 12)  # noqa: DTZ001  (naive is what is tried)


def _kinds():
    """Yield values of each Arrow type, and of the extremes of some."""
    yield from _numbers()
    yield from _texts()
    yield from _times()
    yield from _nested()


def _numbers():
    for kind in (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16(), pa.uint32(), pa.float16(), pa.float32()):
        yield str(kind), pa.array([1, None, 100], kind)
    yield "int64", pa.array([1, None, 2**60 + 1])
    yield "uint64", pa.array([1, None, 2**64 - 1], pa.uint64())
    yield "double", pa.array([1.0, None, 0.1])
    yield "infinite", pa.array([float("inf"), None, float("-inf")])
    yield "nan", pa.array([float("nan"), None, float("nan")])
    yield "no numbers", pa.nulls(3, pa.float64())
    yield "null", pa.nulls(3)
    yield "bool", pa.array([True, None, False])
    for width, make in ((9, pa.decimal32), (18, pa.decimal64), (38, pa.decimal128), (76, pa.decimal256)):
        yield f"decimal{width}", pa.array([Decimal("1.10"), None, Decimal(10)], make(width, 2))
    yield "long decimal", pa.array([Decimal(10**30 + 1), None, Decimal("-0.1")], pa.decimal128(38, 5))


def _texts():
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        yield str(kind), pa.array(["1", None, "x"], kind)
    yield "no text", pa.nulls(3, pa.string())
    for kind in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1)):
        yield str(kind), pa.array([b"\xff", None, b"a"], kind)


def _times():
    for kind in (pa.date32(), pa.date64()):
        yield str(kind), pa.array([NOON.date(), None, dt.date(9999, 12, 31)], kind)
    yield "far date", pa.array([2**30, None, -(2**30)], pa.date32())
    for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")):
        yield str(kind), pa.array([dt.time(8, 30), None, dt.time(0)], kind)
    for unit, zone in product(("s", "ms", "us", "ns"), (None, "UTC", "Europe/Berlin", "Mars/Olympus")):
        yield f"timestamp {unit} {zone}", pa.array([10**9, None, -(10**9)], pa.int64()).cast(pa.timestamp(unit, zone))
    yield "year 9999", pa.array([253402214400, None, -62135596800], pa.int64()).cast(pa.timestamp("s"))
    yield "far time", pa.array([FAR, None, -FAR], pa.int64()).cast(pa.timestamp("ms"))
    for unit in ("s", "ms", "us", "ns"):
        yield f"duration {unit}", pa.array([90, None, -1], pa.int64()).cast(pa.duration(unit))
    yield "far duration", pa.array([FAR, None, -FAR], pa.int64()).cast(pa.duration("s"))


def _nested():
    for values in (["1", None, "x"], [1, None, 2**60 + 1], [0.5, None, 2.0], [NOON, None, NOON], [True, None, False]):
        yield f"categories of {values}", pa.array(values).dictionary_encode()
    yield "small categories", pa.array(["x", None, "y"]).cast(pa.dictionary(pa.int8(), pa.string()))
    yield "ordered categories", pa.DictionaryArray.from_arrays([0, None, 1], ["y", "x"], ordered=True)
    yield "no categories", pa.DictionaryArray.from_arrays(pa.nulls(3, pa.int8()), pa.nulls(0))  # as pandas has them
    for values in ([[1], None, []], [["x"], None, [None]], [[], None, []], [[0.5], None, []], [[[1]], None, []]):
        yield f"list {values}", pa.array(values)
    yield "large list", pa.array([[1], None, []], pa.large_list(pa.int8()))
    yield "list of two", pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2))
    yield "list of views", pa.array([["x"], None, []], pa.list_(pa.string_view()))
    yield "struct", pa.array([{"a": 1}, None, {"a": None}])
    yield "other struct", pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}])
    yield "map", pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64()))


def _stream(column):
    sink = io.BytesIO()
    table = pa.table({"c": column, "beside": range(len(column))})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return "arrow", sink.getvalue()


JSON_KINDS = {
    "small": [1, None, 2],
    "large": [2**60 + 1, None, 2**63 - 1],
    "unsigned": [2**64 - 1, None, 2**63],
    "negative": [-1, None, -(2**63)],
    "floats": [1.0, None, 0.1],
    "numbers": [1, None, 0.1],
    "large numbers": [2**60 + 1, None, 0.1],
    "beyond": [10**30, None, 1],
    "NaN": [float("nan"), None, float("nan")],
    "booleans": [True, None, False],
    "text": ["1", None, "x"],
    "times": ["2026-03-01T00:00:00Z", None, "2026-03-01"],
    "nested": [[1, "x"], None, {"k": [None]}],
    "all": [1, 0.5, True, "x", [1], None, float("nan"), 2**64 - 1],
    "nothing": [None, None],
}
BODIES = {name: _stream(column) for name, column in _kinds()}
BODIES |= {
    f"json {name}": ("json", json.dumps([{"c": value, "beside": 0} for value in values]).encode())
    for name, values in JSON_KINDS.items()
}
BODIES["csv"] = ("csv", b'c,beside\n1,0\n,0\n"x",0\n')
BODIES["csv numbers"] = ("csv", b"c,beside\n1,0\n,0\n2,0\n")


TABLES = {name: decode_frames([body]) for name, body in BODIES.items()}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Read a batch of parts, each made of these frames; return its table, and what is said of its columns."""
    directory = tmp_path_factory.mktemp("parts")

    def read(*parts):
        paths = [directory / f"{number}.parquet" for number in range(len(parts))]
        for path, names in zip(paths, parts, strict=True):
            write(decode_frames(BODIES[name] for name in names), path)
        table, merging = read_parts(list(map(str, paths)))
        pieces, other = read_pieces(list(map(str, paths)))
        pieced = pa.concat_tables(pieces).unify_dictionaries()
        return _told(table, merging), _told(pieced, other)

    return read


def _merged(*parts):
    """Return what becomes of tables that are appended to each other in memory, as parts are."""
    tables = [append(TABLES[name] for name in names) for names in parts]
    merging = Merging(table.schema for table in tables)
    return _told(pa.concat_tables(map(merging.merge, tables)).unify_dictionaries(), merging)


def _told(table, merging):
    if merging.failed:  # it is left out
        return None, [], merging.notes, merging.failed
    return table.schema.field("c"), _values(table["c"]), merging.notes, merging.failed


def _values(column):
    """Return values that can be compared: NaN equals NaN, and times that Python can't hold are their counts."""
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int64() if column.type.bit_width == 64 else pa.int32())
    return list(map(repr, column.to_pylist()))


def _missing(values):
    return sum(value in {"None", "nan"} for value in values)


@pytest.mark.parametrize("name", BODIES)
def test_each_kind_is_accepted_and_alone_stays_what_it_is(name, read):
    format_, body = BODIES[name]
    assert check_frame(format_, body).rows == TABLES[name].num_rows
    whole, pieces = read([name])
    assert whole == pieces
    assert whole[1:] == _merged([name])[1:] or pa.types.is_temporal(TABLES[name]["c"].type)  # parquet has no seconds


@pytest.mark.parametrize("first", BODIES)
def test_any_two_types_give_the_same_column_in_one_part_and_in_two_and_in_either_order(first):
    for second in list(BODIES)[list(BODIES).index(first) :]:
        field, values, *said = together = _merged([first, second])
        assert _merged([first], [second]) == together, second
        rows = TABLES[first].num_rows
        turned = _merged([second, first])
        assert (turned[0], turned[2:]) == (field, tuple(said)), second
        assert sorted(turned[1]) == sorted(values)
        assert turned[1] == values[rows:] + values[:rows]
        alone = [_merged([name]) for name in (first, second)]
        if not any(failed for *_, failed in [together, *alone]):
            assert _missing(values) == sum(_missing(some) for _, some, *_ in alone), "a value is lost"


@pytest.mark.parametrize("name", ["far date", "far time", "far duration"])
def test_a_column_with_a_time_that_pandas_cannot_hold_fails_by_name_and_nothing_else_does(name, read):
    *_, notes, failed = read([name])[0]
    assert list(failed) == ["c"]
    assert notes == [f"Column 'c' failed and is left out: {failed['c']}."]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(sorted(BODIES)), min_size=2, max_size=5), st.data())
def test_any_types_give_the_same_table_wherever_a_part_ends(read, names, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(names) - 1))))
    parts = [names[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    together, _ = read(names)
    assert read(*parts) == (together, together)


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(sorted(BODIES)), min_size=1, max_size=3), min_size=1, max_size=3))
def test_tables_that_were_appended_append_as_their_frames_do(groups):
    again = append(append(TABLES[name] for name in names) for names in groups)
    merging = Merging([again.schema])
    assert _told(merging.merge(again).unify_dictionaries(), merging) == _merged(
        [name for names in groups for name in names]
    )


@settings(deadline=None)
@given(st.lists(st.sampled_from([column.type for _, column in _kinds()]), min_size=1, max_size=4))
def test_the_type_of_several_is_one_and_their_order_does_not_matter(kinds):
    assert len({merged_type(some) for some in permutations(kinds)}) == 1
    assert merged_type([*kinds, *kinds]) == merged_type(kinds)
