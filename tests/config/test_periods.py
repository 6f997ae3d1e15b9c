"""Windows by the calendar of a zone; Berlin goes forward on 2026-03-29 at 02:00 and back on 2026-10-25 at 03:00."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from collector.config.periods import DAY, Periods, check_period, check_zone

BERLIN = "Europe/Berlin"
HOUR = 3600


def at(text: str, zone: str = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def of_day(periods: Periods, day: str) -> list[tuple[int, int]]:
    minutes = np.arange(at(f"{day}T00:00"), at(f"{day}T23:59"), 60.0)
    return [window for window, _ in periods.parted(minutes)]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_is_one_of_its_zone(day, hours):
    start, end = Periods(DAY, BERLIN).window_of(at(f"{day}T12:00"))
    assert (start, end - start) == (at(f"{day}T00:00"), hours * HOUR)


def test_seven_days_begin_on_a_monday():
    start, end = Periods(7 * DAY, BERLIN).window_of(at("2026-10-25T23:59"))
    assert (start, end) == (at("2026-10-19T00:00"), at("2026-10-26T00:00"))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_an_hour_is_an_hour_when_clocks_change(day, hours):
    windows = of_day(Periods(HOUR, BERLIN), day)
    assert len(windows) == hours
    assert {end - start for start, end in windows} == {HOUR}


def test_longer_periods_go_by_the_wall_clock():
    windows = of_day(Periods(6 * HOUR, BERLIN), "2026-10-25")
    assert [start for start, _ in windows] == [at(f"2026-10-25T{hour:02}:00") for hour in (0, 6, 12, 18)]
    assert [(end - start) // HOUR for start, end in windows] == [7, 6, 6, 6]


@pytest.mark.parametrize("seconds", [1, 900, HOUR, 2 * HOUR, 3 * HOUR, DAY, 3 * DAY, 7 * DAY])
@pytest.mark.parametrize("zone", ["UTC", BERLIN, "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_windows_follow_each_other_without_a_gap(zone, seconds):
    """In 2017 Sao Paulo went forward at midnight, and Lord Howe changes by half an hour."""
    for day in ("2017-10-14", "2017-10-15", "2017-04-02", "2017-10-01"):
        first = at(f"{day}T00:00", "UTC")
        step = max(seconds // 3, 1)
        last = min(first + 2 * DAY, first + 300 * step)
        before = None
        for moment in range(first, last, step):
            start, end = Periods(seconds, zone).window_of(moment)
            assert start <= moment < end
            assert before is None or (start, end) == before or start == before[1], (moment, before)
            before = start, end


def test_moments_are_parted_in_any_order_and_however_far_apart():
    periods, moments = Periods(HOUR), np.array([at(f"{year}-05-01T07:30", "UTC") for year in (2026, 1985, 2026)]) + 0.5
    parted = [(start, rows.tolist()) for (start, _), rows in periods.parted(moments)]
    assert parted == [(at("1985-05-01T07:00", "UTC"), [1]), (at("2026-05-01T07:00", "UTC"), [0, 2])]
    assert list(periods.parted(moments[:0])) == []


@pytest.mark.parametrize("seconds", [0, 0.5, 7, 7 * HOUR, DAY + HOUR, 1.5 * DAY, -DAY])
def test_what_parts_no_day_evenly_is_no_period(seconds):
    with pytest.raises(ValueError, match="isn't a period; write whole days"):
        check_period(seconds)


def test_a_zone_is_one_of_the_known_ones():
    assert check_zone(BERLIN) == BERLIN
    with pytest.raises(ValueError, match="no time zone 'Berlin'"):
        check_zone("Berlin")
