"""Windows of event time: which window each row belongs to, decided once, when its part is made.

A row belongs to the window that its time lies in. One whose window is closed is late, and goes to the first that is
open; one without a time, or with a time after tomorrow, goes by its arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Windows:
    """How rows are given to windows: by a column's times, of how many seconds, in which zone, and which are open."""

    column: str
    seconds: int
    timezone: str
    open_from: float


@dataclass(frozen=True, slots=True)
class Share:
    """The rows of one window, which begins at ``start``, and how many of them are late."""

    start: int
    late: int
    table: pa.Table


def shares_of(table: pa.Table, came: Sequence[tuple[float, int]], windows: Windows) -> Iterator[Share]:
    """Part a table by window; ``came`` says when its rows came, and how many of them did then."""
    import numpy as np

    from collector.config.periods import Periods  # imported only for parts with windows

    arrived = np.repeat([at for at, _ in came], [rows for _, rows in came])
    if len(arrived) != table.num_rows:  # an old frame had a wrong count
        arrived = np.full(table.num_rows, min(at for at, _ in came))
    moments = _moments(table, arrived, windows.column)
    periods = Periods(windows.seconds, windows.timezone)
    first, _ = periods.window_of(windows.open_from)
    for (start, _), rows in periods.parted(np.maximum(moments, first)):
        taken = table if len(rows) == table.num_rows else table.take(rows)
        yield Share(start, int((moments[rows] < first).sum()), taken)


def _moments(table: pa.Table, arrived: Any, column: str) -> Any:
    """Return when each row happened, in Unix seconds."""
    import numpy as np

    from collector.formats.event_times import MICROSECONDS, moments_of

    if column not in table.column_names:
        return arrived
    told = moments_of(table.schema.field(column), table.column(column), arrived.max() + _DAY)
    seconds = np.asarray(told.fill_null(0)) / MICROSECONDS
    is_told = np.asarray(told.is_valid()) & (seconds <= arrived + _DAY)
    return np.where(is_told, seconds, arrived)
