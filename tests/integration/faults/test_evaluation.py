"""Promise 6: a report that raises, hangs, eats memory or kills its worker takes its own batch with it, and no other."""

import contextlib
import io
import os
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ..conftest import NEVER, rows_trigger, run_collector, service_config, wait_until
from .audit import DEFINITION
from .conftest import numbered
from .ledger import NUMBER, arrow_body, post, table

PROMISE = "6 evaluation"
# Of which nothing can be computed where the column lacks.
NEEDY = {"metrics": [{"type": "UniqueValueCount", "column": "lacking"}]}
NEEDY_DEFINITION = DEFINITION | {"categorical_columns": [NUMBER, "lacking"]}
# The same text in each row weighs nothing in a body and 200 MB in memory: no worker here can take four of them, beside
# the 300 MB that Evidently takes in the long form.
TEXT, LARGE, BODIES = "x" * 800, 250_000, 4
MAX_BYTES, OF_EVIDENTLY = 700_000_000, 300_000_000
TIMEOUT = 15  # of a report; where processors are short, it may take seconds


def error_of(daemon, batch):
    return (daemon.data / "failed" / batch["batch_id"] / "error.txt").read_text(encoding="utf-8")


def wait_for_failures(daemon, collector, count):
    daemon.wait_for_status(collector, lambda one: one["failed"] == count and one["sealed"] == 0)
    return daemon.http.get(f"/{collector}/failed").json()


def complete(label, rows):
    """Encode rows that have the column which the report needs, with the label in it."""
    sink = io.BytesIO()
    made = table(label, rows).append_column("lacking", pa.array([label] * rows))
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made)
    return sink.getvalue(), "application/vnd.apache.arrow.stream"


def test_a_report_that_raises_is_kept_with_its_traceback_and_retried_with_or_without_a_fix(
    make_daemon, ledger, audit, figures
):
    needy = numbered(rows_trigger(2), report_config=NEEDY, data_definition=NEEDY_DEFINITION)
    daemon = make_daemon(service_config({"main": needy})).start()
    for encode in (arrow_body, complete, arrow_body, complete):
        post(daemon.http, ledger, "main", 2, encode)
    daemon.wait_for_snapshots("main", 2)  # those between went on
    failed = wait_for_failures(daemon, "main", 2)
    for batch in failed:
        assert (batch["rows"], batch["attempts"]) == (2, 1)
        assert "lacking" in batch["error"]
        assert "Traceback" in error_of(daemon, batch)

    retried = daemon.http.post("/main/failed")
    assert (retried.status_code, [one["batch_id"] for one in retried.json()]) == (202, [b["batch_id"] for b in failed])
    daemon.wait_for_logs("main", 4, "CreateReport", ok=False)  # as the report is still the same
    wait_for_failures(daemon, "main", 2)

    daemon.create("main", numbered(rows_trigger(2)))
    done = run_collector("retry", "main", "--url", daemon.url, cwd=daemon.directory)
    assert done.returncode == 0, done.stderr
    assert all(batch["batch_id"] in done.stdout for batch in failed)
    daemon.wait_for_snapshots("main", 4)
    assert daemon.http.get("/main/failed").json() == []
    assert list((daemon.data / "failed").iterdir()) == []
    figures.take(audit(daemon))
    figures.faults["raising reports"] += 2
    daemon.stop()


@pytest.mark.thorough
def test_reports_that_eat_memory_hang_or_lose_their_worker_are_given_up_and_the_next_batches_go_on(
    make_daemon, ledger, audit, figures, is_long
):
    max_bytes = MAX_BYTES + OF_EVIDENTLY * is_long
    limits = {"evaluation_timeout": TIMEOUT, "evaluation_max_bytes": max_bytes, "spill_rows": LARGE}
    collectors = {name: numbered(rows_trigger(NEVER)) for name in ("greedy", "hung", "killed", "sound")}
    daemon = make_daemon(service_config(collectors, **limits)).start()
    wait_until(lambda: "evidently is loaded" in daemon.log)
    light = workers(daemon) - heavy_workers(daemon)
    rounds = 5 if is_long else 1
    for count in range(1, rounds + 1):
        for _ in range(BODIES):
            post(daemon.http, ledger, "greedy", LARGE, large_body)
        daemon.client.flush("greedy")
        assert "memory" in given_up(daemon, "greedy", count)

        send_to(workers(daemon) - light, signal.SIGSTOP)
        flush_one(daemon, ledger, "hung")
        entries = daemon.wait_for_logs("hung", count, "CreateReport", ok=False)
        assert f"longer than {TIMEOUT} s" in entries[-1]["error"]
        wait_until_done(daemon, "hung")  # by a new worker

        send_to(workers(daemon) - light, signal.SIGSTOP)  # none is done before it is killed
        flush_one(daemon, ledger, "killed")
        wait_until(lambda: is_given_up_by_kills(daemon, "killed", count, light), "the end of tries")  # noqa: B023
        assert "died" in given_up(daemon, "killed", count)

        for name in collectors:
            flush_one(daemon, ledger, name)
            wait_until_done(daemon, name)
    assert [daemon.status(name)["failed"] for name in collectors] == [rounds, 0, rounds, 0]
    figures.take(audit(daemon))
    figures.faults["greedy, hung and killed workers"] += 5 * rounds
    daemon.stop()


def is_given_up_by_kills(daemon, collector, count, spared):
    """Kill all workers that could compute a report; tell whether the batch has been given up."""
    send_to(workers(daemon) - spared, signal.SIGKILL)
    return daemon.status(collector)["failed"] == count


def send_to(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # the daemon may be faster
            os.kill(pid, number)


def wait_until_done(daemon, collector):
    daemon.wait_for_status(collector, lambda one: one["sealed"] + one["outbox"] == 0)


def given_up(daemon, collector, count):
    """Wait until so many of a collector's batches have failed, each after two tries; returns the last one's error."""
    failed = wait_for_failures(daemon, collector, count)
    assert [batch["attempts"] for batch in failed] == [2] * count
    return error_of(daemon, failed[-1])


def workers(daemon):
    return {pid for pid, command in daemon.children().items() if "spawn_main" in command}


def heavy_workers(daemon):
    """Return the workers that have loaded Evidently, or what stands in its place."""
    return {pid for pid in workers(daemon) if is_heavy(Path("/proc") / str(pid))}


def is_heavy(files):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        return "/pandas/_libs" in (files / "maps").read_text() or (files / "comm").read_text() == "tally\n"
    return False


def flush_one(daemon, ledger, collector):
    post(daemon.http, ledger, collector, 20, arrow_body)
    daemon.client.flush(collector)


def large_body(label, rows):
    sink = io.BytesIO()
    pq.write_table(pa.table({NUMBER: pa.repeat(label, rows), "text": pa.repeat(TEXT, rows)}), sink)
    return sink.getvalue(), "application/vnd.apache.parquet"
