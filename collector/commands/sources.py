"""Sources: a file of events, or a pipe, in one of the known formats."""

from __future__ import annotations

import gzip
import io
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO, cast

import zstandard

from collector.errors import CommandError

if TYPE_CHECKING:
    from collector.commands.options import FileFormat

STDIN = "-"
_BY_SUFFIX: dict[str, FileFormat] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
_COMPRESSIONS = (".gz", ".zst")


class Source:
    """Where rows come from; each opening begins at their start, but for a pipe, which can be read once.

    ``identity`` is the same whenever the same file is sent; ``name`` is for people; ``rows`` is known once its reader
    has found out, if it can.
    """

    def __init__(self, name: str, format_: FileFormat, path: Path | None, identity: str = STDIN) -> None:
        self.name = name
        self.format = format_
        self.identity = identity
        self.rows: int | None = None
        self._path = path
        self._raw: BinaryIO | None = None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it for reading, decompressed; raise CommandError for what can't be."""
        with (
            sys.stdin.buffer if self._path is None else self._path.open("rb") as self._raw,
            self._decompressing(self._raw) as opened,
        ):
            yield opened

    @contextmanager
    def _decompressing(self, raw: BinaryIO) -> Iterator[BinaryIO]:
        try:
            yield self._decompressed(raw)
        except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError, EOFError) as error:
            raise CommandError(f"{self.name} can't be decompressed: {error}") from error

    @property
    def done(self) -> float | None:
        """The share that is read already; None if that isn't known, as of a pipe."""
        if self._path is None or self._raw is None or self._raw.closed:
            return None
        return self._raw.tell() / max(self._path.stat().st_size, 1)

    def _decompressed(self, raw: BinaryIO) -> BinaryIO:
        if self.name.endswith(".gz"):
            return cast("BinaryIO", gzip.GzipFile(fileobj=raw))
        if self.name.endswith(".zst"):
            reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True, closefd=False)
            return cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", reader)))
        return raw


@contextmanager
def open_source(file: str, format_: FileFormat | None) -> Iterator[Source]:
    """Return what is to be sent: a file, or for ``-`` and pipes what comes through them.

    A pipe is kept in a temporary file first if it has to be read twice, or from its end. Raises CommandError.
    """
    path = Path(file)
    if file != STDIN and not path.exists():
        raise CommandError(f"there is no file {file}")
    if path.is_dir():
        raise CommandError(f"{file} is a directory", f"send the files in it one by one: {file}/*")
    if file != STDIN and path.is_file():
        yield Source(file, format_ or format_of(path), path, str(path.resolve()))
        return
    if file == STDIN and sys.stdin.isatty():
        raise CommandError("there is no input", "name a file, or write: … | evidently-collector send - --format csv")
    if format_ is None:
        raise CommandError("the format of what comes through a pipe isn't known", "name it with --format")
    name = "standard input" if file == STDIN else file
    if format_ == "ndjson" and file == STDIN:
        yield Source(name, format_, None)
        return
    with tempfile.NamedTemporaryFile() as kept:
        with sys.stdin.buffer if file == STDIN else path.open("rb") as pipe:
            shutil.copyfileobj(pipe, kept, 2**20)
        kept.flush()
        yield Source(name, format_, Path(kept.name))


def format_of(path: PurePath) -> FileFormat:
    """Return what a file holds by its name; raise CommandError if that doesn't say so."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSIONS:
        suffixes.pop()
    known = _BY_SUFFIX.get(suffixes[-1]) if suffixes else None
    if known is None:
        raise CommandError(f"{path}: its name doesn't say what it holds", "name the format with --format")
    return known
