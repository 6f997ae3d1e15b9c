"""References in a store that speaks as S3 does, on a port of this machine, and in a directory."""

import hashlib
import io
import os
from http.server import ThreadingHTTPServer
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from answering import Answering

from collector.errors import EvaluationError
from collector.store.fetching import count_rows, fetch


class FakeS3:
    """Answers what pyarrow asks of an object: its head, and ranges of its bytes; each version has an ETag."""

    def __init__(self):
        self.objects = {}
        self.asked = []
        self.after = None  # called after each answer
        store = self

        class Handler(Answering):
            def _answer(self):
                store.answer(self)

            do_GET = do_HEAD = _answer  # noqa: N815  (http.server's names)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))

    def address(self, name):
        return f"s3://{name}?endpoint_override=127.0.0.1:{self._server.server_port}&scheme=http&region=eu-west-1"

    def answer(self, request):
        self.asked.append(request.command)
        body = self.objects.get(request.path.lstrip("/"))
        if body is None:
            request.send_response(404)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        found = request.headers.get("Range")
        first, last = (int(end) for end in found.removeprefix("bytes=").split("-")) if found else (0, len(body) - 1)
        piece = body[first : last + 1]
        request.send_response(206 if found else 200)
        request.send_header("ETag", f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"')
        request.send_header("Last-Modified", "Fri, 27 Nov 2026 10:00:00 GMT")
        request.send_header("Content-Range", f"bytes {first}-{first + len(piece) - 1}/{len(body)}")
        request.send_header("Content-Length", str(len(piece)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(piece)
        if self.after is not None:
            self.after()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with FakeS3() as running:
        yield running


@pytest.fixture
def data_dir(tmp_path):
    (tmp_path / "data" / "references").mkdir(parents=True)
    return tmp_path / "data"


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_a_reference_is_copied_once_and_again_when_its_etag_changes(store, data_dir):
    store.objects["bucket/a/r.parquet"] = body = parquet(n=[1, 2, 3])
    address = store.address("bucket/a/r.parquet")
    first = fetch(address, str(data_dir), "", None)
    assert ((data_dir / first.path).read_bytes(), first.rows) == (body, 3)
    store.asked.clear()
    assert fetch(address, str(data_dir), first.path, None) is None
    assert "GET" not in store.asked, "only its head is asked for"
    store.objects["bucket/a/r.parquet"] = parquet(n=[4])
    second = fetch(address, str(data_dir), first.path, None)
    assert second.path != first.path
    assert pq.read_table(data_dir / second.path)["n"].to_pylist() == [4]
    assert fetch(address, str(data_dir), "", None) == second, "the same file has the same name"


def test_a_reference_that_is_written_while_it_is_read_is_read_again(store, data_dir):
    store.objects["bucket/r.parquet"] = parquet(n=[1])

    def write_another():
        if store.asked.count("GET") == 1:
            store.objects["bucket/r.parquet"] = parquet(n=[2])

    store.after = write_another
    fetched = fetch(store.address("bucket/r.parquet"), str(data_dir), "", None)
    assert pq.read_table(data_dir / fetched.path)["n"].to_pylist() == [2]
    assert len(list((data_dir / "references").iterdir())) == 1


def test_in_a_directory_time_and_size_stand_for_the_etag(tmp_path, data_dir):
    path = tmp_path / "r.parquet"
    path.write_bytes(parquet(n=[1]))
    first = fetch(f"file://{path}", str(data_dir), "", None)
    assert fetch(f"file://{path}", str(data_dir), first.path, None) is None
    os.utime(path, (1, 1))
    assert fetch(f"file://{path}", str(data_dir), first.path, None) is not None


def test_what_is_private_of_it_never_reaches_the_disk(tmp_path, data_dir):
    path = tmp_path / "r.parquet"
    path.write_bytes(parquet(email=["a@b.example"], name=["Ada"], n=[1]))
    private = {"keep": None, "drop": ["name"], "hash": {"email": "salt"}}
    copies = [fetch(f"file://{path}", str(data_dir), "", one) for one in (private, {**private, "hash": {"email": "x"}})]
    assert len({copy.path for copy in copies}) == 2, "another salt makes another"
    table = pq.read_table(data_dir / copies[0].path)
    assert (table.column_names, table["n"].to_pylist()) == (["email", "n"], [1])
    assert table["email"][0].as_py().startswith("hmac:")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "can't be read: .*does not exist"),
        (b"n\n1\n" * 20, "isn't a parquet table"),
        (parquet(n=pa.array([], pa.int64())), "has no rows"),
    ],
    ids=["missing", "csv", "empty"],
)
def test_what_is_no_reference_is_told_by_its_address(store, data_dir, body, said):
    if body is not None:
        store.objects["bucket/r.parquet"] = body
    for read in (lambda address: fetch(address, str(data_dir), "", None), count_rows):
        with pytest.raises(EvaluationError, match=f"^s3://bucket/r.parquet.* {said}"):
            read(store.address("bucket/r.parquet"))
    assert list((data_dir / "references").iterdir()) == []


def test_a_sound_one_is_counted(store):
    store.objects["bucket/r.parquet"] = parquet(n=[1, 2])
    assert count_rows(store.address("bucket/r.parquet")) == 2
