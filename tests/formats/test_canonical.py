"""Canonical texts of keys: which values are the same key, and which are none."""

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest

from collector.formats.canonical import canonical_texts
from collector.formats.frames import decode_frames

ID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
NOON = datetime(2024, 5, 1, 12, 0, 0, 500_000)  # noqa: DTZ001  (of no zone)


def texts(values):
    return [
        None if text is None else text.decode()
        for text in canonical_texts(pa.field("id", values.type), values).to_pylist()
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, -7, None]), ["1", "-7", None]),
        (
            pa.array([1.0, -0.0, 1.5, float("nan"), 2.0**53, float("inf"), None]),
            ["1", "0", "1.5", None, None, None, None],
        ),
        (pa.array(["1", "1.0", "007", "1.50", "", "x", None]), ["1", "1", "007", "1.50", None, "x", None]),
        (pa.array([ID.upper(), "ABC"]), [ID, "ABC"]),
        (pa.array([Decimal("1.50"), Decimal("2.00"), Decimal("100.00")]), ["1.5", "2", "100"]),
        (pa.array([b"abc", b""]), ["abc", None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([1, 2, 1]).dictionary_encode(), ["1", "2", "1"]),
        (pa.array(["a"], pa.string_view()), ["a"]),
        (pa.array([uuid.UUID(ID).bytes], pa.uuid()), [ID]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([date(2024, 5, 1)]), ["2024-05-01"]),
        (pa.array([[1]]), [None]),
        (pa.array([{"a": 1}]), [None]),
        (pa.array([None]), [None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "as",
)
def test_the_text_of_each_type(values, expected):
    assert texts(values) == expected


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_of_any_unit_and_zone_are_one(unit):
    assert texts(pa.array([NOON], pa.timestamp(unit))) == ["2024-05-01T12:00:00.5"]
    here = NOON.replace(tzinfo=timezone(timedelta(hours=2)))
    assert texts(pa.array([here], pa.timestamp(unit, "+02:00"))) == ["2024-05-01T10:00:00.5Z"]
    whole = pa.array([NOON.replace(microsecond=0, tzinfo=UTC)], pa.timestamp(unit, "UTC"))
    assert texts(whole) == texts(whole.cast(pa.timestamp("s", "UTC"))) == ["2024-05-01T12:00:00Z"]


def test_a_column_that_came_in_several_types_is_one_of_texts():
    table = decode_frames([("json", b'{"id": [1, "b"]}'), ("csv", b"id\n007\n1\n"), ("json", b'{"id": [2.5]}')])
    column = table.column("id").combine_chunks()
    found = canonical_texts(
        table.schema.field("id"), column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    )
    assert found.to_pylist() == [b"1", b"b", b"007", b"1", b"2.5"]
