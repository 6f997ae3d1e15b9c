"""Triggers: when a batch is due."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from collector.config.durations import Duration
from collector.config.periods import Periods, check_period, check_zone
from collector.config.value import TRIGGER_ALIAS, Value
from collector.wording import did_you_mean

# With a shorter interval, a collector would keep the daemon busy with nothing but looking for rows.
MIN_INTERVAL = 0.1
MIN_PERIOD = 60
Zone = Annotated[str, AfterValidator(check_zone)]


def _whole(value: object) -> object:
    # The original took 2.7e6 and "7" for a count, and cut off fractions. Files and clients may rely on it.
    return int(value) if isinstance(value, float) and abs(value) < 2**63 else value


class _Typed(Value):
    @model_validator(mode="before")
    @classmethod
    def _own_type(cls, data: object) -> object:
        if not isinstance(data, dict) or "type" not in data:
            return data
        return {**data, "type": alias_of(data["type"])}


class IntervalTrigger(_Typed):
    """A batch is due every ``interval`` seconds; the first, one interval after the start."""

    type: Literal["evidently:collector_trigger:IntervalTrigger"] = "evidently:collector_trigger:IntervalTrigger"
    interval: float = Field(ge=MIN_INTERVAL, description="Seconds between two snapshots.")
    last_triggered: float = Field(default=0, description="Unused; the original collector kept its clock here.")
    rows: ClassVar[None] = None

    def next_time(self, last: float) -> float | None:
        """Return the Unix time at which a batch is due, ``last`` being when one last was."""
        return last + self.interval


class RowsCountTrigger(_Typed):
    """A batch is due as soon as ``rows_count`` rows wait, whatever the number of requests that brought them."""

    type: Literal["evidently:collector_trigger:RowsCountTrigger"] = "evidently:collector_trigger:RowsCountTrigger"
    rows_count: Annotated[int, BeforeValidator(_whole)] = Field(default=1, gt=0, description="Rows in a batch.")

    @property
    def rows(self) -> int:
        """Rows that make a batch due."""
        return self.rows_count

    def next_time(self, last: float) -> None:
        """Return no time: only rows count."""


class RowsCountOrIntervalTrigger(_Typed):
    """A batch is due at ``rows_count`` rows, or ``interval`` seconds after the batch before it, whichever is first."""

    type: Literal["evidently:collector_trigger:RowsCountOrIntervalTrigger"] = (
        "evidently:collector_trigger:RowsCountOrIntervalTrigger"
    )
    rows_count_trigger: RowsCountTrigger = Field(description="After how many rows a batch is due.")
    interval_trigger: IntervalTrigger = Field(description="After how many seconds a batch is due.")

    @property
    def rows(self) -> int:
        """Rows that make a batch due."""
        return self.rows_count_trigger.rows

    def next_time(self, last: float) -> float | None:
        """Return the Unix time at which a batch is due, ``last`` being when one last was."""
        return self.interval_trigger.next_time(last)


class CronTrigger(_Typed):
    """A batch is due at the times of a cron line.

    When clocks are set back, a time that comes twice fires once; when they are set forward, a time that is skipped
    fires at the first moment after the gap (cronsim, which follows Debian's cron).
    """

    type: Literal["evidently:collector_trigger:CronTrigger"] = "evidently:collector_trigger:CronTrigger"
    schedule: str = Field(description="Five fields, as in crontab(5): minute hour day-of-month month day-of-week.")
    timezone: Zone = Field(default="UTC", description="The IANA time zone that the schedule is written in.")
    rows: ClassVar[None] = None

    @field_validator("schedule")
    @classmethod
    def _fires_some_day(cls, line: str) -> str:
        if len(line.split()) != 5:
            raise ValueError(
                f"'{line}' has {len(line.split())} fields where a cron line has five, as in '*/15 * * * *'"
            )
        try:
            next(CronSim(line, datetime.now(UTC)))
        except CronSimError as error:
            raise ValueError(f"'{line}' isn't a cron line: {error}; write it as in '*/15 * * * *'") from error
        except StopIteration as error:
            raise ValueError(
                f"'{line}' never comes due, as there is no such date; write it as in '*/15 * * * *'"
            ) from error
        return line

    def next_time(self, last: float) -> float | None:
        """Return the Unix time of the first moment of the schedule after ``last``."""
        times = CronSim(self.schedule, datetime.fromtimestamp(last, ZoneInfo(self.timezone)))
        # In the hour that comes twice, cronsim starts again from its first occurrence.
        return next(time.timestamp() for time in times if time.timestamp() > last)


class EventTimeTrigger(_Typed):
    """A batch is of a window of event time, and is due when the clock has passed its end by ``lateness``.

    Rows of later windows wait for theirs. One that comes after its window was closed goes to the next, and is counted.
    """

    type: Literal["evidently:collector_trigger:EventTimeTrigger"] = "evidently:collector_trigger:EventTimeTrigger"
    period: Duration = Field(description="The length of a batch's window: 1d, 7d (from Monday), 1h, 15m.")
    lateness: Duration = Field(default=0, description="How long a window waits for late rows after its end.")
    timezone: Zone = Field(default="UTC", description="The IANA time zone whose days and hours are meant.")
    rows: ClassVar[None] = None

    @field_validator("period")
    @classmethod
    def _parts_days(cls, seconds: float) -> float:
        if seconds < MIN_PERIOD:
            raise ValueError("is too short; windows have a minute at least")
        return check_period(seconds)

    @property
    def periods(self) -> Periods:
        """The windows."""
        return Periods(int(self.period), self.timezone)

    def next_time(self, last: float) -> float:
        """Return the Unix time at which the window of a moment is closed."""
        return self.periods.window_of(last)[1] + self.lateness


_TRIGGERS = (IntervalTrigger, RowsCountTrigger, RowsCountOrIntervalTrigger, CronTrigger, EventTimeTrigger)
# All names that a trigger's type may have: its bare name, its alias, and the original's class paths.
SPELLINGS = {
    trigger.__name__: [
        before + trigger.__name__
        for before in ("", TRIGGER_ALIAS, "evidently.collector.config.", "evidently.legacy.collector.config.")
    ]
    for trigger in _TRIGGERS
}


def alias_of(name: object) -> str:
    """Return the alias of a trigger's type, whichever way it is spelt."""
    for bare, spellings in SPELLINGS.items():
        if name in spellings:
            return TRIGGER_ALIAS + bare
    bare = str(name).rpartition(":")[2].rpartition(".")[2]
    raise ValueError(f"unknown trigger '{name}'; {did_you_mean(bare, SPELLINGS)}")


def _known_type(value: object) -> object:
    if not isinstance(value, dict):
        return value
    if "type" not in value:
        raise ValueError(f"needs a 'type': one of {', '.join(SPELLINGS)}")
    return {**value, "type": alias_of(value["type"])}


Trigger = Annotated[
    IntervalTrigger | RowsCountTrigger | RowsCountOrIntervalTrigger | CronTrigger | EventTimeTrigger,
    Field(discriminator="type"),
    BeforeValidator(_known_type),
]
