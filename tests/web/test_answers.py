"""Answers without end, bombs, and what isn't what it says, from a transport of the test's own."""

import gzip
import itertools
import zlib

import httpx
import pytest
import trio

from collector.errors import UnreadableAnswer
from collector.web.answers import MAX_PIECES, MAX_REFUSAL, aread, json_of, read

MAX = 100_000


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in pieces, and counts those that were asked for."""

    def __init__(self, pieces):
        self.pieces = iter(pieces)
        self.taken = 0

    def __iter__(self):
        return self

    def __next__(self):
        piece = next(self.pieces)
        self.taken += len(piece)
        return piece

    def __aiter__(self):
        return self

    async def __anext__(self):
        for piece in self:
            return piece
        raise StopAsyncIteration


def response(pieces, status=200, **headers):
    stream = Pieces(pieces)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=given, stream=stream, request=httpx.Request("GET", "http://test")), stream


async def both(make):
    """Read the same answer in both ways; return it, or raise what both raise."""
    outcomes = []
    for is_async in (False, True):
        answer, _ = make()
        try:
            outcomes.append(await aread(answer, MAX) if is_async else read(answer, MAX))
        except UnreadableAnswer as error:
            outcomes.append(error)
    blocking, concurrent = outcomes
    if isinstance(blocking, UnreadableAnswer):
        assert str(blocking) == str(concurrent)
        raise blocking
    assert (blocking.status_code, blocking.content) == (concurrent.status_code, concurrent.content)
    return blocking


async def test_an_answer_is_read_whole():
    answer = await both(lambda: response([b'{"a": ', b"1}"], X_Name="x"))
    assert (answer.json(), answer.headers["x-name"]) == ({"a": 1}, "x")


async def test_a_header_that_is_no_ascii_comes_through():
    answer = await both(lambda: response([b"1"], Retry_After="²".encode("latin-1")))
    assert answer.headers["retry-after"] == "²"


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_a_packed_answer_is_unpacked_though_it_was_not_asked_for(pack):
    name = "gzip" if pack is gzip.compress else "deflate"
    answer = await both(lambda: response([pack(b"[1]")], Content_Encoding=name))
    assert answer.json() == [1]


async def test_an_endless_answer_is_read_to_its_bound():
    answer, stream = response(itertools.repeat(b" " * 1000))
    with pytest.raises(UnreadableAnswer, match="longer than 100,000 bytes"):
        await aread(answer, MAX)
    assert stream.taken == MAX + 1000


async def test_a_bomb_is_unpacked_to_its_bound():
    with pytest.raises(UnreadableAnswer, match="longer than 100,000 bytes"):
        await both(lambda: response([gzip.compress(b" " * (MAX + 1))], Content_Encoding="gzip"))


async def test_an_answer_in_single_bytes_is_given_up_and_others_have_their_turns_meanwhile():
    answer, stream = response(itertools.repeat(b" "))
    turns = 0

    async def take_turns():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        with pytest.raises(UnreadableAnswer, match="too many pieces"):
            await aread(answer, 10 * MAX_PIECES)
        nursery.cancel_scope.cancel()
    assert stream.taken == MAX_PIECES + 1
    assert turns >= MAX_PIECES / 100


async def test_an_endless_refusal_is_cut_and_keeps_its_status():
    answer = await both(lambda: response(itertools.repeat(b"no " * 1000), 500))
    assert (answer.status_code, len(answer.content)) == (500, MAX_REFUSAL)


@pytest.mark.parametrize(("encoding", "says"), [("gzip", "says that it is gzip"), ("br", "encoded as 'br'")])
async def test_an_answer_that_is_not_encoded_as_it_says_is_told(encoding, says):
    with pytest.raises(UnreadableAnswer, match=says):
        await both(lambda: response([b"not that"], Content_Encoding=encoding))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 200_000, b"1" * 5_000, b'"\xff\xfe"', b"\xff\xfe"])
async def test_what_is_no_json_is_one_kind_of_error(body):
    answer, _ = response([body])
    with pytest.raises(ValueError):  # noqa: PT011  (that it is one is what is tested)
        json_of(read(answer, 10**6))
