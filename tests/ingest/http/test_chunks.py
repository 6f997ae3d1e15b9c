import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import BadBody, BodyTooLarge
from collector.ingest.http.chunks import Chunked, Counted

LIMIT = 1000


def fed(framing, data, size):
    """Feed data so many bytes at a time; return the body."""
    body = b""
    for start in range(0, len(data), size):
        body += framing.feed(data[start : start + size])
        if framing.is_whole:
            framing.rest += data[start + size :]
            break
    return body


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=10),
    extension=st.sampled_from([b"", b";a=b", b' ; c="d"']),
    trailer=st.sampled_from([b"", b"X: y\r\n", b"X:\r\nY: z\r\n"]),
    size=st.integers(1, 50),
)
def test_chunks_come_out_as_they_went_in_wherever_they_are_cut(pieces, extension, trailer, size):
    framed = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    chunked = Chunked(LIMIT)
    assert fed(chunked, framed + b"0\r\n" + trailer + b"\r\nPOST /next", size) == b"".join(pieces)
    assert (chunked.is_whole, chunked.rest) == (True, b"POST /next")


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "data",
    [
        b"zz\r\n",
        b"\r\n",
        b"0x3\r\nabc\r\n",
        b"-3\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b" 3\r\nabc\r\n",
        b"1_0\r\nabc\r\n",
        b"3\nabc\n0\n\n",
        b"3;a\nb\r\nabc\r\n",
        b"3\r\nabcXX0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabc\r0\r\n\r\n",
        b"0\r\nno trailer\r\n\r\n",
        b"0\r\n X: folded\r\n\r\n",
        b"0\r\nX: a\nb\r\n\r\n",
        b"0000000000000000003\r\nabc\r\n",
        b"3" * 5000,
        b"0\r\n" + b"X: yyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 5000,
        b"1;%b\r\na\r\n" % (b"x" * 1000) * 100,
    ],
)
def test_what_proxies_may_take_for_something_else_is_refused(data, size):
    with pytest.raises(BadBody, match="isn't in chunks as its Transfer-Encoding says"):
        fed(Chunked(10**9), data + b"\r\n" * 3, size)


def test_a_chunk_over_the_limit_is_refused_before_its_first_byte():
    chunked = Chunked(LIMIT)
    assert chunked.feed(b"%x\r\n" % LIMIT) == b""
    assert chunked.feed(b"x" * LIMIT + b"\r\n0\r\n\r\n") == b"x" * LIMIT
    for size in (b"3e9", b"FFFFFFFFFFFFFFFF", b"3e8\r\n" + b"x" * 1000 + b"\r\n1"):
        with pytest.raises(BodyTooLarge):
            Chunked(LIMIT).feed(size + b"\r\n")


def test_tiny_chunks_are_no_more_than_their_bytes():
    """A piece of memory for each would be thirty times what they hold."""
    assert Chunked(LIMIT).feed(b"1\r\nx\r\n" * 500) == b"x" * 500


def test_a_body_of_a_known_length_ends_there():
    counted = Counted(5)
    assert [counted.feed(b"ab"), counted.is_whole] == [b"ab", False]
    assert [counted.feed(b"cdeGET /"), counted.is_whole, counted.rest] == [b"cde", True, b"GET /"]
    assert Counted(0).is_whole
