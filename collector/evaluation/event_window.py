"""The window of a batch's events: from the first to the last time in their timestamp column."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow.compute as pc

from collector.evaluation.part_files import read_column
from collector.formats.event_times import MICROSECONDS, moments_of
from collector.workers.exchange import Job

_DAY = 86_400
_RANGE = "a time lies between 1980 and a day after the batch was sealed."


@dataclass(frozen=True)
class EventWindow:
    """The first and the last moment of the events, in Unix seconds, if any is told; and what is to be said of that."""

    bounds: tuple[float, float] | None
    notes: tuple[str, ...] = ()

    def of_job(self, job: Job) -> Job:
        """Return a job whose batch has this window, if there is one."""
        if self.bounds is None:
            return job
        opened, sealed = (datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds") for at in self.bounds)
        return {**job, "opened": opened, "sealed": sealed}


def find_window(job: Job) -> EventWindow:
    """Find the window of a job's events; raise Unreadable for parts that can't be read.

    What lies more than a day beyond the batch's own end is a mistake of a clock, and doesn't count.
    """
    column = job.get("timestamp_column")
    if column is None:
        return EventWindow(None)
    return _window_of(job["parts"], column, datetime.fromisoformat(job["sealed"]).timestamp() + _DAY)


def _window_of(parts: Sequence[str], name: str, latest: float) -> EventWindow:
    rows = told = 0
    first: list[int] = []
    last: list[int] = []
    for field, column in read_column(parts, name):
        rows += len(column)
        if field is None:
            continue
        moments = moments_of(field, column, latest)
        if len(moments) > moments.null_count:
            told += len(moments) - moments.null_count
            least, most = pc.min_max(moments).as_py().values()
            first.append(least)
            last.append(most)
    if not told:
        said = f"Column {name!r} of timestamp_column has no time in any row: the snapshot has the time of arrival."
        return EventWindow(None, (said,))
    lacking = f"Column {name!r} of timestamp_column has no time in {rows - told} of {rows} values; {_RANGE}"
    return EventWindow((min(first) / MICROSECONDS, max(last) / MICROSECONDS), (lacking,) if told < rows else ())
