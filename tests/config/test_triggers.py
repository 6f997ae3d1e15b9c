import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from collector.config import (
    CronTrigger,
    EventTimeTrigger,
    IntervalTrigger,
    RowsCountOrIntervalTrigger,
    RowsCountTrigger,
    Trigger,
)
from collector.errors import ConfigError

BERLIN = "Europe/Berlin"
ALIAS = "evidently:collector_trigger:"


def _unix(text, fold=0, zone=BERLIN):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def _shown(seconds, zone=BERLIN):
    return datetime.fromtimestamp(seconds, ZoneInfo(zone)).isoformat()


def _problem(kind, data):
    with pytest.raises(ConfigError) as caught:
        kind.parse(data)
    return str(caught.value)


def test_an_interval_is_due_one_interval_after_the_last():
    assert IntervalTrigger(interval=60).next_time(1000.5) == 1060.5
    assert IntervalTrigger(interval=60).rows is None


def test_a_rows_trigger_has_rows_and_no_time():
    trigger = RowsCountTrigger(rows_count=5)
    assert (trigger.rows, trigger.next_time(1000)) == (5, None)
    assert RowsCountTrigger().rows == 1  # the original's default


def test_a_window_of_event_time_is_due_when_its_end_and_its_lateness_have_passed():
    trigger = EventTimeTrigger(period="1d", lateness="2h", timezone=BERLIN)
    assert _shown(trigger.next_time(_unix("2024-03-31T00:00"))) == "2024-04-01T02:00:00+02:00"
    assert (trigger.rows, trigger.period, EventTimeTrigger(period=3600).lateness) == (None, 86_400, 0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"period": "7h"}, "period: isn't a period; write whole days"),
        ({"period": 30}, "period: is too short; windows have a minute at least"),
        ({"period": "1 day"}, "period: isn't a duration"),
        ({"period": "1d", "lateness": -1}, "lateness: must be greater than or equal to 0"),
        ({"period": "1d", "timezone": "Mars"}, "timezone: no time zone 'Mars'"),
        ({}, "period: field required"),
    ],
)
def test_what_can_be_no_window_of_event_time_is_told(fields, said):
    assert said in _problem(EventTimeTrigger, fields)


def test_rows_or_interval_has_both():
    trigger = RowsCountOrIntervalTrigger(
        rows_count_trigger=RowsCountTrigger(rows_count=5), interval_trigger=IntervalTrigger(interval=60)
    )
    assert (trigger.rows, trigger.next_time(1000)) == (5, 1060)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("IntervalTrigger", {"interval": 1}),
        ("RowsCountTrigger", {"rows_count": 1}),
        ("RowsCountOrIntervalTrigger", {"rows_count_trigger": {"rows_count": 1}, "interval_trigger": {"interval": 1}}),
        ("CronTrigger", {"schedule": "0 * * * *"}),
        ("EventTimeTrigger", {"period": "1d"}),
    ],
)
@pytest.mark.parametrize("prefix", [ALIAS, "", "evidently.collector.config.", "evidently.legacy.collector.config."])
def test_a_trigger_is_named_by_alias_bare_name_or_class_path(prefix, name, fields):
    trigger = TypeAdapter(Trigger).validate_python({"type": prefix + name, **fields})
    assert (type(trigger).__name__, trigger.type) == (name, ALIAS + name)


def test_the_parts_of_a_trigger_are_named_in_all_ways_too():
    trigger = RowsCountOrIntervalTrigger.parse(
        {
            "rows_count_trigger": {"type": "RowsCountTrigger", "rows_count": 5},
            "interval_trigger": {"type": "evidently.collector.config.IntervalTrigger", "interval": 7},
        }
    )
    assert (trigger.rows, trigger.next_time(0)) == (5, 7)


@pytest.mark.parametrize(("given_count", "count"), [("7", 7), (2.7e6, 2_700_000), (2.9, 2), (True, 1), (10**9, 10**9)])
def test_counts_are_taken_as_the_original_took_them(given_count, count):
    assert RowsCountTrigger.parse({"rows_count": given_count}).rows == count


@pytest.mark.parametrize("count", [0, -1, 0.5, "abc", None, float("nan"), float("inf"), 2.0**70, []])
def test_what_is_no_count_is_refused_with_its_path(count):
    assert _problem(RowsCountTrigger, {"rows_count": count}).startswith("rows_count: ")


@pytest.mark.parametrize("interval", [0, -1, float("nan"), "soon", None])
def test_what_is_no_interval_is_refused_with_its_path(interval):
    assert _problem(IntervalTrigger, {"interval": interval}).startswith("interval: ")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("* * * *", "has 4 fields"),
        ("* * * * * *", "has 6 fields"),
        ("@daily", "has 1 fields"),
        ("", "has 0 fields"),
        ("61 * * * *", "Bad minute"),
        ("0 0 31 2 *", "isn't a cron line"),
        ("0 0 * * nobody", "isn't a cron line"),
    ],
)
def test_a_bad_cron_line_is_refused_with_what_is_wrong_and_a_good_one(line, told):
    message = _problem(CronTrigger, {"schedule": line})
    assert message.startswith("schedule: ")
    assert told in message
    assert "'*/15 * * * *'" in message


@pytest.mark.parametrize("zone", ["Mars", "", "../etc/passwd", "/etc/passwd", "\0", "x" * 300])
def test_a_bad_zone_is_refused(zone):
    assert _problem(CronTrigger, {"schedule": "0 * * * *", "timezone": zone}).startswith("timezone: no time zone")


@pytest.mark.parametrize(
    ("line", "last", "following"),
    [
        ("*/15 * * * *", "2026-06-01T10:00:00", "2026-06-01T10:15:00+02:00"),
        ("*/15 * * * *", "2026-06-01T10:14:59", "2026-06-01T10:15:00+02:00"),
        ("0 9 * * MON-FRI", "2026-06-05T09:00:00", "2026-06-08T09:00:00+02:00"),  # a Friday
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00+01:00"),
        # Clocks go from 02:00 to 03:00 on 2026-03-29.
        ("30 2 * * *", "2026-03-28T12:00:00", "2026-03-29T03:00:00+02:00"),
        ("30 2 * * *", "2026-03-29T03:00:00", "2026-03-30T02:30:00+02:00"),
        ("*/30 * * * *", "2026-03-29T01:30:00", "2026-03-29T03:00:00+02:00"),
        # And from 03:00 to 02:00 on 2026-10-25.
        ("30 2 * * *", "2026-10-25T00:00:00", "2026-10-25T02:30:00+02:00"),
        ("30 2 * * *", "2026-10-25T02:30:00", "2026-10-26T02:30:00+01:00"),
        ("*/30 * * * *", "2026-10-25T02:30:00", "2026-10-25T02:00:00+01:00"),
        ("0 3 * * *", "2026-10-25T00:00:00", "2026-10-25T03:00:00+01:00"),
    ],
)
def test_cron_fires_at_the_clock_of_its_zone_summer_and_winter(line, last, following):
    assert _shown(CronTrigger(schedule=line, timezone=BERLIN).next_time(_unix(last))) == following


def test_cron_is_in_utc_unless_said_otherwise():
    assert _shown(CronTrigger(schedule="0 12 * * *").next_time(0), "UTC") == "1970-01-01T12:00:00+00:00"


@pytest.mark.parametrize("line", ["*/15 * * * *", "30 2 * * *", "0 2,3 * * *", "0 * * * *", "59 1 25 10 *"])
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_the_next_time_comes_after_the_last_even_in_the_hour_that_comes_twice(line, day):
    """A time in the past would be due at once: a batch that the schedule doesn't know."""
    trigger = CronTrigger(schedule=line, timezone=BERLIN)
    start = int(_unix(f"{day}T00:00:00"))
    late = [
        _shown(seconds) for seconds in range(start, start + 5 * 3600, 5 * 60) if trigger.next_time(seconds) <= seconds
    ]
    assert late == []


@pytest.mark.parametrize("interval", [0, -1, 1e-300, 0.09, "1e-9", float("nan"), 10**400])
def test_an_interval_that_would_never_rest_is_refused(interval):
    assert "interval: must be" in _problem(IntervalTrigger, {"interval": interval})


@pytest.mark.parametrize("interval", [0.1, 1e308, float("inf")])
def test_an_interval_may_be_as_long_as_one_likes(interval):
    assert IntervalTrigger.parse({"interval": interval}).next_time(1000) >= 1000.1


@pytest.mark.parametrize(
    "line",
    [
        "* * * * * *",
        "@daily",
        "",
        "0 0 31 2 *",
        "0 0 29 2 0#6",
        "*/0 * * * *",
        "60 * * * *",
        "\0 * * * *",
        "\u0663 * * * *",
        "1," * 5000 + " * * * *",
        "9" * 10_000 + " * * * *",
        "0-" + "9" * 5000 + " * * * *",
    ],
    ids=lambda line: repr(line[:20]),
)
def test_an_absurd_cron_line_is_refused_at_once(line):
    started = time.thread_time()
    assert "schedule" in _problem(CronTrigger, {"schedule": line})
    assert time.thread_time() - started < 1  # second of a processor; it takes milliseconds


@pytest.mark.parametrize(
    "line", ["0 0 29 2 *", ",".join(["1"] * 5000) + " * * * *", "0 0 29 2 0#5", "0-59/99999 * * * *"]
)
def test_an_odd_cron_line_that_comes_some_day_is_taken_at_once(line):
    started = time.thread_time()
    assert CronTrigger.parse({"schedule": line}).next_time(0) > 0
    assert time.thread_time() - started < 1


@pytest.mark.parametrize("zone", ["../../etc/passwd", "/etc/passwd", "\0", "", ".", "UTC/../UTC", "x" * 10_000])
def test_a_zone_is_no_path(zone):
    assert "no time zone" in _problem(CronTrigger, {"schedule": "* * * * *", "timezone": zone})
