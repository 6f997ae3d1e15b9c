"""Columns of every kind that a body may hold, by name: Arrow's types, the extremes of some, JSON's kinds and CSV."""

import datetime as dt
import io
import json
from decimal import Decimal
from itertools import product

import pyarrow as pa

FAR = 2**62  # in any unit but nanoseconds, a time that neither Python nor pandas can hold
NOON = dt.datetime(2026, 3, 1, 12)  # noqa: DTZ001  (naive is what is tried)


def arrow_columns():
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
BODIES = {name: _stream(column) for name, column in arrow_columns()}
BODIES |= {
    f"json {name}": ("json", json.dumps([{"c": value, "beside": 0} for value in values]).encode())
    for name, values in JSON_KINDS.items()
}
BODIES["csv"] = ("csv", b'c,beside\n1,0\n,0\n"x",0\n')
BODIES["csv numbers"] = ("csv", b"c,beside\n1,0\n,0\n2,0\n")
