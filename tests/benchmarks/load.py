"""Load: one prepared request, over and over, on some connections for some seconds, in a process of its own.

``load.py PORT CONNECTIONS SECONDS FILE [POSTS]`` prints as JSON how many were answered, in how many seconds, the
seconds of each, and the count of each status. With POSTS, it is that many on all connections together. It imports no
more than it needs: what it costs is taken from what it measures.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from itertools import count
from pathlib import Path


class Connection:
    """One connection; when the service closes it, which it does after some requests, there is another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = _connected(port)

    def exchange(self, request: bytes) -> int:
        """Send a request and read its whole answer; return the status."""
        status, stays = _exchange(self._socket, request)
        if not stays:
            self.close()
            self._socket = _connected(self._port)
        return status

    def close(self) -> None:
        self._socket.close()


def _exchange(connection: socket.socket, request: bytes) -> tuple[int, bool]:
    connection.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _receive(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    missing = int(fields[b"content-length"]) - len(body)
    while missing > 0:
        missing -= len(_receive(connection))
    return int(head.split(b" ", 2)[1]), fields.get(b"connection") != b"close"


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=300)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionError("closed without an answer")
    return received


def _post(
    port: int, request: bytes, until: float, tickets: count[int], posts: int, done: list[tuple[float, int]]
) -> None:
    with closing(Connection(port)) as connection:
        while (begun := time.monotonic()) < until and next(tickets) < posts:
            status = connection.exchange(request)
            done.append((time.monotonic() - begun, status))


def main(port: str, connections: str, seconds: str, file: str, posts: str = "1000000000") -> None:
    request, tickets = Path(file).read_bytes(), count()
    done: list[tuple[float, int]] = []
    begun = time.monotonic()
    arguments = (int(port), request, begun + float(seconds), tickets, int(posts), done)
    threads = [threading.Thread(target=_post, args=arguments) for _ in range(int(connections))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.monotonic() - begun
    statuses = Counter(status for _, status in done)
    json.dump(
        {"posts": len(done), "seconds": taken, "each": [each for each, _ in done], "statuses": statuses}, sys.stdout
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
