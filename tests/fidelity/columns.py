"""Frames in which one column is of a given kind on each side, and the bodies that carry them."""

import datetime as dt
import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa

ROWS = 60
REFERENCE = (
    "integers",
    "floats",
    "booleans",
    "text",
    "free text",
    "times",
    "zoned",
    "dates",
    "categories",
    "categories of integers",
)
_SPECIAL = ("all null", "all infinite", "missing", "only in the batch")
_UNTYPED = ("integers", "floats", "booleans", "text", "free text", "iso times", "epoch s", "epoch ms", "some null")
BATCH = {
    "json": (*_UNTYPED, "lists", *_SPECIAL),
    "csv": (*_UNTYPED, "all null", "missing", "only in the batch"),
    "arrow": (*REFERENCE, "some null", "lists", *_SPECIAL),
}
_SEEDS = {"reference": 0, "batch": 1}


def frame_of(side, kind):
    """Return a sound frame with a target and a prediction, and in it ``x`` of that kind."""
    rng = np.random.default_rng(10 + _SEEDS[side])
    target = rng.integers(0, 2, ROWS)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 9, ROWS).round(2),
            "plan": rng.choice(["a", "b", "c"], ROWS),
            "target": target,
            "prediction": np.where(rng.random(ROWS) < 0.8, target, 1 - target),
        }
    )
    if kind == "missing":
        return frame
    if kind == "only in the batch":
        return frame.assign(x=_values(side, "text"), new=_values(side, "floats"))
    return frame.assign(x=_values(side, kind))


def body_of(format_, frame):
    """Return the body that a client would send of a frame."""
    if format_ == "json":
        return json.dumps({name: [_plain(value) for value in column] for name, column in frame.items()}).encode()
    if format_ == "csv":
        return frame.to_csv(index=False).encode()
    sink = io.BytesIO()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def _values(side, kind):
    rng = np.random.default_rng(_SEEDS[side])
    times = pd.Timestamp("2026-03-01") + pd.to_timedelta(rng.integers(0, 40 * 86_400, ROWS), "s")
    whole, labels = rng.integers(0, 60, ROWS), rng.choice(["red", "green", "02139"], ROWS)
    made = {
        "integers": lambda: whole,
        "floats": lambda: rng.normal(20, 5, ROWS).round(3),
        "booleans": lambda: rng.random(ROWS) > 0.4,
        "text": lambda: labels,
        "free text": lambda: [
            f"the {word} of {label} number {n}" for n, (word, label) in enumerate(zip(whole, labels, strict=True))
        ],
        "times": lambda: times,
        "iso times": lambda: [time.isoformat() for time in times],
        "epoch s": lambda: [int(time.timestamp()) for time in times],
        "epoch ms": lambda: [int(time.timestamp() * 1000) for time in times],
        "zoned": lambda: times.tz_localize("Europe/Berlin"),
        "dates": lambda: pd.Series([time.date() for time in times], dtype=object),
        "lists": lambda: pd.Series([[str(number), "b"] for number in whole], dtype=object),
        "categories": lambda: pd.Categorical(labels),
        "categories of integers": lambda: pd.Categorical(whole % 4),
        "some null": lambda: pd.Series([None if number % 7 == 0 else float(number) for number in whole]),
        "all null": lambda: pd.Series([None] * ROWS, dtype=object),
        "all infinite": lambda: pd.Series([float("inf")] * ROWS),
    }
    return made[kind]()


def _plain(value):
    if isinstance(value, list):
        return value
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, dt.date):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value
