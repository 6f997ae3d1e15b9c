"""Promise 27: a request whose head is unusual is answered as it is meant, or refused, and never taken for two."""

import re
import socket

from ..conftest import NEVER, PATIENCE, rows_trigger, service_config
from .conftest import numbered
from .ledger import json_body

PROMISE = "27 heads of requests"
START = b"POST /main/data HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def exchange(port, data, more=b""):
    """Send something, and more once it is asked for; return all that is answered until the end, and whether it came."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(data)
        answer = b""
        try:
            while received := client.recv(65536):
                answer += received
                if more and b"100 Continue" in answer:
                    client.sendall(more)
                    more = b""
        except TimeoutError:
            return answer, False
        return answer, True


def lines(answer):
    return re.findall(rb"HTTP/1.1 (\d+ [A-Za-z ]+)\r\n", answer)


def test_two_ends_of_a_body_smuggle_nothing(make_daemon, ledger, audit, figures):
    """Of a body with both lengths, whoever stands before us may have taken the other one."""
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(NEVER))}), evaluates=False).start()
    for is_empty in (False, True):
        for length in (b"0", b"5", b"400", b"100000"):
            key, smuggled = ledger.begin("main", 2), ledger.begin("main", 2)
            body, inner = (json_body(one[1], 2)[0] for one in (key, smuggled))
            chunks = (b"" if is_empty else b"%x\r\n%b\r\n" % (len(body), body)) + b"0\r\n\r\n"
            both = START + b"Content-Length: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % length
            behind = START + b"Content-Length: %d\r\n\r\n" % len(inner) + inner
            answer, is_closed = exchange(daemon.port, both + chunks + behind)
            assert (len(lines(answer)), is_closed) == (1, True)
            ledger.answer(key, int(lines(answer)[0][:3]))
            ledger.answer(smuggled, 400)
            figures.faults["bodies with two ends"] += 1
    daemon.stop()
    figures.take(audit(daemon))


def test_who_is_refused_is_not_asked_for_its_body(make_daemon, figures):
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(NEVER))}), evaluates=False).start()
    expecting = START + b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    for change, status in {
        (b"/main/data", b"/nobody/data"): b"404 Not Found",
        (b"/main/data", b"/nobody/reference"): b"404 Not Found",
        (b"/main/data", b"/x/y/z"): b"404 Not Found",
        (b"POST", b"PUT"): b"405 Method Not Allowed",
        (b": 1000\r", b": 100000000\r"): b"413 Request Entity Too Large",
        (b"localhost", b"evil.example"): b"403 Forbidden",
        (b"Expect", b"Origin: http://evil.example\r\nExpect"): b"403 Forbidden",
        (b"Expect", b"Content-Encoding: br\r\nExpect"): b"400 Bad Request",
    }.items():
        answer, is_closed = exchange(daemon.port, expecting.replace(*change))
        assert (lines(answer), is_closed) == ([status], True)
        figures.faults["refused before their bodies"] += 1


def test_a_body_that_is_held_back_is_asked_for_and_kept(make_daemon, ledger, audit, figures):
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(NEVER))}), evaluates=False).start()
    for _ in range(3):
        key = ledger.begin("main", 2)
        body, _ = json_body(key[1], 2)
        head = START + b"Content-Length: %d\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n" % len(body)
        answer, _ = exchange(daemon.port, head, body)
        assert lines(answer) == [b"100 Continue", b"201 Created"]
        ledger.answer(key, 201)
        figures.faults["bodies held back"] += 1
    daemon.stop()
    figures.take(audit(daemon))
