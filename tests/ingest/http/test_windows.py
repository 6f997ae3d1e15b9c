"""Windows of whole batches as queries name them."""

from datetime import UTC, datetime

import pytest

from collector.errors import BadBody
from collector.ingest.http.windows import Asked, read_query

NOW = datetime(2026, 3, 10, tzinfo=UTC).timestamp()
START, END = (datetime(2026, 3, day, tzinfo=UTC).timestamp() for day in (1, 2))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-01", "2026-03-02"),
        ("2026-03-01T00:00:00", "2026-03-02T00:00"),
        ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00.000Z"),
        ("2026-03-01T01:00:00+01:00", "2026-03-01T19:00:00-05:00"),
        ("2026-03-01T01:00:00 01:00", "2026-03-02 00:00"),
        ("20260301T000000Z", "20260302"),
    ],
)
def test_times_are_iso_8601_and_utc_without_a_zone(start, end):
    assert read_query({"start": start, "end": end}, NOW) == Asked(START, END)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"end": "2026-03-02"}, "'start' is missing; write ?start=2026-03-01T00:00:00Z"),
        ({"start": "2026-03-01"}, "'end' is missing"),
        ({"start": "yesterday", "end": "2026-03-02"}, "'start' isn't a time in ISO 8601; write 2026-03-01"),
        ({"start": "1772323200", "end": "2026-03-02"}, "'start' isn't a time in ISO 8601"),
        ({"start": "2026-03-02", "end": "2026-03-02"}, "must come after 'start'"),
        ({"start": "0001-01-01T00:00+23:00", "end": "2026-03-02"}, "lies between 1970 and tomorrow"),
        ({"start": "2026-03-01", "end": "2026-03-11T00:00:01"}, "lies between 1970 and tomorrow"),
        ({"start": "2026-03-01", "end": "2026-03-02", "backfill": "maybe"}, "'backfill' is true or false"),
    ],
)
def test_what_can_be_no_window_is_refused_with_what_to_write(query, told):
    with pytest.raises(BadBody) as refused:
        read_query(query, NOW)
    assert told in str(refused.value)


@pytest.mark.parametrize(("text", "is_set"), [("true", True), ("", True), ("1", True), ("FALSE", False), ("0", False)])
def test_how_a_batch_is_to_be_taken_is_said_by_yes_and_no(text, is_set):
    asked = read_query({"start": "2026-03-01", "end": "2026-03-02", "backfill": text, "replace": text}, NOW)
    assert (asked.is_backfill, asked.is_replacement) == (is_set, is_set)
