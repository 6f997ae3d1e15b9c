"""Promise 7: of a hundred collectors four are in trouble, and the triggers and POSTs of the others don't notice."""

import contextlib
import os
import socket
import sqlite3
import time

import pyarrow.parquet as pq
import pytest
from machine import slowness

from ..conftest import interval_trigger, rows_trigger, service_config, wait_until
from .conftest import numbered, percentile
from .ledger import Load, table

PROMISE = "7 isolation"
LACKING = {"metrics": [{"type": "MinValue", "column": "no such column"}]}
# Each fires at a time of its own, two or three in a second at first.
INTERVALS = {f"sound-{number}": 7 + number * 0.4 for number in range(96)}
TROUBLED = ("unsound", "hung", "undelivered")
# Two threads send the sound ones almost a row a second each, one sends the busy one more than a thousand times that.
PAUSE, BUSY_ROWS, BUSY_PAUSE = 0.02, 250, 0.1
# Under this, twice the calm p99 is less than the noise of two cores with clients, workers and daemon on them.
P99_NOISE = 0.05
MAX_LATENESS = 2.0  # seconds; on a quiet machine it is a few hundredths
EARLY = 0.1  # for a wall clock that runs a little slower than the one that is waited by


@pytest.mark.slow  # it measures; that trouble stops no other is shown in ../test_isolation.py, ../test_workspaces.py
def test_triggers_and_posts_do_not_notice_the_trouble_of_other_collectors(make_daemon, ledger, audit, figures, is_long):
    calm_seconds, troubled_seconds = (30, 60) if is_long else (5, 8)
    with socket.create_server(("127.0.0.1", 0)) as black_hole:  # it takes connections and never answers
        daemon = make_daemon(service(f"http://127.0.0.1:{black_hole.getsockname()[1]}"))
        pq.write_table(table("reference", 10), daemon.directory / "reference.parquet")
        daemon.start()
        with Load(daemon.url, ledger, INTERVALS, plain=2, clients=0, pause=PAUSE) as sound:
            due = wait_until(lambda: first_due(daemon), "the triggers")
            wait_until(lambda: statuses(daemon)["sound-0"]["snapshots"], "the first snapshot")
            calm = p99_within(calm_seconds, sound)
            begun = time.time()
            with trouble(daemon, ledger) as busy:
                for _ in range(2):  # what else the machine does may spoil one measurement
                    troubled = p99_within(troubled_seconds, sound)
                    if troubled <= (allowed := max(2 * calm, P99_NOISE * slowness())):
                        break
                check_trouble(daemon, sound, busy)
                ended = time.time()
        wait_until(lambda: not undelivered(daemon, ended), "the sound ones' snapshots")
        daemon.stop()
        figures.take(audit(daemon))
        late = lateness(daemon, due, begun, ended)
        figures.faults["troubled of 100 collectors"] += len(TROUBLED) + 1
        figures.others["POST p99"] = f"{calm * 1000:.0f} ms calm, {troubled * 1000:.0f} ms beside trouble"
        figures.others["triggers late"] = f"p99 {percentile(late, 99) * 1000:.0f} ms, worst {max(late) * 1000:.0f} ms"
    assert {one.status for one in [*sound.posts, *busy.posts]} == {201}
    assert troubled <= allowed
    assert percentile(late, 99) <= MAX_LATENESS * slowness()


def service(dead_url):
    sound = {name: numbered(interval_trigger(seconds)) for name, seconds in INTERVALS.items()}
    few = rows_trigger(3)
    others = {
        "unsound": numbered(few, report_config=LACKING),
        "hung": numbered(few, reference_path="reference.parquet"),
        "undelivered": numbered(few, api_url=dead_url),
        "busy": numbered(rows_trigger(20 * BUSY_ROWS)),
    }
    kept = {"batches": 1000}  # for the times at which they were sealed
    patience = {"evaluation_timeout": 10, "delivery_timeout": 30}
    return service_config(sound | others, evaluation_workers=2, retention=kept, **patience)


@contextlib.contextmanager
def trouble(daemon, ledger):
    """Have rows come for those that are in trouble, and a thousandfold for the busy one, whose load is given."""
    fifo = daemon.directory / "fifo"
    os.mkfifo(fifo)  # who opens it to read waits for a writer, as on a dead mount
    fifo.replace(daemon.directory / "reference.parquet")
    with (
        Load(daemon.url, ledger, TROUBLED, plain=1, clients=0, pause=0.3),
        Load(daemon.url, ledger, ["busy"], rows=BUSY_ROWS, plain=1, clients=0, pause=BUSY_PAUSE) as busy,
    ):
        yield busy


def check_trouble(daemon, sound, busy):
    """Check that there was trouble to be noticed."""
    daemon.wait_for_status("unsound", lambda one: one["failed"])
    daemon.wait_for_status("undelivered", lambda one: one["outbox"])
    assert daemon.wait_for_status("hung", lambda one: one["state"] == "evaluating")["snapshots"] == 0
    beside = sum(one.begun >= busy.posts[0].begun for one in sound.posts)
    assert len(busy.posts) * BUSY_ROWS >= 1000 * beside / len(INTERVALS)


def statuses(daemon):
    return {one["id"]: one for one in daemon.http.get("/").json()["collectors"]}


def first_due(daemon):
    """Give when each trigger is first due, once all are set."""
    times = {name: one["next_time"] for name, one in statuses(daemon).items() if name in INTERVALS}
    return times if all(times.values()) else None


def p99_within(seconds, load):
    """Return the p99 of the POSTs of so many seconds from now."""
    begun = time.monotonic()
    time.sleep(seconds)
    return percentile([one.seconds for one in load.posts if one.begun >= begun], 99)


def read(daemon, query):
    """Read of the sound ones what the journal says, the collector first."""
    with contextlib.closing(sqlite3.connect(f"file:{daemon.data}/journal.sqlite3?mode=ro", uri=True)) as db:
        return [row for row in db.execute(query) if row[0] in INTERVALS]


def undelivered(daemon, until):
    """Return the sound ones with a batch that was sealed until then and isn't delivered."""
    batches = read(daemon, "SELECT collector, sealed, state FROM batch")
    return [name for name, sealed, state in batches if sealed < until and state != "delivered"]


def lateness(daemon, due, since, until):
    """Give by how much batches since then were sealed later than due, or rows have waited longer than an interval."""
    late = []
    for name, opened, sealed in read(daemon, "SELECT collector, opened, sealed FROM batch"):
        if sealed > since:
            after = (sealed - due[name] + EARLY) % INTERVALS[name] - EARLY
            late.append(max(after, sealed - opened - INTERVALS[name]))
    waiting = read(daemon, "SELECT collector, MIN(received) FROM frame WHERE batch IS NULL GROUP BY collector")
    return late + [until - received - INTERVALS[name] for name, received in waiting]
