"""Hints: what a body is that isn't what its Content-Type says, and how to send it, in one sentence.

Each is of an exact shape, and only looked for once a body is refused, or would be read as a table that nobody meant.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from collector.errors import BadBody

_RECORDS = 'send it as records, [{"age": 41}, …], or as columns, {"age": [41, …]}'
_JSON = "application/json"
_NDJSON = "Content-Type: application/x-ndjson"
_STARTS = {
    b"PAR1": "it is parquet: send it with Content-Type: application/vnd.apache.parquet",
    b"\xff\xff\xff\xff": "it is an Arrow stream: send it with Content-Type: application/vnd.apache.arrow.stream",
    b"ARROW1": "it is an Arrow file: write it as an Arrow stream (pyarrow.ipc.new_stream), and send it with "
    "Content-Type: application/vnd.apache.arrow.stream",
    b"\x1f\x8b": "it is compressed with gzip: say so with Content-Encoding: gzip",
    b"\x28\xb5\x2f\xfd": "it is compressed with zstd: say so with Content-Encoding: zstd",
    b"\x1e": f"it is a JSON text sequence: leave the characters 0x1E out, and send it with {_NDJSON}",
    codecs.BOM_UTF16_LE: "it is UTF-16: send it as UTF-8",
    codecs.BOM_UTF16_BE: "it is UTF-16: send it as UTF-8",
    b"<": "it is XML or HTML: send JSON, NDJSON, CSV, Arrow or parquet",
}
_MULTIPART = re.compile(rb"--[^\r\n]+\r?\nContent-Disposition:", re.IGNORECASE)
_FORM = re.compile(rb"[\w.%+*\[\]-]+=[^\s{}]*\Z")
_LINES_OF_CSV = re.compile(rb"(?P<header>[^\[{<\r\n][^\r\n]*,[^\r\n]*)\r?\n(?P<row>[^\r\n]*,[^\r\n]*)")
_BETWEEN_OBJECTS = re.compile(r"\s*(?=\{)|\s*,\s*(?=\{)")
_LOOKED_AT = 2**20
_SEPARATORS = {b";": "semicolons", b"\t": "tabs", b"|": "bars"}
_CLOUD_EVENT = {"specversion", "type", "source"}
_INPUT = {"name", "shape", "datatype", "data"}
_SPLIT = {"columns", "index", "data"}
_WRAPPERS = {"events", "records", "rows", "data", "items", "metrics", "messages", "logs"}


@contextmanager
def hinting(body: bytes | memoryview, media_type: str = _JSON) -> Iterator[None]:
    """Have a refusal of the body say what it seems to be, if that can be told and isn't what it was sent as."""
    try:
        yield
    except BadBody as error:
        meant = _meant(bytes(body[:_LOOKED_AT]))
        if meant is None or meant.endswith(f": send it with Content-Type: {media_type}"):
            raise
        raise BadBody(f"{error}; {meant}") from error


def refuse_json_as_csv(body: bytes) -> None:
    """Raise BadBody for JSON or NDJSON: as CSV its first line would be a header, and its events no rows."""
    if not body.startswith((b"{", b"[")):
        return
    for piece in (body, body.partition(b"\n")[0]):
        try:
            is_json = isinstance(json.loads(piece), dict | list)
        except (ValueError, RecursionError):
            continue
        if is_json:
            raise BadBody("the body isn't CSV")


def refuse_other_separator(header: bytes, rows: bytes) -> None:
    """Raise BadBody for CSV without a comma whose lines all have as many semicolons or tabs as its header."""
    if b"," in header or not rows.strip():
        return
    lines = rows[:_LOOKED_AT].splitlines()
    for separator, name in _SEPARATORS.items():
        count = header.count(separator)
        if count and all(line.count(separator) == count for line in lines if line.strip()):
            raise BadBody(
                f"the columns of the CSV are separated by {name}: separate them by commas, and write decimals with a "
                "point (1.5)"
            )


def refuse_other_shapes(data: dict[str, Any]) -> None:
    """Raise BadBody for an object that holds events in a form of another service's."""
    refuse_cloud_event(data)
    for is_it, what in _SHAPES:
        if is_it(data):
            raise BadBody(f"the body is {what}, not a table; {_RECORDS}")


def refuse_cloud_event(event: dict[str, Any]) -> None:
    """Raise BadBody for a CloudEvent: its row would be of its envelope."""
    if "specversion" in event and event.keys() >= _CLOUD_EVENT:
        raise BadBody("the body is a CloudEvent; send what is in its 'data', with the Content-Type of that")


def refuse_nested_event(data: dict[str, Any]) -> None:
    """Raise BadBody for one event that has objects or lists beside plain values: a table has one form of column."""
    nested = {name: value for name, value in data.items() if isinstance(value, dict | list)}
    plain = next((name for name in data if name not in nested), None)
    if nested and plain is not None:
        name, value = next(iter(nested.items()))
        kind = "an object" if isinstance(value, dict) else "a list"
        raise BadBody(
            f"'{name}' is {kind} and '{plain}' is a plain value: send an event that holds objects or lists as [{{…}}], "
            "and one of plain values only as {…}"
        )


def _meant(body: bytes) -> str | None:
    body = body.removeprefix(codecs.BOM_UTF8).lstrip()
    if body.startswith((b"{", b"[")):
        return _several_objects(body) or f"it begins as JSON: send it with Content-Type: {_JSON}"
    for start, hint in _STARTS.items():
        if body.startswith(start):
            return hint
    if _MULTIPART.match(body):
        return "it is a multipart form, as curl -F sends: send the file itself, as curl --data-binary @FILE does"
    if _FORM.match(body):
        return "it is a form, name=value: send JSON, with Content-Type: application/json"
    found = _LINES_OF_CSV.match(body)
    if found and found["header"].count(b",") == found["row"].count(b","):
        return "it looks like CSV: send it with Content-Type: text/csv"
    return None


def _several_objects(body: bytes) -> str | None:
    """Say what stands between the first object and the next; None if there is no next one."""
    text = body.decode(errors="replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    between = _BETWEEN_OBJECTS.match(text, end)
    if between is None:
        return None
    if "," in between[0]:
        return "objects with commas between them are a list: put [ before the first and ] behind the last"
    if "\n" in between[0]:
        return f"objects one a line are NDJSON: send them with {_NDJSON}"
    return (
        "the objects have no newlines between them, as curl -d @FILE removes those: send them with curl --data-binary "
        f"@FILE and {_NDJSON}"
    )


def _is_list_of(value: Any, *kinds: type) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, kinds) for item in value)


def _is_mlflow_split(data: dict[str, Any]) -> bool:
    inner = data.get("dataframe_split")
    return (
        isinstance(inner, dict) and {"columns", "data"} <= inner.keys() and data.keys() <= {"dataframe_split", "params"}
    )


def _is_mlflow_records(data: dict[str, Any]) -> bool:
    return _is_list_of(data.get("dataframe_records"), dict) and data.keys() <= {"dataframe_records", "params"}


def _is_pandas_split(data: dict[str, Any]) -> bool:
    return data.keys() == _SPLIT and _is_list_of(data["data"], list)


def _is_instances(data: dict[str, Any]) -> bool:
    return _is_list_of(data.get("instances"), list, dict) and data.keys() <= {"instances", "signature_name"}


def _is_inputs(data: dict[str, Any]) -> bool:
    inputs = data.get("inputs")
    return _is_list_of(inputs, dict) and all(item.keys() >= _INPUT for item in inputs or ())


def _is_seldon(data: dict[str, Any]) -> bool:
    inner = data.get("data")
    return (
        isinstance(inner, dict)
        and not inner.keys().isdisjoint({"ndarray", "tensor"})
        and data.keys() <= {"data", "meta"}
    )


def _is_wrapped(data: dict[str, Any]) -> bool:
    return len(data) == 1 and data.keys() <= _WRAPPERS and all(_is_list_of(value, dict) for value in data.values())


_SHAPES = (
    (_is_mlflow_split, "MLflow's dataframe_split"),
    (_is_mlflow_records, "MLflow's dataframe_records"),
    (_is_pandas_split, 'what pandas writes with orient="split"'),
    (_is_instances, "a request to KServe or TensorFlow Serving (instances)"),
    (_is_inputs, "a request to KServe or Seldon (inputs)"),
    (_is_seldon, "a request to Seldon (data)"),
    (_is_wrapped, "an object around a list of records, as Telegraf and Kafka's REST proxy send"),
)
