"""Bodies: read within limits of size and time, decompressed within the same limits."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

import trio
import zstandard

from collector.errors import BadBody, BodyTooLarge, BodyTooSlow
from collector.formats.charsets import to_utf_8
from collector.ingest.room import MAX_WRITE

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterator

    from collector.ingest.room import Place
    from collector.store.body_files import BodyWriter


_SMALL_PIECE = 1024
_MAX_DIGITS = 20  # Python refuses to convert very long numbers


class _Decompressor(Protocol):
    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Decompress a chunk; yield pieces small enough that a bomb is noticed before it has unfolded."""

    def close(self) -> None:
        """Raise BadBody if the body is cut off before its end."""


def announced_length(content_length: str | None, limit: int) -> int:
    """Return the length that a body is said to have, 0 if none is; raise BodyTooLarge before any of it is read."""
    if content_length is None or not content_length.isdecimal():
        return 0
    if len(content_length) > _MAX_DIGITS or int(content_length) > limit:
        raise too_large(limit)
    return int(content_length)


async def read_body(  # noqa: PLR0913  (all of them differ from call to call)
    chunks: bytes | AsyncIterable[bytes],
    encoding: str,
    limit: int,
    timeout: float,  # noqa: ASYNC109  (it is of the config, and stands in the answer)
    place: Place,
    file: BodyWriter | None = None,
    charset: str = "",
) -> bytes:
    """Read a whole body of at most ``limit`` bytes and within ``timeout`` seconds into its place.

    It is decompressed, and if it is text of a charset, made UTF-8.

    One that is here whole has been announced, and isn't encoded. One of more than ``MAX_WRITE`` goes into a file, if
    there is one: all but its last piece, which is returned.

    Raises BodyTooLarge, BodyTooSlow, NotReady, or BadBody for an encoding that we don't know or that is broken.
    """
    if isinstance(chunks, bytes):
        place.grow_to(len(chunks))
        return to_utf_8(charset)(chunks, True) if charset else chunks
    decompressor = _decompressor(encoding)
    if charset:
        decompressor = _Recoded(decompressor, charset)
    gathered: list[bytes | bytearray] = []
    size = held = 0
    try:
        with trio.fail_after(timeout):
            async for chunk in chunks:
                for piece in (chunk,) if decompressor is None else decompressor.feed(chunk):
                    size += len(piece)
                    if size > limit:
                        raise too_large(limit)
                    held += len(piece)
                    place.grow_to(held)
                    _gather(gathered, piece)
                    if file is not None and held >= MAX_WRITE:
                        # The client isn't to blame for a stall of ours: what has come by now is written, even if its
                        # time is up.
                        with trio.CancelScope(shield=True):
                            await file.write(b"".join(gathered))
                        gathered, held = [], 0
    except trio.TooSlowError as error:
        raise BodyTooSlow(f"the body didn't arrive within {timeout:g} s") from error
    if decompressor is not None:
        decompressor.close()
    return b"".join(gathered)


def _gather(gathered: list[bytes | bytearray], piece: bytes) -> None:
    """Add a piece. Tiny pieces are joined, as each by itself takes more memory than it holds."""
    if len(piece) >= _SMALL_PIECE or not gathered:
        gathered.append(piece)
        return
    if not isinstance(gathered[-1], bytearray):
        gathered.append(bytearray())
    gathered[-1] += piece


def small_decompressed(body: bytes, encoding: str, limit: int) -> bytes | None:
    """Return a small body decompressed; None if it becomes more than ``limit`` bytes, or isn't what it says."""
    try:
        decompressor = _decompressor(encoding)
        if decompressor is None:
            return body
        whole = b""
        for piece in decompressor.feed(body):
            whole += piece
            if len(whole) > limit:
                return None
        decompressor.close()
    except BadBody:
        return None  # the usual way reads it again, and says what is wrong
    return whole


def gunzipped(body: bytes, limit: int) -> bytes:
    """Return a body decompressed that begins as gzip does; raise BadBody if it is none, BodyTooLarge."""
    decompressor, whole = _Gzip(), bytearray()
    for piece in decompressor.feed(body):
        whole += piece
        if len(whole) > limit:
            raise too_large(limit)
    decompressor.close()
    return bytes(whole)


def too_large(limit: int) -> BodyTooLarge:
    """Return what a body is refused with that is over its limit."""
    return BodyTooLarge(f"Request Entity Too Large: the limit is {limit} bytes; send the rows in several requests")


def _decompressor(encoding: str) -> _Decompressor | None:
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return None
    if name in {"gzip", "x-gzip"}:
        return _Gzip()
    if name == "zstd":
        return _Zstd()
    raise BadBody(f"the Content-Encoding '{encoding}' isn't known here; known are gzip and zstd")


class _Recoded:
    """Text of another charset, which becomes UTF-8 once it is decompressed."""

    def __init__(self, decompressor: _Decompressor | None, charset: str) -> None:
        self._decompressor = decompressor
        self._recode = to_utf_8(charset)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for piece in (chunk,) if self._decompressor is None else self._decompressor.feed(chunk):
            yield self._recode(piece, False)

    def close(self) -> None:
        if self._decompressor is not None:
            self._decompressor.close()
        self._recode(b"", True)


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
            raise BadBody("the gzip body is cut off before its end")


class _Zstd:
    # RFC 9659 lets a decoder of HTTP bodies refuse windows above 8 MiB.
    _MAX_WINDOW = 8 * 2**20
    # Compressed bytes that are fed at a time. A block of 4 bytes may unfold to 128 KiB, so these are at most 8 MiB.
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
            raise BadBody("the zstd body is cut off before its end")
