"""Bodies: read within limits of size and time, decompressed within the same limits."""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import trio
import zstandard

from collector.errors import BadBody, BodyTooLarge, BodyTooSlow, NotReady
from collector.formats.frames import TYPED_FORMATS

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterator

    from collector.config import Limits
    from collector.formats.frames import Format
    from collector.store.body_files import BodyFile


# A body of more bytes goes into a file of its own, so many of them at a time.
MAX_HELD = 256 * 1024
MAX_WRITE = 2**20
_MAX_DIGITS = 20  # Python refuses to make numbers of too many


class _Decompressor(Protocol):
    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Give what a chunk becomes, in pieces small enough that a bomb is noticed before it has gone off."""

    def close(self) -> None:
        """Raise BadBody if the body ends in its midst."""


def max_bytes(limits: Limits, format_: Format) -> int:
    """Give the limit for bodies of a format."""
    return limits.max_typed_body_bytes if format_ in TYPED_FORMATS else limits.max_body_bytes


def announced_length(content_length: str | None, limit: int) -> int:
    """Give the length that a body is said to have, 0 if none is; raise BodyTooLarge before any of it is read."""
    if content_length is None or not content_length.isdecimal():
        return 0
    if len(content_length) > _MAX_DIGITS or int(content_length) > limit:
        raise _too_large(limit)
    return int(content_length)


class Bodies:
    """The bodies that are in memory: no more than the limits allow, but always one, whatever its size."""

    def __init__(self) -> None:
        self.count = 0
        self.size = 0

    def check(self, limits: Limits, size: int) -> None:
        """Raise NotReady if there is no place for another body, of so many bytes."""
        if self.count >= limits.max_concurrent_bodies:
            raise _no_place(f"{self.count} other requests")
        if self.count and self.size + size > limits.max_concurrent_body_bytes:
            raise _no_place(f"the bodies of {self.count} other requests")

    @contextmanager
    def admit(self, limits: Limits, announced: int) -> Iterator[Place]:
        """Make place for a body, of as many bytes as it is said to have; raise NotReady if there is none."""
        self.check(limits, announced)
        place = Place(self, limits.max_concurrent_body_bytes)
        self.count += 1
        try:
            place.grow_to(announced)
            yield place
        finally:
            self.count -= 1
            self.size -= place.size


class Place:
    """What a body takes of the memory for all of them."""

    def __init__(self, bodies: Bodies, limit: int) -> None:
        self.size = 0
        self._bodies = bodies
        self._limit = limit

    def grow_to(self, size: int) -> None:
        """Take as many bytes in all, if it has less; raise NotReady if other bodies leave no room for them."""
        growth = max(size - self.size, 0)
        if self._bodies.count > 1 and self._bodies.size + growth > self._limit:
            raise _no_place(f"the bodies of {self._bodies.count - 1} other requests")
        self.size += growth
        self._bodies.size += growth


async def read_body(  # noqa: PLR0913  (all of them differ from call to call)
    chunks: bytes | AsyncIterable[bytes],
    encoding: str,
    limit: int,
    timeout: float,  # noqa: ASYNC109  (it is of the config, and stands in the answer)
    place: Place,
    file: BodyFile | None = None,
) -> bytes:
    """Read a whole body, decompressed, of at most ``limit`` bytes and within ``timeout`` seconds, into its place.

    One that is here whole has been announced, and isn't encoded. One of more than ``MAX_WRITE`` goes into the file, if
    there is one: all but its last piece, which is returned.

    Raises BodyTooLarge, BodyTooSlow, NotReady, or BadBody for an encoding that we don't know or that is broken.
    """
    if isinstance(chunks, bytes):
        place.grow_to(len(chunks))
        return chunks
    decompressor = _decompressor(encoding)
    gathered: list[bytes] = []
    size = held = 0
    try:
        with trio.fail_after(timeout):
            async for chunk in chunks:
                for piece in (chunk,) if decompressor is None else decompressor.feed(chunk):
                    size += len(piece)
                    if size > limit:
                        raise _too_large(limit)
                    held += len(piece)
                    place.grow_to(held)
                    gathered.append(piece)
                    if file is not None and held >= MAX_WRITE:
                        await file.write(b"".join(gathered))
                        gathered, held = [], 0
    except trio.TooSlowError as error:
        raise BodyTooSlow(f"the body didn't arrive within {timeout:g} s") from error
    if decompressor is not None:
        decompressor.close()
    return b"".join(gathered)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"Request Entity Too Large: the limit is {limit} bytes; send the rows in several requests")


def _no_place(others: str) -> NotReady:
    return NotReady(f"{others} are being read, as much as the service takes at a time; nothing was kept, try again")


def _decompressor(encoding: str) -> _Decompressor | None:
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return None
    if name in {"gzip", "x-gzip"}:
        return _Gzip()
    if name == "zstd":
        return _Zstd()
    raise BadBody(f"the Content-Encoding '{encoding}' isn't known here; known are gzip and zstd")


class _Gzip:
    _PIECE = 2**20

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        try:
            while chunk:
                if self._zlib.eof:  # a gzip file may have several members
                    self._zlib = zlib.decompressobj(wbits=31)
                yield self._zlib.decompress(chunk, self._PIECE)
                chunk = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
        except zlib.error as error:
            raise BadBody(f"the body isn't gzip as its Content-Encoding says: {error}") from error

    def close(self) -> None:
        if not self._zlib.eof:
            raise BadBody("the gzip body ends in its midst")


class _Zstd:
    # 8 MiB is what RFC 9659 lets a decoder of HTTP bodies refuse beyond.
    _MAX_WINDOW = 8 * 2**20
    # A block of 4 bytes may be 128 KiB when decompressed, so that this many bytes are at most 8 MiB.
    _PIECE = 256

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=self._MAX_WINDOW)
        self._zstd = self._context.decompressobj()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for start in range(0, len(chunk), self._PIECE):
            yield from self._feed(chunk[start : start + self._PIECE])

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        try:
            while piece:
                if self._zstd.eof:  # a zstd file may have several frames
                    self._zstd = self._context.decompressobj()
                yield self._zstd.decompress(piece)
                piece = self._zstd.unused_data if self._zstd.eof else b""
        except zstandard.ZstdError as error:
            raise BadBody(f"the body isn't zstd as its Content-Encoding says: {error}") from error

    def close(self) -> None:
        if not self._zstd.eof:
            raise BadBody("the zstd body ends in its midst")
