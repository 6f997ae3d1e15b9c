"""A prober: asks one thing again and again and notes how long each answer took, in a process of its own.

``prober.py turn PORT FILE SECONDS`` asks on one connection, the next when the last is answered and SECONDS have passed.
``prober.py pace PORT FILE SECONDS`` asks every SECONDS whether or not others are answered, on as many connections as
that takes. Prints a line once it runs; when its input ends, JSON: of each when it was asked (monotonic), the seconds
that its answer took, and the status.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

_ended = threading.Event()
_done: list[tuple[float, float, int]] = []
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def ask_in_turn(port: int, request: bytes, pause: float) -> None:
    from load import Connection  # type: ignore[import-not-found]  # it stands beside this file

    with closing(Connection(port)) as connection:
        while not _ended.is_set():
            begun = time.monotonic()
            status = connection.exchange(request)
            _done.append((begun, time.monotonic() - begun, status))
            time.sleep(max(0.0, begun + pause - time.monotonic()))


async def ask_at_pace(port: int, request: bytes, pause: float) -> None:
    free: list[_Connection] = []
    due = time.monotonic()
    async with asyncio.TaskGroup() as asking:
        while not _ended.is_set():
            asking.create_task(_ask(port, request, free))
            due += pause
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    for _, writer in free:
        writer.close()


async def _ask(port: int, request: bytes, free: list[_Connection]) -> None:
    reader, writer = _take_open(free) or await asyncio.open_connection("127.0.0.1", port)
    begun = time.monotonic()
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    await reader.readexactly(int(fields[b"content-length"]))
    _done.append((begun, time.monotonic() - begun, int(head.split(b" ", 2)[1])))
    if fields.get(b"connection") == b"close":
        writer.close()
    else:
        free.append((reader, writer))


def _take_open(free: list[_Connection]) -> _Connection | None:
    """Take the connection that was used last, of those that weren't closed meanwhile as they were idle."""
    while free:
        reader, writer = free.pop()
        if not reader.at_eof():
            return reader, writer
        writer.close()
    return None


def _wait_for_end() -> None:
    sys.stdin.read()
    _ended.set()


def main(mode: str, port: str, file: str, pause: str) -> None:
    request = Path(file).read_bytes()
    with suppress(PermissionError):
        os.nice(-10)  # what it waits for is the service, not its own turn on a core
    threading.Thread(target=_wait_for_end, daemon=True).start()
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    if mode == "pace":
        asyncio.run(ask_at_pace(int(port), request, float(pause)))
    else:
        ask_in_turn(int(port), request, float(pause))
    json.dump(_done, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
