"""The events that are sent: rows of 20 columns as a model has them, the same in each run, and their bodies."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa

ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"


@cache
def frame(rows: int, seed: int = 0) -> pd.DataFrame:
    """Make ten floats in full precision, five integers and five categories; with an odd seed some floats drift."""
    random = np.random.default_rng(seed)
    shift = 0.2 * (seed % 2)
    columns: dict[str, object] = {}
    for number in range(10):
        columns[f"num{number}"] = random.normal(shift * (number % 2), 1, rows)
    for number in range(5):
        columns[f"int{number}"] = random.integers(0, 10_000_000, rows)
    for number in range(5):
        columns[f"cat{number}"] = random.choice([f"category-{letter}" for letter in "abcdefgh"], rows)
    return pd.DataFrame(columns)


@cache
def json_body(rows: int) -> bytes:
    """Give column JSON as Evidently's client sends it: each column an object of index to value."""
    return json.dumps(frame(rows).to_dict()).encode()


@cache
def arrow_body(rows: int) -> bytes:
    """Give an Arrow IPC stream."""
    table = pa.Table.from_pandas(frame(rows), preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def request(path: str, body: bytes, media_type: str = JSON) -> bytes:
    """Make a whole POST, so that who sends it has nothing to do but that."""
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body
