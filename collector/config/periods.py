"""Periods: windows of one length that follow each other, by the calendar of a time zone.

A period of whole days begins at midnight, one of seven days on a Monday; a day of 23 or 25 hours is one day. Shorter
ones part the day evenly: those of more than an hour by the wall clock, others by the time that passes. So in the hour
that comes twice, an hour is an hour.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:  # the daemon never imports numpy
    import numpy as np
    from numpy.typing import NDArray

DAY = 86_400
_HOUR = 3_600
# Days are counted from a Monday, so that seven of them are a week of the calendar.
_MONDAY = date(1970, 1, 5).toordinal()


def check_period(seconds: float) -> int:
    """Return the seconds of a period, or raise ValueError saying why they are none."""
    is_even = seconds >= 1 and seconds == int(seconds) and (seconds % DAY == 0 or DAY % seconds == 0)
    if not is_even:
        raise ValueError(
            "isn't a period; write whole days, or a length that divides a day, as in 15m, 1h, 6h, 1d or 7d"
        )
    return int(seconds)


def check_zone(name: str) -> str:
    """Return the name of a time zone, or raise ValueError if there is none."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"no time zone '{name}'; write one as in Europe/Berlin") from error
    return name


@dataclass(frozen=True)
class Periods:
    """All windows of ``seconds`` in a zone; times are Unix seconds."""

    seconds: int
    timezone: str = "UTC"

    def window_of(self, moment: float) -> tuple[int, int]:
        """Return start and end of the window that a moment lies in; the end is the start of the next."""
        day = datetime.fromtimestamp(moment, _zone(self.timezone)).date().toordinal()
        if self.seconds % DAY == 0:
            days = self.seconds // DAY
            first = day - (day - _MONDAY) % days
            return self._midnight(first), self._midnight(first + days)
        if self.seconds <= _HOUR:
            midnight = self._midnight(day)
            start = midnight + int((moment - midnight) // self.seconds) * self.seconds
            return start, min(start + self.seconds, self._midnight(day + 1))
        starts = [*_starts_in(self.seconds, self.timezone, day), self._midnight(day + 1)]
        number = bisect_right(starts, moment)
        return starts[number - 1], starts[number]

    def parted(self, moments: NDArray[np.float64]) -> Iterator[tuple[tuple[int, int], NDArray[np.int64]]]:
        """Yield each window that some of these moments lie in, in their order, and which of them do.

        Not each window between the first and the last: they may be years apart.
        """
        order = moments.argsort(kind="stable")
        moments, begin = moments[order], 0
        while begin < len(moments):
            window = self.window_of(moments[begin])
            end = max(int(moments.searchsorted(window[1])), begin + 1)
            rows = order[begin:end]
            rows.sort()
            yield window, rows
            begin = end

    def _midnight(self, day: int) -> int:
        return _moment(self.timezone, day, 0)


@lru_cache(64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(4096)
def _moment(timezone: str, day: int, seconds: int) -> int:
    """Return when the wall clock first shows this many seconds after midnight, in Unix seconds."""
    hours, rest = divmod(seconds, _HOUR)
    shown = time(hours, *divmod(rest, 60), tzinfo=_zone(timezone))
    return int(datetime.combine(date.fromordinal(day), shown).timestamp())


@lru_cache(64)
def _starts_in(seconds: int, timezone: str, day: int) -> tuple[int, ...]:
    """Return when the windows of a day begin. A time that the wall clock skips counts as the first after the gap."""
    start, end = _moment(timezone, day, 0), _moment(timezone, day + 1, 0)
    shown = {_moment(timezone, day, number) for number in range(0, DAY, seconds)}
    return tuple(sorted(moment for moment in shown if start <= moment < end))
