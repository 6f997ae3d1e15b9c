"""Streams that lose lines rather than raise or wait."""

import fcntl
import io
import os
import re
import select

import pytest

from collector.views import lossy as module
from collector.views.lossy import Background, Lossy

SECONDS = 20


class FullDisk(io.StringIO):
    is_full = True

    def write(self, text):
        if self.is_full:
            raise OSError(28, "No space left on device")
        return super().write(text)


@pytest.fixture
def pipe():
    """Return the end that is read, and a stream over the other; it holds 4 096 bytes."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writing, "w") as stream:
        yield reading, stream
    os.close(reading)


def take(descriptor):
    """Return what is next to be read; fail when nothing comes."""
    assert select.select([descriptor], [], [], SECONDS)[0], "nothing more was written"
    return os.read(descriptor, 2**16)


def read(descriptor, until):
    """Read until a pattern has come; return all."""
    seen = b""
    while not re.search(until, seen):
        seen += take(descriptor)
    return seen.decode()


def count(descriptor, lines):
    """Read until so many lines are there or told as missing; return how many of each."""
    seen, kept, lost = b"", 0, 0
    while kept + lost < lines:
        *whole, seen = (seen + take(descriptor)).split(b"\n")
        gaps = [int(line.split()[0]) for line in whole if line.endswith(b"missing here")]
        kept, lost = kept + len(whole) - len(gaps), lost + sum(gaps)
    return kept, lost


def test_what_cannot_be_written_ends_nothing_and_is_counted():
    disk = FullDisk()
    stream = Lossy(disk)
    stream.write("lost\n")
    stream.write("lost\ntoo\n")
    disk.is_full = False
    stream.write("one\n")
    stream.write("two\n")
    assert disk.getvalue().splitlines() == [
        "3 lines of the log could not be written, and are missing here",
        "one",
        "two",
    ]


def test_a_pipe_that_nobody_reads_holds_nobody_and_the_count_is_told_once_there_is_room(pipe):
    """The event loop waited in write(2): no POST was answered, and not even SIGTERM heard."""
    reading, writing = pipe
    stream = Background(writing)
    written = 3 * module.MAX_PENDING_BYTES // 100
    for number in range(written):
        stream.write(f"{number:099}\n")
    stream.finish(0.01)
    kept, lost = count(reading, written)
    assert (kept + lost, lost > written / 2) == (written, True)
    stream.write("after\n")
    assert read(reading, rb"after\n") == "after\n"


def test_a_reader_that_is_gone_ends_nothing(pipe):
    reading, writing = pipe
    os.dup2(nowhere := os.open(os.devnull, os.O_RDONLY), reading)
    os.close(nowhere)
    stream = Background(writing)
    stream.write("nobody reads this\n")
    stream.finish(SECONDS)
    assert stream.lost == 1


def test_the_end_waits_for_what_is_read(pipe):
    reading, writing = pipe
    stream = Background(writing)
    stream.write("last words\n")
    stream.finish(SECONDS)
    assert os.read(reading, 100) == b"last words\n"
