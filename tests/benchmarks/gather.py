"""Makes one table of posts of a row each, as our worker does and as the original; prints seconds of processor time."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import events  # type: ignore[import-not-found]  # it stands beside this file
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from evidently.legacy.collector.storage import InMemoryStorage

from collector.formats.frames import Frame
from collector.store.data_dir import open_data_dir
from collector.store.opening import open_database
from collector.store.parts import write_part
from collector.store.steps.frames import INSERT_FRAME, frame_row
from collector.store.steps.parts import MAX_FRAMES


def ours(bodies: list[bytes], directory: Path) -> Callable[[], None]:
    """Have the frames in a journal, from which they become parts, as many at a time as in the daemon."""
    with open_data_dir(directory) as data_dir:
        db = open_database(data_dir, "process")
        with db:
            db.executemany(INSERT_FRAME, [frame_row("main", Frame("json", body, 1), time.time()) for body in bodies])
        db.close()

    def run() -> None:
        for first in range(1, len(bodies) + 1, MAX_FRAMES):
            last = min(first + MAX_FRAMES - 1, len(bodies))
            write_part(str(data_dir.path), "main", first, last, str(directory / f"{first}.parquet"))

    return run


def original(bodies: list[bytes]) -> Callable[[], None]:
    storage = InMemoryStorage()
    storage.init("main")
    for body in bodies:
        storage.append("main", json.loads(body))
    return lambda: storage.get_and_flush("main")


def limit(bodies: list[bytes], directory: Path) -> Callable[[], None]:
    table = pa.Table.from_pandas(events.frame(len(bodies)), preserve_index=False)

    def run() -> None:
        for body in bodies:
            orjson.loads(body)
        pq.write_table(table, directory / "limit.parquet", compression="zstd")

    return run


def seconds(run: Callable[[], None]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def main(directory: str, count: str) -> None:
    rows = events.frame(int(count)).to_dict("records")
    bodies = [json.dumps({name: {"0": value} for name, value in row.items()}).encode() for row in rows]
    place = Path(directory)
    for warm in (ours(bodies[:100], place / "warm"), original(bodies[:100])):
        warm()
    runs = {"ours": ours(bodies, place / "data"), "original": original(bodies), "limit": limit(bodies, place)}
    json.dump({name: seconds(run) for name, run in runs.items()}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
