"""Promise 4: SIGTERM ends it in 3 s whatever clients do, a second one at once; and what was answered is kept."""

import contextlib
import signal
import socket

import pytest
from machine import Stopwatch, quickest

from ..conftest import NEVER, PATIENCE, rows_trigger, service_config, wait_until
from .conftest import numbered
from .ledger import Load, json_body

PROMISE = "4 stop"
OF_EACH_KIND = 10


def posting(key, rows):
    """Return a POST as it goes over the wire."""
    body, content_type = json_body(key[1], rows)
    fields = {"Host": "x", "Content-Type": content_type, "Content-Length": len(body)}
    head = [f"POST /{key[0]}/data HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(head).encode() + body


def status_in(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def read_all(client):
    client.settimeout(PATIENCE)
    answer = b""
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(2**16):
            answer += piece
    return answer


@pytest.fixture
def connect():
    with contextlib.ExitStack() as stack:

        def make(daemon, *sent):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port)))
            for piece in sent:
                client.sendall(piece)
            return client

        yield make


def test_it_stops_in_3_s_with_50_requests_in_flight(make_daemon, ledger, audit, figures, connect, is_long):
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(NEVER))}, spill_rows=100), evaluates=False)

    def seconds():
        daemon.start()
        with Load(daemon.url, ledger, ["main"], rows=3, clients=0) as load:
            load.wait_for_posts(5)
            answers, taken = stop_in_flight(daemon, ledger, connect)
        assert daemon.process.returncode == 0, daemon.log
        assert not [status_in(answer) for answer in answers["half a body"] if status_in(answer) == 201]
        figures.faults["stops with 50 in flight"] += 1
        return taken

    slowest = max(quickest(seconds, 3) for _ in range(5 if is_long else 1))
    assert slowest < 3
    figures.others["slowest stop"] = f"{slowest:.2f} s"
    daemon.start()
    figures.take(audit(daemon))
    daemon.stop()


def stop_in_flight(daemon, ledger, connect):
    """Have 50 clients at something, stop the daemon; returns what each got by what it was at, and how long it took."""
    openapi = b"GET /schema/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    keys = [ledger.begin("main", 4) for _ in range(OF_EACH_KIND * 2)]
    whole, halves = keys[:OF_EACH_KIND], [posting(key, 4) for key in keys[OF_EACH_KIND:]]
    clients = {
        "nothing": [connect(daemon, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(OF_EACH_KIND)],
        "half a head": [connect(daemon, b"POST /main/data HTTP/1.1\r\nHos") for _ in range(OF_EACH_KIND)],
        "half a body": [connect(daemon, half[:-10]) for half in halves],
        "reading nothing": [connect(daemon, openapi * 200) for _ in range(OF_EACH_KIND)],
        "a whole POST": [connect(daemon, posting(key, 4)) for key in whole],
    }
    with Stopwatch() as stopwatch:
        daemon.end()
    answers = {kind: [read_all(client) for client in those] for kind, those in clients.items()}
    for key, answer in zip(whole, answers["a whole POST"], strict=True):
        ledger.answer(key, status_in(answer))
    return answers, stopwatch.seconds


def test_a_second_signal_ends_it_at_once(make_daemon, ledger, audit, figures, connect):
    """A body that doesn't end would hold the first one for two seconds."""
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(NEVER))}), evaluates=False)

    def seconds():
        before = daemon.start().log.count("stopping")
        with Load(daemon.url, ledger, ["main"], clients=0) as load:
            load.wait_for_posts(5)
            connect(daemon, posting(ledger.begin("main", 4), 4)[:-10])
            daemon.process.send_signal(signal.SIGTERM)
            wait_until(lambda: daemon.log.count("stopping") > before, "the first signal")
            with Stopwatch() as stopwatch:
                daemon.end()
        figures.faults["second signals"] += 1
        return stopwatch.seconds

    assert quickest(seconds, 1) < 1
    daemon.start()
    figures.take(audit(daemon))
    daemon.stop()
