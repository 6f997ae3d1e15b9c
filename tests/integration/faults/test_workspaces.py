"""Promise 23: whatever a workspace answers or has become, it costs nobody else anything, and its snapshots wait."""

import contextlib
import gzip
import json
import os
import socketserver
import threading
from itertools import chain, repeat

from ..conftest import collector_config, rows_trigger, service_config, wait_until
from .conftest import numbered
from .ledger import post

PROMISE = "23 strange workspaces"
GROWTH = 100_000_000  # bytes; each of these answers would take gigabytes, or has no end
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def chunk(piece):
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def whole(body, *headers):
    """Make an answer with its length."""
    lines = b"".join(header + b"\r\n" for header in (*headers, b"Content-Length: %d" % len(body)))
    return lambda: [OK + lines + b"\r\n" + body]


def bomb():
    """Pack it only where it is asked for, as that takes a second."""
    return whole(gzip.compress(b" " * 200_000_000, 1), b"Content-Encoding: gzip")()


ANSWERS = {
    "is endless": lambda: chain([OK, b"\r\n"], repeat(b" " * 1_000_000)),
    "is endless in single bytes": lambda: chain(
        [OK, b"Transfer-Encoding: chunked\r\n\r\n"], repeat(chunk(b" ") * 10_000)
    ),
    "is a bomb": bomb,
    "says no without end": lambda: chain([b"HTTP/1.1 500 No\r\n\r\n"], repeat(b"no " * 300_000)),
    "asks to go on without end": lambda: repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
    "has a head without end": lambda: chain([OK], repeat(b"X-Name: value\r\n" * 1_000)),
    "is nested deep": whole(b"[" * 200_000),
    "is a large number": whole(b"1" * 5_000),
    "is no UTF-8": whole(b'"\xff\xfe"'),
    "is not packed as it says": whole(b"[]", b"Content-Encoding: gzip"),
    "is packed in a way of its own": whole(b"[]", b"Content-Encoding: br"),
    "names a project that is no part of a path": whole(b'[{"id": "../../x", "name": "p"}]'),
    "has an element that is null": whole(b"[null]"),
    "asks for an odd pause": lambda: [
        "HTTP/1.1 429 No\r\nRetry-After: ²\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    ],
    "is no HTTP": lambda: [b"SSH-2.0-OpenSSH_9.2\r\n"],
}
ADDRESSES = {
    "has an empty label": ("http://a..b:8000", "api_url"),
    "has a long label": (f"http://{'a' * 70}.example", "api_url"),
    "is no name at all": ("http://💥.example", "api_url"),
    "lies behind a proxy that can't be used": ("http://workspace.test", "ALL_PROXY"),
    "is to be trusted by a file that isn't there": ("https://127.0.0.1:9", "SSL_CERT_FILE"),
}


@contextlib.contextmanager
def answering(make_pieces):
    """Run a server that reads a request and answers with these pieces; its address is given."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                self.request.recv(65_536)
                for piece in make_pieces():
                    self.request.sendall(piece)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def resident_bytes(daemon):
    return int((daemon.process_files() / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_snapshots_wait_whatever_their_workspace_answers(make_daemon, ledger, audit, figures):
    with contextlib.ExitStack() as stack:
        urls = {name: stack.enter_context(answering(make)) for name, make in ANSWERS.items()}
        urls |= {name: url for name, (url, _) in ADDRESSES.items()}
        ours = {name: named("p", api_url=url) for name, url in urls.items()}
        collectors = ours | {"is sound": named("p")}
        variables = {"ALL_PROXY": "socks://127.0.0.1:1", "NO_PROXY": "a..b,example", "SSL_CERT_FILE": "/nowhere.pem"}
        daemon = make_daemon(service_config(collectors), **variables).start()
        assert post(daemon.http, ledger, "is sound") == 201
        daemon.wait_for_logs("is sound", 1)
        before = resident_bytes(daemon)
        for name in urls:
            assert post(daemon.http, ledger, name) == 201
        for name in urls:
            found = daemon.wait_for_status(name, lambda one: one["state"] == "undelivered" and one["last_error"])
            assert ADDRESSES.get(name, ("", ""))[1] in found["last_error"]
            assert post(daemon.http, ledger, name) == 201  # sealing goes on
        assert post(daemon.http, ledger, "is sound") == 201
        daemon.wait_for_logs("is sound", 2)
        assert resident_bytes(daemon) - before < GROWTH
        assert "stopped by an error" not in daemon.log
        for name in urls:
            daemon.create(name, collectors["is sound"])
    for name in urls:
        daemon.wait_for_logs(name, 2)
    figures.take(audit(daemon))
    figures.faults["strange answers and addresses"] += len(urls)
    daemon.stop()


def replaced_by(make):
    def damage(path):
        path.unlink()
        make(path)

    return damage


DAMAGES = {
    "empty": replaced_by(lambda path: path.touch()),
    "garbage": replaced_by(lambda path: path.write_bytes(b"\xff\xfe{")),
    "deep": replaced_by(lambda path: path.write_text("[" * 100_000)),
    "pipe": replaced_by(os.mkfifo),
    "loop": replaced_by(lambda path: path.symlink_to(path.name)),
    "folder": replaced_by(lambda path: path.mkdir()),
}


def test_snapshots_wait_for_a_project_whose_file_is_damaged(make_daemon, ledger, audit, figures):
    """They were delivered into it, where no UI could show them; or the pipeline was begun again for ever."""
    collectors = {name: named(name) for name in [*DAMAGES, "sound"]}
    daemon = make_daemon(service_config(collectors)).start()
    for name in DAMAGES:
        assert post(daemon.http, ledger, name) == 201
    for name in DAMAGES:
        daemon.wait_for_logs(name, 1)
    files = {json.loads(file.read_bytes())["name"]: file for file in daemon.directory.glob("workspace/*/metadata.json")}
    good = {name: file.read_bytes() for name, file in files.items()}
    for name, damage in DAMAGES.items():
        damage(files[name])
    for name in collectors:
        assert post(daemon.http, ledger, name) == 201
    for name in DAMAGES:
        found = daemon.wait_for_status(name, lambda one: one["state"] == "undelivered")
        assert "metadata.json is damaged" in found["last_error"]
    daemon.wait_for_logs("sound", 1)
    for name, file in files.items():
        file.rmdir() if file.is_dir() else file.unlink()
        file.write_bytes(good[name])
    for name in DAMAGES:  # a changed config is begun with at once, else it is tried again after a minute
        daemon.create(name, named(name, cache_reference=False))
    for name in DAMAGES:
        daemon.wait_for_logs(name, 2)
    figures.take(audit(daemon))
    figures.faults["damaged projects"] += len(DAMAGES)
    daemon.stop()


def named(project, **others):
    """Make the config of a collector whose project is found by its name."""
    config = numbered(rows_trigger(1), project_name=project, **others)
    del config["project_id"]
    return config


LEGACY = {
    "metrics": [],
    "tests": [{"type": "evidently:test:TestNumberOfColumns", "eq": 1}],
    "options": {},
    "metadata": {},
    "tags": [],
}


def test_of_two_generations_in_one_directory_the_second_waits(make_daemon, figures):
    """Both UIs answered 500 for every project then."""
    both = {"first": collector_config(), "second": collector_config(report=LEGACY)}
    daemon = make_daemon(service_config(both)).start()
    for name in both:
        assert daemon.http.post(f"/{name}/data", json=[{"a": 1}]).status_code == 201
    daemon.wait_for_logs("first", 1)
    found = daemon.wait_for_status("second", lambda one: one["state"] == "misconfigured")
    assert "give this collector another directory" in found["problems"][0]
    assert found["sealed"] + found["rows_waiting"] == 1
    refused = daemon.http.post("/third", json=both["second"])
    assert (refused.status_code, "another directory" in refused.json()["detail"]) == (400, True)
    mended = json.loads(daemon.config_path.read_text(encoding="utf-8"))
    mended["collectors"]["second"]["api_url"] = "legacy"
    daemon.config_path.write_text(json.dumps(mended), encoding="utf-8")
    daemon.wait_for_logs("second", 1)
    assert wait_until(lambda: list(daemon.directory.glob("legacy/*/snapshots/*.json")))
    figures.faults["mixed directories"] += 1
    daemon.stop()
