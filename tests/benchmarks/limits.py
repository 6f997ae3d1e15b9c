"""Limits: how fast each could be at best on this machine, measured in the same round as what is compared with it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import orjson
import pyarrow as pa

_CHECKED = msgspec.json.Decoder(dict[str, msgspec.Raw])


def seconds_each(work: Callable[[], object], seconds: float = 0.5) -> float:
    """Return the mean time of a call, made as often as fits."""
    calls, begun = 0, time.perf_counter()
    while (taken := time.perf_counter() - begun) < seconds or not calls:
        work()
        calls += 1
    return taken / calls


def parsing(body: bytes) -> dict[str, float]:
    """Return the seconds that each way takes to parse a JSON body, alone."""
    ways: dict[str, Callable[[bytes], object]] = {
        "msgspec": _CHECKED.decode,
        "orjson": orjson.loads,
        "json": json.loads,
    }
    return {name: seconds_each(partial(parse, body), 0.3) for name, parse in ways.items()}


def reading_arrow(body: bytes) -> float:
    return seconds_each(lambda: pa.ipc.open_stream(body).read_all(), 0.3)


def appending(body: bytes, directory: Path) -> float:
    """Return the seconds that appending a body to a file takes; the file begins again before it fills the disk."""
    path = directory / "appended"
    with path.open("wb", buffering=0) as file:

        def append() -> None:
            file.write(body)
            if file.tell() > 500_000_000:
                file.truncate(0)
                file.seek(0)

        taken = seconds_each(append)
    path.unlink()
    return taken


def committing(body: bytes, directory: Path, together: int, *, is_power: bool = False) -> float:
    """Return the seconds a row that parsing it and committing it to SQLite take, with so many in each commit."""
    path = directory / "committed.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if is_power else 'NORMAL'}")
    connection.execute("CREATE TABLE frames (id INTEGER PRIMARY KEY, body BLOB)")

    def commit() -> None:
        connection.execute("BEGIN")
        for _ in range(together):
            _CHECKED.decode(body)
            connection.execute("INSERT INTO frames (body) VALUES (?)", (body,))
        connection.execute("COMMIT")

    taken = seconds_each(commit) / together
    connection.close()
    for left in directory.glob("committed.sqlite*"):
        left.unlink()
    return taken
