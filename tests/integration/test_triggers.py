"""When batches are sealed: by rows, by time, by both, by a cron line, and by hand."""

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from .conftest import BY_TALLY, collector_config, interval_trigger, rows_trigger, service_config


def test_one_post_of_50_rows_with_rows_count_5_makes_one_snapshot_of_50(daemon, iris):
    daemon.create("fifty", trigger=rows_trigger(5))
    daemon.client.send_data("fifty", iris.head(50))
    daemon.wait_for_snapshots("fifty", 1)
    assert daemon.rows("fifty") == [50]
    assert daemon.status("fifty")["rows_waiting"] == 0


def test_five_posts_of_one_row_make_one_snapshot_of_5(daemon, iris):
    daemon.create("five", trigger=rows_trigger(5))
    for number in range(5):
        daemon.client.send_data("five", iris.iloc[[number]])
    [snapshot] = daemon.wait_for_snapshots("five", 1)
    assert snapshot["metadata"]["rows"] == "5"


def test_twelve_single_rows_make_two_snapshots_of_5_and_2_stay_open(daemon, iris):
    daemon.create("twelve", trigger=rows_trigger(5))
    for number in range(12):
        daemon.client.send_data("twelve", iris.iloc[[number]])
    daemon.wait_for_snapshots("twelve", 2)
    assert daemon.rows("twelve") == [5, 5]
    assert daemon.status("twelve")["rows_waiting"] == 2


def test_flush_seals_what_is_there_and_an_empty_batch_makes_no_snapshot(daemon, iris):
    daemon.create("flushed", trigger=interval_trigger())
    assert daemon.client.flush("flushed") == {"batch_id": None, "rows": 0}
    daemon.client.send_data("flushed", iris.head(3))
    sealed = daemon.client.flush("flushed")
    [snapshot] = daemon.wait_for_snapshots("flushed", 1)
    assert sealed == {"batch_id": snapshot["metadata"]["batch_id"], "rows": 3}
    assert daemon.client.flush("flushed")["batch_id"] is None
    assert len(daemon.logs("flushed", "CreateReport")) == 1


def test_a_whole_batch_has_a_snapshot_of_its_window_beside_what_waits(daemon, iris):
    daemon.create("whole", trigger=interval_trigger())
    daemon.client.send_data("whole", iris.head(3))
    day = datetime(2024, 3, 1, tzinfo=UTC)
    taken = [daemon.client.send_batch("whole", iris.head(40), day, "2024-03-02T00:00:00Z") for _ in range(2)]
    assert taken[0] == taken[1]
    [snapshot] = daemon.wait_for_snapshots("whole", 1)
    assert snapshot["metadata"]["batch_id"] == taken[0]["batch_id"]
    assert snapshot["metadata"]["window_start"] == "2024-03-01T00:00:00.000+00:00"
    assert (snapshot["timestamp"], daemon.rows("whole")) == ("2024-03-02T00:00:00", [40])
    assert daemon.status("whole")["rows_waiting"] == 3


def test_rows_of_two_days_are_a_batch_for_each_though_they_come_together(daemon, iris):
    trigger = {"type": "EventTimeTrigger", "period": "1d"}
    daemon.create("days", trigger=trigger, timestamp_column="ts")
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    days = [noon, noon + timedelta(hours=12)]  # the second begins the next
    daemon.client.send_data("days", iris.head(50).assign(ts=[days[number % 2].isoformat() for number in range(50)]))
    midnight = noon + timedelta(hours=12)
    daemon.wait_for_status("days", lambda one: one["next_time"] == midnight.timestamp())
    assert daemon.client.flush("days")["rows"] == 25
    snapshots = sorted(daemon.wait_for_snapshots("days", 2), key=lambda one: one["timestamp"])
    ends = [midnight.replace(tzinfo=None), midnight.replace(tzinfo=None) + timedelta(days=1)]
    assert [datetime.fromisoformat(one["timestamp"]) for one in snapshots] == ends
    assert daemon.rows("days") == [25, 25]


def test_an_interval_fires_one_interval_after_the_start_and_not_for_nothing(daemon, iris):
    interval = 1.5
    before = time.time()
    daemon.create("interval", trigger=interval_trigger(interval))
    daemon.client.send_data("interval", iris.head(4))
    [entry] = daemon.wait_for_logs("interval", 1, "CreateReport")
    sealed = datetime.fromisoformat(entry["window"][1]).timestamp()
    assert before + interval <= sealed  # how soon after that is shown in fake time
    due = daemon.status("interval")["next_time"]
    # Meanwhile it fires twice, over no rows.
    daemon.wait_for_status("interval", lambda one: one["next_time"] > due + 1.5 * interval)
    assert len(daemon.logs("interval", "CreateReport")) == 1
    daemon.client.send_data("interval", iris.head(2))
    daemon.wait_for_snapshots("interval", 2)
    assert daemon.rows("interval") == [4, 2]


def test_rows_or_interval_fires_by_rows_and_by_time(daemon, iris):
    trigger = {
        "type": "RowsCountOrIntervalTrigger",
        "rows_count_trigger": rows_trigger(5),
        "interval_trigger": interval_trigger(2),
    }
    daemon.create("either", trigger=trigger)
    daemon.client.send_data("either", iris.head(7))
    daemon.wait_for_logs("either", 1)
    daemon.client.send_data("either", iris.head(2))
    daemon.wait_for_snapshots("either", 2)
    assert daemon.rows("either") == [7, 2]


@pytest.mark.parametrize(
    ("schedule", "zone", "at"),
    [("30 2 * * *", "UTC", (2, 30)), ("0 12 * * *", "Asia/Kolkata", (6, 30))],  # India is 5:30 ahead, all the year
)
def test_a_cron_line_says_when_the_next_batch_is_due(daemon, schedule, zone, at):
    name = f"cron-{at[0]}"
    daemon.create(name, trigger={"type": "CronTrigger", "schedule": schedule, "timezone": zone})
    status = daemon.wait_for_status(name, lambda one: one["next_time"] is not None)
    due = datetime.fromtimestamp(status["next_time"], UTC)
    assert (due.hour, due.minute, due.second) == (*at, 0)
    assert timedelta(0) < due - datetime.now(UTC) <= timedelta(days=1)


def test_a_clock_survives_a_restart_and_a_due_time_that_was_slept_through_fires_at_once(make_daemon, iris):
    config = service_config(
        {
            "hour": collector_config(interval_trigger(3600)),
            "slept": collector_config(interval_trigger(3600)),
            "cron": collector_config({"type": "CronTrigger", "schedule": "0 0 1 1 *"}),
        }
    )
    daemon = make_daemon(config, evaluates=False).start()
    due = {
        one: daemon.wait_for_status(one, lambda status: status["next_time"])["next_time"]
        for one in config["collectors"]
    }
    daemon.client.send_data("slept", iris.head(3))
    daemon.kill()
    with closing(sqlite3.connect(daemon.data / "journal.sqlite3")) as journal, journal:  # as if an hour had passed
        journal.execute("UPDATE clock SET fired = fired - 3600 WHERE collector = 'slept'")
    daemon.evaluates = BY_TALLY
    daemon.start()
    for one in ("hour", "cron"):
        assert daemon.wait_for_status(one, lambda status: status["next_time"])["next_time"] == due[one]
    [entry] = daemon.wait_for_logs("slept", 1, "CreateReport")  # else it would come in an hour
    assert entry["rows"] == 3
    daemon.stop()
