"""Promise 26: where no more files may be opened, that is told, and not taken for a disk that fails."""

import contextlib
import resource
import socket

from ..conftest import NEVER, rows_trigger, service_config, wait_until
from .conftest import numbered, wait_for_delivery
from .ledger import large_body, post

PROMISE = "26 open files"


@contextlib.contextmanager
def no_more_files(daemon):
    """Let a daemon open no file beyond those that it has open."""
    before = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in (daemon.process_files() / "fd").iterdir())
    free = highest + 1 - len(list((daemon.process_files() / "fd").iterdir()))
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (highest + 1, before[1]))
    with contextlib.ExitStack() as stack:
        for _ in range(free + 20):  # they take what is free below the highest; some are only waiting
            stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port)))
        try:
            yield
        finally:
            resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, before)


def test_events_go_on_where_they_need_no_file_and_the_disk_is_not_blamed(make_daemon, ledger, audit, figures, is_long):
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(NEVER))})).start()
    wait_until(lambda: "evidently is warm" in daemon.log)
    for _ in range(10 if is_long else 2):
        assert post(daemon.http, ledger, "main") == 201  # on a connection that stays open
        assert post(daemon.http, ledger, "main", 5, large_body) == 201
        with no_more_files(daemon):
            wait_until(lambda: post(daemon.http, ledger, "main", 5, large_body) == 503, "the refusal")
            assert {post(daemon.http, ledger, "main") for _ in range(20)} == {201}
            refused = daemon.http.post("/main/data", content=large_body("refused", 5)[0])
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
            assert "may open no more files" in refused.json()["detail"]
            assert "[+]disk ok" in daemon.http.get("/readyz?verbose").text
        wait_until(lambda: post(daemon.http, ledger, "main", 5, large_body) == 201, "acceptance")
        figures.faults["times without a file"] += 1
    wait_for_delivery(daemon, ["main"])
    figures.take(audit(daemon))
    assert "no more files may be opened" in daemon.log
    assert "the disk refuses" not in daemon.log
    daemon.stop()
