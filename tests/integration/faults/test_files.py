"""Promise 26: where no more files may be opened, that is told, and not taken for a disk that fails."""

import contextlib
import resource

from ..conftest import NEVER, rows_trigger, service_config, wait_until
from .conftest import numbered, wait_for_delivery
from .ledger import large_body, post

PROMISE = "26 open files"


@contextlib.contextmanager
def no_more_files(daemon):
    """Let a daemon open no file beyond those that it has open."""
    before = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, before)


def refusal(daemon, ledger):
    """POST a large body; return the answer if it is refused, None if a file was left for it."""
    key = ledger.begin("main", 5)
    body, content_type = large_body(key[1], 5)
    answer = daemon.http.post("/main/data", content=body, headers={"Content-Type": content_type})
    ledger.answer(key, answer.status_code)
    return answer if answer.status_code == 503 else None


def test_events_go_on_where_they_need_no_file_and_the_disk_is_not_blamed(make_daemon, ledger, audit, figures, is_long):
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(NEVER))})).start()
    wait_until(lambda: "evidently is loaded" in daemon.log)
    for _ in range(10 if is_long else 2):
        assert post(daemon.http, ledger, "main") == 201  # on a connection that stays open
        assert post(daemon.http, ledger, "main", 5, large_body) == 201
        with no_more_files(daemon):
            refused = wait_until(lambda: refusal(daemon, ledger), "the refusal")
            assert refused.headers["Retry-After"] == "5"
            assert "may open no more files" in refused.json()["detail"]
            assert {post(daemon.http, ledger, "main") for _ in range(20)} == {201}
            assert "[+]disk ok" in daemon.http.get("/readyz?verbose").text
        wait_until(lambda: post(daemon.http, ledger, "main", 5, large_body) == 201, "acceptance")
        figures.faults["times without a file"] += 1
    wait_for_delivery(daemon, ["main"])
    figures.take(audit(daemon))
    daemon.wait_for_log("no more files may be opened")
    assert "the disk refuses" not in daemon.log
    daemon.stop()
