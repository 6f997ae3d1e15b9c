"""CSV files of any size, cut where rows end; which types their values have is found later, from all of them."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import BinaryIO

from collector.errors import CommandError
from collector.formats.csv_body import QUOTED

BLOCK_BYTES = 4 * 2**20
MAX_ROW_BYTES = 64 * 2**20


def read_header(file: BinaryIO, name: str) -> bytes:
    """Read the header without the end of its line, or blank lines and a byte order mark before it."""
    header = b""
    while line := file.readline(MAX_ROW_BYTES):
        header = (header + line).removeprefix(BOM_UTF8).lstrip(b"\r\n")
        if header and not _is_open(header):
            return header.rstrip(b"\r\n")
    raise CommandError(f"{name}: the file is empty" if not header else f"{name}: the header has an open quote")


def read_rows(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield each row behind the header without the end of its last line; blank lines are none.

    Raises CommandError for a quote that stays open.
    """
    rest = b""
    while read := file.read(BLOCK_BYTES):
        rest += read
        end = _masked(rest).rfind(b"\n") + 1
        yield from _rows(rest[:end])
        rest = rest[end:]
        if len(rest) > MAX_ROW_BYTES:
            raise CommandError(
                f"{name}: a row has more than {MAX_ROW_BYTES} bytes", "is a quote opened and never closed?"
            )
    if _is_open(rest):
        raise CommandError(f"{name}: a quote is opened in one of the last rows and never closed")
    yield from _rows(rest + b"\n")


def _rows(block: bytes) -> Iterator[bytes]:
    start = 0
    for line in _masked(block).split(b"\n")[:-1]:
        end = start + len(line)
        if line.strip(b"\r"):
            yield block[start:end].removesuffix(b"\r")
        start = end + 1


def _masked(rows: bytes) -> bytes:
    """Return the rows with filler in place of quoted values: then each line end that is left ends a row."""
    return QUOTED.sub(lambda found: b"x" * len(found[0]), rows) if b'"' in rows else rows


def _is_open(rows: bytes) -> bool:
    return any(not found[1] for found in QUOTED.finditer(rows))
