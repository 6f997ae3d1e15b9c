"""How HTTP frames bodies: by a Content-Length, or in chunks, up to an empty one."""

from __future__ import annotations

import re

import trio

from collector.errors import BadBody
from collector.ingest.http.bodies import too_large

_MAX_RECV = 2**20
# Tiny chunks take long to put together, and that holds up the event loop.
_MAX_RECV_CHUNKED = 2**15
_MAX_LINE = 4096
# Each chunk line may have 16 bytes, and twice as many more as its chunk. All lines together may exceed that by this
# many bytes, as in Go's server.
_MAX_EXCESS = 16 * 1024
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


class Counted:
    """A body of a length that is told before."""

    max_recv = _MAX_RECV

    def __init__(self, length: int) -> None:
        self._missing = length
        self.rest = b""

    @property
    def is_whole(self) -> bool:
        """Whether all of it has come."""
        return not self._missing

    def feed(self, data: bytes) -> bytes:
        """Return what of the body has come; what comes behind its end is the ``rest``."""
        body = data[: self._missing]
        self.rest = data[self._missing :]
        self._missing -= len(body)
        return body

    def close(self) -> None:
        """Hear that no more comes; raise BrokenResourceError: whoever told a length and left wants no answer."""
        raise trio.BrokenResourceError("the client left in the midst of a body")


class Chunked:
    """A body in chunks (RFC 9112, 7.1); read strictly: proxies may differ in what else they accept.

    9;a=b CRLF      the size of a chunk, in hexadecimal; what follows a semicolon means nothing to us
    {"x":[1]} CRLF  the chunk
    0 CRLF          no more chunks
    X: y CRLF       a trailer, which means nothing to us
    CRLF            the end of the body
    """

    max_recv = _MAX_RECV_CHUNKED

    def __init__(self, limit: int) -> None:
        self.is_whole = False
        self.rest = b""
        self._limit = limit
        self._size = self._excess = 0
        self._held = b""  # the beginning of a line that isn't complete
        self._missing = 0  # bytes that the chunk still lacks
        self._ends_chunk = self._is_trailing = False

    def feed(self, data: bytes) -> bytes:
        """Return what of the body has come; what comes behind its end is the ``rest``.

        Raises BadBody for what can't be chunks, BodyTooLarge before the first byte of one that is too large.
        """
        data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self.is_whole:
            if self._missing:
                piece = data[at : at + self._missing]
                pieces.append(piece)
                at += len(piece)
                self._missing -= len(piece)
                self._ends_chunk = not self._missing
                continue
            end = data.find(b"\r\n", at, at + _MAX_LINE)
            if end < 0:
                self._hold(data[at:])
                break
            self._read_line(data[at:end])
            at = end + 2
        if self.is_whole:
            self.rest = data[at:]
        return b"".join(pieces)

    def close(self) -> None:
        """Hear that no more comes; raise BadBody, as whoever tells no length may think that this is the end."""
        raise _bad("no last chunk")

    def _hold(self, line: bytes) -> None:
        if len(line) >= _MAX_LINE or (self._ends_chunk and line != b"\r"):
            raise _bad("a line that is too long" if len(line) >= _MAX_LINE else "a chunk that is longer than its size")
        self._held = line

    def _read_line(self, line: bytes) -> None:
        if self._ends_chunk:
            if line:
                raise _bad("a chunk that is longer than its size")
            self._ends_chunk = False
        elif self._is_trailing:
            self._read_trailer(line)
        else:
            self._read_size(line)

    def _read_size(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise _bad(f"{line[:40]!r} where the size of a chunk was expected")
        self._missing = int(found[1], 16)
        self._size += self._missing
        if self._size > self._limit:
            raise too_large(self._limit)
        self._count(line, self._missing)
        self._is_trailing = not self._missing

    def _read_trailer(self, line: bytes) -> None:
        if not line:
            self.is_whole = True
        elif not _TRAILER.fullmatch(line):
            raise _bad(f"{line[:40]!r} behind the last chunk")
        self._count(line, 0)

    def _count(self, line: bytes, size: int) -> None:
        self._excess = max(self._excess + len(line) - 16 - 2 * size, 0)
        if self._excess > _MAX_EXCESS:
            raise _bad("more about the chunks than in them")


def _bad(found: str) -> BadBody:
    return BadBody(f"the body isn't in chunks as its Transfer-Encoding says: there is {found}")
