import gzip
import os
import subprocess
import sys
import tracemalloc
import zlib
from contextlib import aclosing

import pytest
import trio
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from machine import PATIENCE

from collector.config import Limits
from collector.errors import BadBody, BodyTooLarge, BodyTooSlow
from collector.ingest.http.bodies import announced_length, read_body
from collector.ingest.room import Bodies, Place

LIMIT = Limits().max_body_bytes
GIB = 2**30
MIB = 2**20

MEASURE = """
import sys, trio
from pathlib import Path
from collector.errors import BodyTooLarge
from collector.ingest.http.bodies import read_body
from collector.ingest.room import Bodies, Place

async def chunks(body, size):
    for start in range(0, len(body), size):
        yield body[start:start + size]

def peak():
    # Not getrusage: its maximum is inherited from the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

body = Path(sys.argv[1]).read_bytes()
before = peak()
try:
    trio.run(read_body, chunks(body, int(sys.argv[4])), sys.argv[2], int(sys.argv[3]), 60, Place(Bodies(), 0))
except BodyTooLarge:
    print(peak() - before)
"""


def _zstd(body):
    return zstandard.ZstdCompressor().compress(body)


COMPRESS = {"gzip": gzip.compress, "zstd": _zstd}


async def _chunks(body, size):
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def _read(body, encoding="", limit=LIMIT, size=64 * 1024):
    async with aclosing(_chunks(body, size)) as chunks:
        return await read_body(chunks, encoding, limit, 60, place())


def place():
    """A place among no others, for a body of any size."""
    return Place(Bodies(), 0)


@pytest.mark.parametrize(
    ("length", "announced"), [(None, 0), ("10", 10), ("0", 0), ("", 0), ("ten", 0), ("-1", 0), ("²", 0)]
)
def test_a_length_within_the_limit_or_that_says_nothing_passes(length, announced):
    assert announced_length(length, 10) == announced


@pytest.mark.parametrize("length", ["11", "99999999999999999999", "9" * 10_000])
def test_a_length_over_the_limit_is_refused(length):
    with pytest.raises(BodyTooLarge, match=r"^Request Entity Too Large: the limit is 10 bytes"):
        announced_length(length, 10)


@settings(deadline=None)
@given(
    body=st.binary(max_size=200),
    name=st.sampled_from(["", "identity", "gzip", "x-gzip", "GZIP ", "zstd"]),
    size=st.integers(1, 50),
)
def test_a_body_comes_out_as_it_went_in_whatever_its_encoding_and_chunks(body, name, size):
    compress = COMPRESS.get(name.strip().lower().removeprefix("x-"), bytes)
    assert trio.run(_read, compress(body), name, len(body), size) == body


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_a_body_of_several_members_or_frames_is_read_to_its_end(encoding, size):
    """RFC 1952 (2.2) and RFC 8878 (3): what follows belongs to the body; to stop there would lose rows."""
    body = b"".join(COMPRESS[encoding](part) for part in (b'{"a": 1}\n', b"", b'{"a": 2}\n'))
    assert await _read(body, encoding, size=size) == b'{"a": 1}\n{"a": 2}\n'


@pytest.mark.parametrize("encoding", ["", *COMPRESS])
@pytest.mark.parametrize("size", [1, 1000])
async def test_a_body_may_be_as_large_as_the_limit_and_no_larger(encoding, size):
    body = COMPRESS.get(encoding, bytes)(bytes(1000))
    assert await _read(body, encoding, 1000, size) == bytes(1000)
    with pytest.raises(BodyTooLarge, match="the limit is 999 bytes"):
        await _read(body, encoding, 999, size)


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize("torn", [slice(0, -1), slice(0, 5), slice(0, 0)])
async def test_a_torn_compressed_body_is_refused(encoding, torn):
    with pytest.raises(BadBody, match=f"the {encoding} body is cut off before its end"):
        await _read(COMPRESS[encoding](b"some rows" * 10)[torn], encoding)


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize("wrong", [b'{"a": [1]}', "behind"])
async def test_what_is_not_compressed_as_it_says_is_refused(encoding, wrong):
    body = COMPRESS[encoding](b"rows") + b"no member" if wrong == "behind" else wrong
    with pytest.raises(BadBody, match=f"the body isn't {encoding} as its Content-Encoding says"):
        await _read(body, encoding)


async def test_a_gzip_body_with_a_wrong_checksum_is_refused():
    body = bytearray(gzip.compress(b"rows"))
    body[-8] ^= 1
    with pytest.raises(BadBody, match="isn't gzip"):
        await _read(bytes(body), "gzip")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, zstd"])
async def test_an_unknown_encoding_is_refused_by_name(encoding):
    with pytest.raises(BadBody, match=f"the Content-Encoding '{encoding}' isn't known here; known are gzip and zstd"):
        await _read(b"x", encoding)


async def test_a_body_that_does_not_arrive_in_time_is_refused(autojump_clock):
    async def dripping():
        while True:
            await trio.sleep(1)
            yield b" "

    started = trio.current_time()
    async with aclosing(dripping()) as chunks:
        with pytest.raises(BodyTooSlow, match=r"the body didn't arrive within 2\.5 s"):
            await read_body(chunks, "", LIMIT, 2.5, place())
    assert trio.current_time() - started == pytest.approx(2.5)


async def test_nothing_is_read_past_the_limit():
    read = []

    async def endless():
        while True:
            read.append(1)
            yield bytes(100)

    async with aclosing(endless()) as chunks:
        with pytest.raises(BodyTooLarge):
            await read_body(chunks, "", 1000, 60, place())
    assert len(read) == 11


def _gzip_bomb():
    compressor = zlib.compressobj(wbits=31)
    start = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    again = compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return start + again * (GIB // MIB - 1)  # after a full flush, the same bytes mean the same again


def _zstd_bomb():
    compressor = zstandard.ZstdCompressor().compressobj()
    return b"".join(compressor.compress(bytes(MIB)) for _ in range(GIB // MIB)) + compressor.flush()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("chunk", [2**12, 2**16])  # hypercorn reads 2**16 bytes at most
@pytest.mark.parametrize("bomb", [_gzip_bomb, _zstd_bomb])
def test_a_bomb_of_a_gibibyte_is_refused_within_twice_the_limits_memory(tmp_path, bomb, chunk):
    path = tmp_path / "bomb"
    path.write_bytes(bomb())
    encoding = bomb.__name__.split("_")[1]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), encoding, str(LIMIT), str(chunk)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert int(done.stdout) < 2 * LIMIT + MIB  # a MiB for what the interpreter does meanwhile


async def test_tiny_pieces_take_no_more_memory_than_is_in_them():
    """A chunk of two bytes is an object of 35; a million of them came for a config."""
    body = bytes(range(256)) * 2000
    tracemalloc.start()
    try:
        assert await _read(body, size=2) == body
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(body)
