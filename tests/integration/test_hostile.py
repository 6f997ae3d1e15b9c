"""Requests that mean harm, byte for byte, to a real daemon; each is answered or cut, and the daemon goes on."""

import json
import socket
import time
from contextlib import contextmanager

import pytest
from machine import Stopwatch, quickest

from collector.ingest.http.server import LINGER

from .conftest import (
    BY_TALLY,
    NEVER,
    PATIENCE,
    Daemon,
    collector_config,
    interval_trigger,
    rows_trigger,
    service_config,
    wait_until,
)

ROW = b'{"a": [1]}'


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with hostile(tmp_path_factory, evaluates=True) as made:
        yield made


@pytest.fixture(scope="module")
def changing(tmp_path_factory):
    """Run one whose collectors go while they are checked: the process that does it is cut off, and loads all again."""
    with hostile(tmp_path_factory, evaluates=BY_TALLY) as made:
        yield made


@contextmanager
def hostile(tmp_path_factory, evaluates):
    config = service_config({"main": collector_config(rows_trigger(NEVER))}, limits={"body_timeout": 1.0})
    made = Daemon(tmp_path_factory.mktemp("hostile") / "service", config, evaluates=evaluates)
    try:
        made.start()
        wait_until(lambda: "evidently is loaded" in made.log)  # until then, new configs wait
        yield made
        assert "Traceback" not in made.log
        made.stop()
    finally:
        made.close()


def exchange(daemon, *pieces, pause=0.0, ends=False, is_asked=False):
    """Send bytes as they are, give all that comes back until the daemon closes; ``ends``: say that no more is sent.

    ``is_asked``: send each piece but the first once something has come back.
    """
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE) as client:
        received = b""
        for piece in pieces:
            if is_asked and piece is not pieces[0]:
                received += client.recv(2**16)
            client.sendall(piece)
            time.sleep(pause)
        if ends:
            client.shutdown(socket.SHUT_WR)
        while data := client.recv(2**16):
            received += data
        return received


def request(method, path, *headers, body=b""):
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", b"Connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def refusal(answer):
    """Return what an answer says is wrong with its request, which the client, and not the service, is to mend."""
    told = answer.json()
    assert 400 <= answer.status_code < 500, told
    return told["detail"]


IDS = [
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..",
    "%00",
    "%0d%0aX-Evil:%20yes",
    "a%2fb",
    "x" * 10_000,
    "%F0%9F%98%80",
    "%ff%fe",
    "%",
    "%zz",
    "a%20b",
    "$(reboot)",
    "'%20OR%201=1--",
    "{collector_id}",
]
ROUTES = [
    ("GET", ""), ("POST", ""), ("DELETE", ""), ("POST", "/data"), ("POST", "/reference"), ("POST", "/flush"),
    ("GET", "/failed"), ("POST", "/failed"), ("GET", "/logs"),
]  # fmt: skip


@pytest.mark.parametrize("collector_id", IDS, ids=lambda name: name[:30])
def test_no_id_is_found_or_breaks_a_route(daemon, collector_id):
    for method, rest in ROUTES:
        length = f"Content-Length: {len(ROW)}".encode()
        answer = exchange(daemon, request(method, f"/{collector_id}{rest}", length, body=ROW))
        assert status_of(answer) in {400, 404, 405}, (method, rest)
        assert b"X-Evil" not in answer.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("collector_id", IDS, ids=lambda name: name[:30])
def test_what_is_made_of_an_id_lies_in_the_data_directory(changing, collector_id):
    """Reference files are named by it; what else there is, is in the directory of the config."""
    config = json.dumps(collector_config(rows_trigger(NEVER))).encode()
    made = exchange(
        changing, request("POST", f"/{collector_id}", f"Content-Length: {len(config)}".encode(), body=config)
    )
    assert status_of(made) in {201, 400, 404, 405}
    if status_of(made) == 201:
        length = f"Content-Length: {len(ROW)}".encode()
        for route in ("data", "reference"):
            assert status_of(exchange(changing, request("POST", f"/{collector_id}/{route}", length, body=ROW))) == 201
        assert len([*changing.data.glob("references/*")]) == 1
        assert status_of(exchange(changing, request("DELETE", f"/{collector_id}"))) == 200
    assert [path.name for path in changing.directory.parent.iterdir()] == ["service"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reference_path": "../../etc/passwd"}, "reference_path"),
        ({"reference_path": "a\0b"}, "reference_path"),
        ({"api_url": "../workspace"}, "api_url"),
        ({"api_url": "file:///etc"}, "api_url"),
        ({"api_url": "collector_data"}, "api_url"),
        ({"api_url": "http://["}, "api_url"),
        ({"project_id": "../../x"}, "project_id"),
        ({"project_id": None, "project_name": "x" * 1_500_000}, "project_name"),
        ({"trigger": {"type": "CronTrigger", "schedule": "* * * * * *"}}, "trigger.schedule"),
        ({"trigger": {"type": "CronTrigger", "schedule": "0 0 31 2 *"}}, "trigger.schedule"),
        ({"trigger": {"type": "CronTrigger", "schedule": "1," * 5000}}, "trigger.schedule"),
        ({"trigger": {"type": "CronTrigger", "schedule": "* * * * *", "timezone": "../x"}}, "trigger.timezone"),
        ({"trigger": interval_trigger(1e-300)}, "trigger.interval"),
        ({"trigger": interval_trigger(float("nan"))}, "trigger.interval"),
        ({"trigger": rows_trigger(2**70)}, "trigger.rows_count"),
        ({"trigger": rows_trigger(float("inf"))}, "trigger.rows_count"),
        ({"report_config": {"metrics": [{}] * 100_000}}, "report_config.metrics"),
        ({"report_config": {"metrics": [{"type": "os.system"}]}}, "report_config.metrics.0"),
        ({f"name {number}": 1 for number in range(50_000)}, "name 0"),
        ({"n" * 1_500_000: 1}, "n"),
    ],
    ids=lambda part: str(part)[:60],
)
def test_a_config_that_means_harm_is_refused_with_what_is_wrong(daemon, changes, told):
    answer = daemon.http.post("/new", content=json.dumps(collector_config(rows_trigger(NEVER)) | changes))
    assert refusal(answer).startswith(f"Validation failed for POST /new: {told}")
    assert len(answer.content) < 100_000
    assert daemon.http.get("/new").status_code == 404


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[" * 1_000_000, "JSON is malformed"),
        (b'{"a": [NaN, ' + b"[" * 1_000_000, "JSON is malformed"),
        (b'{"a": [' + b"[" * 500 + b"]" * 500 + b"]}", "can't be kept"),
        (b'{"a": [1' + b"0" * 1_000_000 + b"]}", "JSON is malformed"),
        (b'{"a": [NaN, 1' + b"0" * 1_000_000 + b"]}", "JSON is malformed"),
        (b'{"a": ["\xff"]}', "JSON is malformed"),
        (b'{"a": ["\\ud800", "\xff"]}', "JSON is malformed"),
        (b'{"a": [1], "a": [2]}', "the name 'a' stands twice"),
        (b'{"a": [1, 2], "b": [3]}', "different numbers of values"),
        (json.dumps({str(key): [1] for key in range(100_000)}).encode(), "100000 columns"),
        (b"[" + b"{}," * 2_000_000 + b"{}]", "2000001 rows"),
    ],
    ids=lambda part: str(part)[:30],
)
def test_json_that_means_harm_is_refused_with_what_is_wrong(daemon, body, told):
    assert told in refusal(daemon.http.post("/main/data", content=body))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"a,b\n1\n", "Expected 2 columns, got 1"),
        (b"a,a\n1,2\n", "the column 'a' is there twice"),
        (b'a\n"x\n1\n', "a quote is opened and never closed"),
        (b"," * 9_000_000, "columns, the limit is 10000"),
    ],
    ids=lambda part: str(part)[:30],
)
def test_csv_that_means_harm_is_refused_with_what_is_wrong(daemon, body, told):
    answer = daemon.http.post("/main/data", content=body, headers={"Content-Type": "text/csv"})
    assert told in refusal(answer)


@pytest.mark.parametrize(
    ("name", "headers", "body", "statuses"),
    [
        ("two lengths", [b"Content-Length: 10", b"Content-Length: 11"], ROW, {400}),
        ("length and chunks", [b"Content-Length: 10", b"Transfer-Encoding: chunked"], b"0\r\n\r\n", {400}),
        ("a negative length", [b"Content-Length: -1"], ROW, {400}),
        ("a length of 5000 digits", [b"Content-Length: " + b"9" * 5000], ROW, {400, 413}),
        ("a length of many", [b"Content-Length: 99999999999999999"], ROW, {413}),
        ("an unknown coding", [b"Transfer-Encoding: gzip"], ROW, {400, 501}),
        ("a broken chunk", [b"Transfer-Encoding: chunked"], b"zz\r\n" + ROW, {400}),
        ("an empty body", [b"Content-Length: 0"], b"", {400}),
        ("a folded header", [b"X: a\r\n b", b"Content-Length: 10"], ROW, {201, 400}),
        ("a header with NUL", [b"X: a\0b", b"Content-Length: 10"], ROW, {400}),
        ("a header without end", [b"X: " + b"x" * 100_000], b"", {400, 431}),
        ("many headers", [b"X: y"] * 20_000, b"", {400, 431}),
        ("another method by header", [b"X-HTTP-Method-Override: DELETE", b"Content-Length: 10"], ROW, {201}),
        ("a long key", [b"Idempotency-Key: " + b"k" * 256, b"Content-Length: 10"], ROW, {400}),
        ("a key of odd bytes", [b"Idempotency-Key: \xff\xfe", b"Content-Length: 10"], ROW, {400}),
        ("an odd encoding", [b"Content-Encoding: gzip, gzip", b"Content-Length: 10"], ROW, {400}),
        ("an odd type", [b"Content-Type: \xff;;=", b"Content-Length: 10"], ROW, {201}),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)  # fmt: skip
def test_a_request_that_lies_is_refused(daemon, name, headers, body, statuses):
    assert status_of(exchange(daemon, request("POST", "/main/data", *headers, body=body))) in statuses


@pytest.mark.parametrize(
    "said",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 50,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\r\n" * 1000,
        b"\0" * 1000,
        b"CONNECT example.org:80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET http://example.org/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"TRACE /main HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
    ids=lambda said: repr(said[:20]),
)
def test_what_is_no_request_of_ours_is_refused_or_cut(daemon, said):
    answer = exchange(daemon, said, ends=True)
    assert answer == b"" or 400 <= status_of(answer) < 500
    assert b"HTTP/2" not in answer


def test_a_connection_that_is_to_be_closed_is_closed_at_once(daemon):
    def seconds():
        with Stopwatch() as stopwatch:
            assert status_of(exchange(daemon, request("GET", "/livez"))) == 200
        return stopwatch.seconds

    assert quickest(seconds, LINGER / 2) < LINGER / 2


def test_a_websocket_gets_the_answer_to_a_get(daemon):
    upgrade = [b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    head = b"\r\n".join([b"GET /main HTTP/1.1", b"Host: localhost", b"Connection: Upgrade, close", *upgrade])
    assert status_of(exchange(daemon, head + b"\r\n\r\n")) == 200


@pytest.mark.parametrize(
    "pieces",
    [
        (request("POST", "/main/data", b"Content-Length: 100", body=ROW),),
        (request("POST", "/main/data", b"Transfer-Encoding: chunked", body=b"a\r\n" + ROW + b"\r\n"),),
    ],
    ids=["before its length", "before its last chunk"],
)
def test_a_body_that_ends_early_keeps_nothing(daemon, pieces):
    before = daemon.status("main")["rows_waiting"]
    exchange(daemon, *pieces, ends=True)
    assert daemon.status("main")["rows_waiting"] == before


def test_a_body_that_drips_is_refused_in_time(daemon):
    """A byte each 0.3 s: of the 1 s that the config allows, it never needs more than a part between two."""
    with Stopwatch() as stopwatch:
        answer = exchange(daemon, request("POST", "/main/data", b"Content-Length: 100"), *[b" "] * 6, pause=0.3)
    assert status_of(answer) == 408
    assert stopwatch.seconds < 8


def test_who_asks_whether_to_go_on_is_told_before_the_body(daemon):
    head = request("POST", "/main/data", b"Content-Length: 10", b"Expect: 100-continue")
    answer = exchange(daemon, head, ROW, is_asked=True)
    assert answer.startswith(b"HTTP/1.1 100")
    assert b"HTTP/1.1 201" in answer
