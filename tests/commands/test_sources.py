import gzip
import io
import os
import threading

import pytest
import zstandard

from collector.commands import sources
from collector.commands.sources import open_source
from collector.errors import CommandError

ROWS = b'{"a": 1}\n{"a": 2}\n'


class FakeStdin:
    """What is piped in, or a terminal."""

    def __init__(self, body=None):
        self.buffer = io.BytesIO(body or b"")
        self._is_terminal = body is None

    def isatty(self):
        return self._is_terminal


@pytest.fixture
def stdin(monkeypatch):
    return lambda body=None: monkeypatch.setattr(sources.sys, "stdin", FakeStdin(body))


def read(source):
    with source.open() as file:
        return file.read()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.ndjson", bytes),
        ("rows.jsonl.gz", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
        ("rows.NDJSON.zst", lambda body: b"".join(map(zstandard.ZstdCompressor().compress, (body[:9], body[9:])))),
    ],
)
def test_a_file_tells_its_form_and_compression_by_its_name_and_can_be_read_again(tmp_path, name, write):
    (tmp_path / name).write_bytes(write(ROWS))
    with open_source(str(tmp_path / name), None) as source:
        assert (source.format, read(source), read(source)) == ("ndjson", ROWS, ROWS)


def test_a_file_is_the_same_however_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_bytes(b"a\n1\n")
    monkeypatch.chdir(tmp_path)
    names = ["rows.csv", "./rows.csv", str(tmp_path / "rows.csv")]
    assert len({source.identity for name in names for source in [open_source(name, None).__enter__()]}) == 1


def test_how_much_is_read_is_known_of_a_file(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"x" * 100)
    with open_source(str(tmp_path / "rows.csv"), None) as source:
        assert source.done is None
        with source.open() as file:
            file.read(25)
            assert source.done == 0.25


def test_lines_come_through_a_pipe_as_they_are_sent(stdin):
    stdin(ROWS)
    with open_source("-", "ndjson") as source:
        assert (source.name, source.done, read(source)) == ("standard input", None, ROWS)


def test_what_has_to_be_read_twice_is_kept_meanwhile(stdin):
    stdin(b"a\n1\n")
    with open_source("-", "csv") as source:
        assert read(source) == read(source) == b"a\n1\n"


def test_a_named_pipe_is_read_once_and_kept(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"a\n1\n",))
    writer.start()
    with open_source(str(tmp_path / "pipe"), "csv") as source:
        writer.join()
        assert read(source) == read(source) == b"a\n1\n"


@pytest.mark.parametrize(
    ("file", "format_", "says", "hint"),
    [
        ("no.csv", None, "there is no file", ""),
        (".", None, "is a directory", "one by one"),
        ("rows.txt", None, "its name doesn't say what it holds", "--format"),
        ("-", None, "what comes through a pipe isn't known", "--format"),
    ],
)
def test_what_cannot_be_sent_is_said_with_what_to_do(tmp_path, monkeypatch, stdin, file, format_, says, hint):
    stdin(b"")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.txt").write_bytes(b"[]")
    with pytest.raises(CommandError, match=says) as caught, open_source(file, format_):
        pass
    assert hint in caught.value.hint


def test_a_terminal_is_not_waited_for(stdin):
    stdin()
    with pytest.raises(CommandError, match="there is no input"), open_source("-", "csv"):
        pass


@pytest.mark.parametrize(
    ("name", "body"), [("a.csv.gz", b"no"), ("a.csv.gz", gzip.compress(b"a" * 99, mtime=0)[:-9]), ("a.csv.zst", b"no")]
)
def test_what_is_not_compressed_as_its_name_says_is_told(tmp_path, name, body):
    (tmp_path / name).write_bytes(body)
    with open_source(str(tmp_path / name), None) as source, pytest.raises(CommandError, match="can't be decompressed"):
        read(source)
