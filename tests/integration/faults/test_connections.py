"""Promise 22: whoever has sent a whole request gets a whole answer, whatever then becomes of the connection."""

import re
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from collector.ingest.http.server import IDLE_TIMEOUT

from ..conftest import NEVER, PATIENCE, rows_trigger, service_config
from .conftest import numbered
from .ledger import json_body

PROMISE = "22 connections"
LIMIT, CLIENTS, EACH = 20, 100, 5
ROWS = 3


def test_whoever_comes_over_the_limit_reads_that_it_may_come_again(make_daemon, ledger, audit, figures):
    config = service_config({"main": numbered(rows_trigger(NEVER))}, limits={"max_connections": LIMIT})
    daemon = make_daemon(config, evaluates=False).start()
    daemon.http.close()
    keys = [ledger.begin("main", ROWS) for _ in range(CLIENTS * EACH)]
    together = threading.Barrier(CLIENTS)  # so that they are over the limit each time
    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = list(pool.map(lambda key: ask(daemon.port, key, together), keys))
    for key, status in zip(keys, statuses, strict=True):
        ledger.answer(key, status)
    daemon.stop()
    figures.take(audit(daemon))
    figures.faults["connections over the limit"] += Counter(statuses)[503]
    assert set(statuses) == {201, 503}


def ask(port, key, together):
    """Send a request in two pieces, as some clients do, and return the status of its whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        together.wait(PATIENCE)
        head, body = request(key)
        client.sendall(head)
        time.sleep(0.01)  # a moment in which the service may have refused it already
        client.sendall(body)
        return read(client)


def request(key):
    body, media_type = json_body(key[1], ROWS)
    lines = ["POST /main/data HTTP/1.1", "Host: localhost", f"Content-Type: {media_type}"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode(), body


def read(client):
    answer = b""
    while not is_whole(answer):
        received = client.recv(65536)
        assert received, f"cut off after {answer!r}"
        answer += received
    return int(answer.split()[1])


def is_whole(answer):
    head, blank, body = answer.partition(b"\r\n\r\n")
    return bool(blank) and len(body) == int(re.search(rb"content-length: (\d+)", head.lower())[1])


def test_requests_that_come_while_the_process_is_stopped_are_answered(make_daemon, ledger, audit, figures, is_long):
    if not is_long:
        pytest.skip("it stops a process for as long as an idle connection lives; a shorter one is in test_lane.py")
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(NEVER))}), evaluates=False).start()
    clients = [socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE) for _ in range(50)]
    keys = [ledger.begin("main", ROWS) for _ in clients]
    for client, key in zip(clients, keys, strict=True):
        client.sendall(b"".join(request(key)))
        ledger.answer(key, read(client))
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(IDLE_TIMEOUT + 2)
    keys = [ledger.begin("main", ROWS) for _ in clients]
    for client, key in zip(clients, keys, strict=True):
        client.sendall(b"".join(request(key)))
    daemon.process.send_signal(signal.SIGCONT)
    for client, key in zip(clients, keys, strict=True):
        with client:
            ledger.answer(key, read(client))
    daemon.stop()
    figures.take(audit(daemon))
    figures.faults["requests while it was stopped"] += len(clients)
    assert set(keys) <= ledger.acknowledged
