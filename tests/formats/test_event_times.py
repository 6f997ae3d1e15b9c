"""When events happened, whichever way a column spells it."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from collector.formats.apart import append
from collector.formats.event_times import MICROSECONDS, moments_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())
TOMORROW = SECONDS + 86_400
MOMENT = SECONDS * MICROSECONDS
COLUMNS = {
    "naive timestamps in seconds": (pa.array([SECONDS], pa.timestamp("s")), MOMENT),
    "naive timestamps in nanoseconds": (pa.array([MOMENT * 1000 + 999], pa.timestamp("ns")), MOMENT),
    "timestamps with a zone": (pa.array([MOMENT], pa.timestamp("us", "Europe/Berlin")), MOMENT),
    "dates": (pa.array([date(2026, 3, 1)]), MOMENT - 43_200 * MICROSECONDS),
    "dates in milliseconds": (pa.array([date(2026, 3, 1)], pa.date64()), MOMENT - 43_200 * MICROSECONDS),
    "text with a zone": (pa.array(["2026-03-01T13:00:00+01:00"]), MOMENT),
    "text without a zone": (pa.array([" 2026-03-01 12:00 "]), MOMENT),
    "text of a fraction": (pa.array(["2026-03-01T12:00:00.25Z"], pa.large_string()), MOMENT + 250_000),
    "text of a number": (pa.array([str(SECONDS)]), MOMENT),
    "categories": (pa.array(["2026-03-01T12:00:00Z"]).dictionary_encode(), MOMENT),
    "whole seconds": (pa.array([SECONDS], pa.uint32()), MOMENT),
    "seconds with a fraction": (pa.array([SECONDS + 0.25]), MOMENT + 250_000),
    "milliseconds": (pa.array([SECONDS * 1000]), MOMENT),
    "milliseconds as floats": (pa.array([SECONDS * 1000.0]), MOMENT),
    "microseconds": (pa.array([MOMENT], pa.uint64()), MOMENT),
    "nanoseconds": (pa.array([MOMENT * 1000]), MOMENT),
    "decimals": (pa.array([Decimal(SECONDS)]), MOMENT),
}
NO_MOMENTS = {
    "nothing": pa.nulls(1),
    "a missing time": pa.array([None], pa.timestamp("us")),
    "0": pa.array([0]),
    "a negative number": pa.array([-1]),
    "a number that is large": pa.array([2**64 - 1], pa.uint64()),
    "NaN": pa.array([float("nan")]),
    "infinity": pa.array([float("inf")]),
    "a number between two units": pa.array([SECONDS * 20]),
    "1900": pa.array([date(1900, 1, 1)]),
    "the year 9999": pa.array(["9999-12-31T23:59:59Z"]),
    "the last second of all": pa.array([2**63 - 1], pa.timestamp("s")),
    "beyond tomorrow": pa.array([TOMORROW + 1], pa.timestamp("s")),
    "a word": pa.array(["yesterday"]),
    "a day that isn't there": pa.array(["2026-02-30"]),
    "true": pa.array([True]),
    "a list": pa.array([[SECONDS]]),
    "a duration": pa.array([SECONDS], pa.duration("s")),
}


def moments(*arrays: pa.Array) -> list[int | None]:
    table = append(pa.table({"ts": array}) for array in arrays)
    found: list[int | None] = moments_of(table.schema.field("ts"), table.column("ts"), TOMORROW).to_pylist()
    return found


@pytest.mark.parametrize("name", COLUMNS)
def test_a_moment_is_read_from_each_kind_of_column(name):
    array, moment = COLUMNS[name]
    assert moments(array) == [moment]


@pytest.mark.parametrize("name", NO_MOMENTS)
def test_what_is_no_moment_is_none(name):
    assert moments(NO_MOMENTS[name]) == [None]


def test_values_of_one_column_are_told_apart_one_by_one():
    """A column of numbers may hold a placeholder, one of text may hold numbers."""
    assert moments(pa.array([SECONDS, 0, SECONDS * 1000, None])) == [MOMENT, None, MOMENT, None]
    assert moments(pa.array(["2026-03-01T12:00Z", "?", str(SECONDS), None])) == [MOMENT, None, MOMENT, None]


def test_a_column_that_keeps_several_types_has_the_moments_of_all():
    arrays = (pa.array([SECONDS]), pa.array(["2026-03-01T12:00Z"]), pa.array([NOON]), pa.array([True]), pa.nulls(1))
    assert moments(*arrays) == [MOMENT, MOMENT, MOMENT, None, None]
