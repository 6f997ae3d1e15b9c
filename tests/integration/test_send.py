"""``send`` against a real daemon: each row once whatever is interrupted, the whole file's types, little memory."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from collector.evaluation.part_files import read_table
from collector.formats.typed_body import read_table as read_body

from .conftest import (
    NEVER,
    PATIENCE,
    Daemon,
    collector_config,
    environment,
    rows_trigger,
    run_collector,
    service_config,
    wait_until,
)

KEPT = collector_config(rows_trigger(NEVER))
IDS = ("killed", "stopped", "piped", "cut-off", "large")


@pytest.fixture(scope="module")
def quiet_daemon(tmp_path_factory):
    """Run a daemon whose collectors keep rows and do nothing with them; each test has one."""
    made = Daemon(
        tmp_path_factory.mktemp("send") / "service", service_config(dict.fromkeys(IDS, KEPT)), evaluates=False
    )
    try:
        yield made.start()
    finally:
        made.close()


def send(daemon, *arguments, **options):
    return run_collector("send", *arguments, "--url", daemon.url, cwd=daemon.directory, **options)


def sending(daemon, collector_id, *arguments):
    return [sys.executable, "-m", "collector", "send", "--id", collector_id, "--url", daemon.url, *map(str, arguments)]


def kept(daemon):
    """Return the rows that wait, once all are in parquet."""
    daemon.stop()
    return pa.concat_tables([read_table(str(path)) for path in sorted(daemon.data.glob("parts/*.parquet"))])


def test_what_is_killed_and_run_again_leaves_each_row_once(quiet_daemon):
    path = quiet_daemon.directory / "events.csv"
    pd.DataFrame({"id": range(20_000)}).to_csv(path, index=False)
    command = sending(quiet_daemon, "killed", path, "--rows", "50")
    for _ in range(2):
        sender = subprocess.Popen(command, cwd=quiet_daemon.directory, env=environment())
        before = quiet_daemon.status("killed")["rows_accepted"]
        enough = min(before + 500, 20_000)  # a busy machine may have looked too late, when all had come
        wait_until(lambda: quiet_daemon.status("killed")["rows_accepted"] >= enough, "some rows")  # noqa: B023
        sender.send_signal(signal.SIGKILL)
        sender.wait(PATIENCE)
    done = send(quiet_daemon, path, "--rows", "50", "--id", "killed")
    assert done.returncode == 0, done.stderr
    assert "of 20,000 rows were new to killed" in done.stdout
    assert quiet_daemon.status("killed")["rows_accepted"] == 20_000


def test_ctrl_c_says_where_it_stopped(quiet_daemon):
    path = quiet_daemon.directory / "events.csv"
    pd.DataFrame({"id": range(50_000)}).to_csv(path, index=False)
    command = sending(quiet_daemon, "stopped", path, "--rows", "10")
    sender = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    wait_until(lambda: quiet_daemon.status("stopped")["rows_accepted"], "some rows")
    sender.send_signal(signal.SIGINT)
    _, said = sender.communicate(timeout=PATIENCE)
    assert sender.returncode == 130
    assert said.startswith(f"error: {path}: stopped before row ")
    assert "hint: the same command, run again within a day" in said


def test_a_csv_has_the_types_that_it_has_as_one_body(make_daemon):
    """A number that is text in the last row is text in the first, too, in whatever piece that is."""
    lines = [f"{number:05},{number},2026-01-01\n" for number in range(500)]
    body = ("code,late,day\n" + "".join(lines) + "A1,x,2026-01-01T10:00:00.5\n").encode()
    daemon = make_daemon(service_config({"main": KEPT}, spill_rows=1), evaluates=False).start()
    path = daemon.directory / "events.csv"
    path.write_bytes(body)
    assert send(daemon, path, "--rows", "100").returncode == 0
    wait_until(lambda: len(list(daemon.data.glob("parts/*.parquet"))) and not waiting_frames(daemon))
    whole = read_body("csv", body)
    assert kept(daemon).to_pydict() == whole.to_pydict()


def waiting_frames(daemon):
    """Tell whether the journal still holds rows that aren't in parquet."""
    rows = sum(read_table(str(path)).num_rows for path in daemon.data.glob("parts/*.parquet"))
    return daemon.status("main")["rows_waiting"] - rows


def test_what_is_piped_in_arrives(quiet_daemon):
    command = sending(quiet_daemon, "piped", "-")
    for format_, body in (("ndjson", b'{"a": 1}\n{"a": 2}\n'), ("csv", b"a\n3\n")):
        subprocess.run([*command, "--format", format_], input=body, env=environment(), check=True)
    assert quiet_daemon.status("piped")["rows_accepted"] == 3


def test_a_bad_line_is_named_and_those_before_it_are_kept(quiet_daemon):
    path = quiet_daemon.directory / "events.ndjson"
    path.write_bytes(b'{"a": 1}\n' * 5 + b'\n{"a": \n' + b'{"a": 1}\n' * 5)
    done = send(quiet_daemon, path, "--rows", "4", "--id", "cut-off")
    assert done.returncode == 1
    assert f"{path}, row 6: " in done.stderr
    assert quiet_daemon.status("cut-off")["rows_accepted"] == 4


def test_a_large_file_takes_little_memory(quiet_daemon):
    """Three times the rows take the same memory: what is read ahead is a few pieces."""
    line = ",".join(["0.123456789"] * 20) + "\n"
    peaks = []
    for times in (5, 15):
        path = quiet_daemon.directory / f"events-{times}.csv"
        path.write_text(",".join(f"c{number}" for number in range(20)) + "\n" + line * 30_000 * times, encoding="utf-8")
        peaks.append(peak_of(subprocess.Popen(sending(quiet_daemon, "large", path), env=environment())))
    # Held whole, it would be in memory as it is in the file, and as a table of 8 bytes a value.
    assert peaks[1] - peaks[0] < path.stat().st_size / 3


def peak_of(process):
    """Return the bytes of memory that a process has had at most; what wait4 tells counts those of its parent too."""
    status = Path("/proc") / str(process.pid) / "status"
    peak = 0
    while process.poll() is None:
        if found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8")):
            peak = int(found[1]) * 1024
        time.sleep(0.02)
    assert process.returncode == 0
    return peak
