"""Promise 2: a disk that is full, or fails, is never answered for; the service says so, and heals by itself."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from disks import small_disk  # noqa: F401  # a fixture

from ..conftest import NEVER, PATIENCE, rows_trigger, service_config, wait_until
from .conftest import numbered, wait_for_delivery
from .ledger import arrow_body, post

PROMISE = "2 disk"
BALLAST = 400 * 2**10
SYNCS = "fsync,fdatasync"
WRITES = "pwrite64"


def statuses(daemon, ledger, count, rows=1):
    return {post(daemon.http, ledger, "main", rows, arrow_body) for _ in range(count)}


def wait_ready_again(daemon, ledger):
    wait_until(lambda: daemon.http.get("/readyz").status_code == 200, "readiness")
    wait_until(lambda: post(daemon.http, ledger, "main") == 201, "acceptance")


def test_a_full_disk_refuses_says_so_and_heals(make_daemon, ledger, audit, figures, small_disk):  # noqa: F811
    data = small_disk / "collector_data"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(BALLAST))
    config = service_config({"main": numbered(rows_trigger(NEVER))}, data_dir=str(data))
    daemon = make_daemon(config)
    daemon.data = data
    daemon.start()
    wait_until(lambda: 507 in statuses(daemon, ledger, 20, 100), "the end of the disk")
    refused = daemon.http.post("/main/data", content=b'{"number": ["' + b"x" * BALLAST + b'"]}')
    assert refused.status_code == 507
    assert int(refused.headers["Retry-After"]) > 0
    assert "full" in refused.json()["detail"]
    wait_until(lambda: daemon.http.get("/readyz").status_code == 503, "unreadiness")
    verdict = audit(daemon)
    assert verdict.is_sound, str(verdict)
    ballast.unlink()
    wait_ready_again(daemon, ledger)
    wait_for_delivery(daemon, ["main"])
    figures.take(audit(daemon))
    figures.faults["full disks"] += 1
    daemon.stop()


@contextlib.contextmanager
def failing(daemon, calls, error="EIO", *of_file):
    """Have some of the daemon's system calls fail, on one file or on all."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace here")
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
    target = [argument for path in of_file for argument in ("-P", str(path))] + ["-p", str(daemon.process.pid)]
    tracer = subprocess.Popen([*command, *target], stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: tracer.poll() is not None or is_traced(daemon), "strace")
        if tracer.poll() is not None:
            pytest.skip(f"strace can't be used here: {tracer.stderr.read()}")
        yield
    finally:
        tracer.terminate()
        tracer.communicate(timeout=PATIENCE)


def is_traced(daemon):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread has just ended
        threads = (daemon.process_files() / "task").glob("*/status")
        return all("TracerPid:\t0\n" not in Path(thread).read_text() for thread in threads)
    return False


@pytest.mark.parametrize(
    ("durability", "calls"),
    [
        ("process", SYNCS),
        pytest.param("process", WRITES, marks=pytest.mark.slow),
        pytest.param("power", SYNCS, marks=pytest.mark.slow),
        ("power", WRITES),
    ],
)
def test_what_the_disk_may_not_have_is_not_acknowledged(make_daemon, ledger, audit, figures, durability, calls):
    """While syncs fail (the regular ones under "process"), or writes; killed meanwhile, it is as it was answered."""
    config = service_config({"main": numbered(rows_trigger(NEVER))}, durability=durability)
    daemon = make_daemon(config, evaluates=False).start()
    assert statuses(daemon, ledger, 10) == {201}
    with failing(daemon, calls):
        if calls == SYNCS and durability == "process":
            wait_until(lambda: 507 in statuses(daemon, ledger, 1), "a refusal")
        assert statuses(daemon, ledger, 20) == {507}
        wait_until(lambda: daemon.http.get("/readyz").status_code == 503, "unreadiness")
    wait_ready_again(daemon, ledger)
    with failing(daemon, calls):
        wait_until(lambda: statuses(daemon, ledger, 3) == {507}, "a refusal")
        daemon.kill()
    daemon.start()
    assert statuses(daemon, ledger, 10) == {201}
    figures.take(audit(daemon))
    figures.faults["failing disks"] += 2
    daemon.stop()


def test_a_quota_that_is_used_up_is_told_as_a_full_disk_and_heals(make_daemon, ledger, audit, figures):
    """The disk itself has room, so that nothing but the error says so."""
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(NEVER))})).start()
    wait_until(lambda: "evidently is loaded" in daemon.log)  # to load it traced takes twice as long
    assert statuses(daemon, ledger, 10) == {201}
    with failing(daemon, "write,pwrite64", "EDQUOT", *daemon.data.glob("*"), daemon.data / "scratch.tmp"):
        refused = daemon.http.post("/main/data", content=b'{"number": ["refused"]}')
        assert refused.status_code == 507
        assert "the disk is full" in refused.json()["detail"]
        wait_until(lambda: "the disk is full" in daemon.http.get("/readyz?verbose").text, "unreadiness")
        assert statuses(daemon, ledger, 20) == {507}
    wait_ready_again(daemon, ledger)
    wait_for_delivery(daemon, ["main"])
    figures.take(audit(daemon))
    figures.faults["quotas"] += 1
    daemon.stop()


def test_a_log_that_cannot_be_written_stops_nothing(make_daemon, ledger, audit, figures):
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(3))})).start()
    wait_until(lambda: "evidently is loaded" in daemon.log)  # to load it traced takes twice as long
    with failing(daemon, "write", "ENOSPC", daemon.log_path):
        assert statuses(daemon, ledger, 3, 3) == {201}
        wait_for_delivery(daemon, ["main"])
    figures.take(audit(daemon))
    figures.faults["unwritable logs"] += 1
    daemon.stop()
