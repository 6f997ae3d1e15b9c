import pytest
from pydantic import TypeAdapter

from collector.commands.triggers import trigger_of
from collector.config import CronTrigger, IntervalTrigger, RowsCountOrIntervalTrigger, RowsCountTrigger, Trigger
from collector.errors import CommandError

ROWS, HOUR = RowsCountTrigger(rows_count=500), IntervalTrigger(interval=3600)


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("rows:500", ROWS),
        (" rows:1_000 ", RowsCountTrigger(rows_count=1000)),
        ("every:1h", HOUR),
        ("every:1.5m", IntervalTrigger(interval=90)),
        ("every:30s", IntervalTrigger(interval=30)),
        ("every:2d", IntervalTrigger(interval=172800)),
        ("rows:500,every:1h", RowsCountOrIntervalTrigger(rows_count_trigger=ROWS, interval_trigger=HOUR)),
        ("every:1h, rows:500", RowsCountOrIntervalTrigger(rows_count_trigger=ROWS, interval_trigger=HOUR)),
        ("cron:0 9 * * 1,2", CronTrigger(schedule="0 9 * * 1,2")),
        ("cron: */15 * * * * Europe/Berlin", CronTrigger(schedule="*/15 * * * *", timezone="Europe/Berlin")),
        ("cron:0 9 * * MON UTC", CronTrigger(schedule="0 9 * * MON", timezone="UTC")),
    ],
)
def test_a_trigger_of_the_command_line_is_one_of_the_config(text, trigger):
    assert TypeAdapter(Trigger).validate_python(trigger_of(text)) == trigger


@pytest.mark.parametrize(
    "text", ["", "500", "rows:", "rows:-1", "every:1", "every:1w", "rows:1,rows:2", "cron:* *", "rows:1,x"]
)
def test_what_is_none_is_refused_with_an_example(text):
    with pytest.raises(CommandError, match="isn't a trigger") as caught:
        trigger_of(text)
    assert "rows:500 or every:1h" in caught.value.hint
