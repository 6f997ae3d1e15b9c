"""What a body is that isn't what it is said to be, told in one sentence; and what only looks like it is taken."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector.errors import BadBody
from collector.formats.frames import check_frame

TABLE = pa.table({"a": [1]})


def parquet():
    file = io.BytesIO()
    pq.write_table(TABLE, file)
    return file.getvalue()


def stream():
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return sink.getvalue().to_pybytes()


def refusal(format_, body):
    with pytest.raises(BadBody) as caught:
        check_frame(format_, body)
    return str(caught.value)


def arrow_file():
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"a":1}\n{"a":2}\n', "objects one a line are NDJSON: send them with Content-Type: application/x-ndjson"),
        (b'[{"a": 1}]', "it begins as JSON: send it with Content-Type: application/json"),
        (b"a,b\n1,2\n", "it looks like CSV: send it with Content-Type: text/csv"),
        (parquet(), "it is parquet: send it with Content-Type: application/vnd.apache.parquet"),
        (stream(), "it is an Arrow stream: send it with Content-Type: application/vnd.apache.arrow.stream"),
        (arrow_file(), "it is an Arrow file: write it as an Arrow stream"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "say so with Content-Encoding: gzip"),
        ("a,b\n1,2\n".encode("utf-16"), "it is UTF-16: send it as UTF-8"),
    ],
)
@pytest.mark.parametrize("format_", ["arrow", "parquet", "csv"])
def test_a_body_that_is_no_such_table_is_refused_with_what_it_is(body, told, format_):
    if (format_, body) in TABLES:
        assert check_frame(format_, body).rows == 1
    else:
        assert told in refusal(format_, body)


TABLES = [("csv", b"a,b\n1,2\n"), ("parquet", parquet()), ("arrow", stream())]


@pytest.mark.parametrize(("format_", "body"), [("arrow", stream()[:-20]), ("parquet", parquet()[:-20])])
def test_what_is_damaged_is_not_said_to_be_what_it_was_sent_as(format_, body):
    assert "send it with" not in refusal(format_, body)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"a":1}\n{"a":2}\n', "Content-Type: application/x-ndjson"),
        (b'{"a":1}{"a":2}', "curl --data-binary @FILE and Content-Type: application/x-ndjson"),
        (b'{"a":1},{"a":2}', "put [ before the first and ] behind the last"),
        (
            b'\x1e{"a":1}\n\x1e{"a":2}\n',
            "leave the characters 0x1E out, and send it with Content-Type: application/x-ndjson",
        ),
        (b"age,plan\n41,pro\n37,basic\n", "Content-Type: text/csv"),
        (b'"age","plan"\r\n41,"pro"\r\n', "Content-Type: text/csv"),
        (b'--x1\r\nContent-Disposition: form-data; name="f"\r\n\r\n{"a":1}\r\n--x1--', "curl --data-binary @FILE"),
        (b"age=41&plan=pro", "Content-Type: application/json"),
        (gzip.compress(b'{"a": 1}', mtime=0), "Content-Encoding: gzip"),
        (parquet(), "Content-Type: application/vnd.apache.parquet"),
        (stream(), "Content-Type: application/vnd.apache.arrow.stream"),
        ('{"a": 1}'.encode("utf-16"), "send it as UTF-8"),
        (b"<html></html>", "XML or HTML"),
    ],
)
@pytest.mark.parametrize("format_", ["json", "ndjson"])
def test_a_body_of_another_type_is_refused_with_how_to_send_it(body, told, format_):
    if format_ == "ndjson" and body == b'{"a":1}\n{"a":2}\n':
        assert check_frame(format_, body).rows == 2
    else:
        assert told in refusal(format_, body)


@pytest.mark.parametrize(
    "body", [b'[{"a": 1}, {"a": 2}]', b'[\n  {"a": 1},\n  {"a": 2}\n]\n', b'\xef\xbb\xbf[{"a": 1},\n{"a": 2}]']
)
def test_one_list_of_records_as_the_whole_of_an_ndjson_body_is_taken(body):
    assert check_frame("ndjson", body).rows == 2


@pytest.mark.parametrize("body", [b"{bad", b"hello", b"41", b"a,b", b'{"a": 1', b"[[1,", b"one, two\nthree"])
def test_what_looks_like_nothing_has_no_hint(body):
    assert ";" not in refusal("json", body).replace("; send columns", "")


EVENT = {"specversion": "1.0", "type": "t", "source": "/s", "id": "1"}
SPLIT = {"columns": ["a", "b"], "index": [0, 1], "data": [[1, 2], [3, 4]]}
INPUTS = {"inputs": [{"name": "a", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"age": 41, "user": {"id": 3, "tier": "gold"}}, "as [{…}]"),
        ({"age": 41, "tags": ["a", "b"]}, "as [{…}]"),
        ({"user": {"id": 3}, "tags": ["a", "b"]}, "as [{…}]"),
        (EVENT, "CloudEvent"),
        ({**EVENT, "data": {"a": 1}}, "CloudEvent"),
        ([{**EVENT, "data": {"a": 1}}], "CloudEvent"),
        (SPLIT, 'orient="split"'),
        ({"dataframe_split": SPLIT}, "dataframe_split"),
        ({"dataframe_records": [{"a": 1}]}, "dataframe_records"),
        ({"instances": [[1, 2]]}, "instances"),
        ({"instances": [{"a": 1}]}, "instances"),
        (INPUTS, "inputs"),
        ({"id": "7", **INPUTS}, "inputs"),
        ({"data": {"names": ["a"], "ndarray": [[1]]}}, "Seldon"),
        ({"metrics": [{"name": "m", "fields": {"a": 1}}]}, "an object around a list of records"),
        ({"records": [{"value": {"a": 1}}]}, "an object around a list of records"),
    ],
)
def test_what_is_no_table_of_events_is_refused_with_what_to_send(data, told):
    assert told in refusal("json", json.dumps(data).encode())


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        ({"type": "t", "source": "/s", "version": "1.0"}, 1),
        ({"specversion": "1.0", "type": "t"}, 1),
        ({"columns": ["a", "b"], "index": [0, 1], "data": [1, 2]}, 2),
        ({**{name: values for name, values in SPLIT.items() if name != "index"}}, 2),
        ({"instances": [1, 2]}, 2),
        ({"instances": [[1, 2]], "other": [1]}, 1),
        ({"inputs": [{"name": "a", "data": [1, 2]}]}, 1),
        ({"data": {"0": 1, "1": 2}}, 2),
        ([{"age": 41, "user": {"id": 3}}], 1),
        ({"payload": [{"a": 1}, {"a": 2}]}, 2),
        ({"records": [1, 2]}, 2),
        ({"records": [{"a": 1}], "rows": [{"a": 1}]}, 1),
    ],
)
def test_what_only_looks_like_it_is_a_table(data, rows):
    assert check_frame("json", json.dumps(data).encode()).rows == rows
