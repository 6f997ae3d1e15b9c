"""Files to read from, wherever they are: on this machine, or in a store as S3 or Google's, through pyarrow."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO, cast

import pyarrow as pa
from pyarrow import fs

from collector.commands.sources import Source, format_of
from collector.errors import CommandError
from collector.formats.addresses import is_address, open_store
from collector.wording import first_line


class _Stored(Source):
    """A file in a store."""

    def __init__(self, name: str, files: fs.FileSystem, info: fs.FileInfo) -> None:
        super().__init__(name, format_of(PurePosixPath(info.path)), None, name)
        self._files = files
        self._info = info

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it for reading, decompressed; raise CommandError if that fails."""
        try:
            with self._files.open_input_file(self._info.path) as file:
                self._raw = cast("BinaryIO", io.BufferedReader(file, 2**20))
                with self._decompressing(self._raw) as opened:
                    yield opened
        except (OSError, pa.ArrowException) as error:
            raise CommandError(f"{self.name} can't be read: {first_line(error)}") from error

    @property
    def done(self) -> float | None:
        """The share that has been read."""
        return None if self._raw is None or self._raw.closed else self._raw.tell() / max(self._info.size, 1)


def find_sources(names: Sequence[str]) -> list[Source]:
    """Return the files that are named, of a directory all that hold events; raise CommandError if there are none."""
    return [source for name in names for source in (_stored(name) if is_address(name) else _local(name))]


def _local(name: str) -> list[Source]:
    path = Path(name)
    if not path.exists():
        raise CommandError(f"there is no file {name}")
    paths = sorted(path.rglob("*")) if path.is_dir() else [path]
    files = [one for one in paths if one.is_file() and (one == path or _holds_events(one))]
    if not files:
        raise CommandError(f"{name} has no files of events", "name CSV, parquet, NDJSON or Arrow files")
    return [Source(str(one), format_of(one), one, str(one.resolve())) for one in files]


def _stored(address: str) -> list[Source]:
    try:
        files, where = open_store(address)
        info = files.get_file_info(where)
        if info.type == fs.FileType.Directory:
            found = files.get_file_info(fs.FileSelector(where, recursive=True))
            infos = sorted((one for one in found if _is_of_events(one)), key=lambda one: one.path)
        else:
            infos = [info] if info.type == fs.FileType.File else []
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CommandError(f"{address} can't be read: {first_line(error)}") from error
    if not infos:
        raise CommandError(f"there are no files of events at {address}", "name a file, or a directory of such")
    scheme = address.partition("://")[0]
    names = [address] if len(infos) == 1 and infos[0] is info else [f"{scheme}://{one.path}" for one in infos]
    return [_Stored(name, files, one) for name, one in zip(names, infos, strict=True)]


def _is_of_events(info: fs.FileInfo) -> bool:
    return info.type == fs.FileType.File and _holds_events(PurePosixPath(info.path))


def _holds_events(path: PurePath) -> bool:
    try:
        format_of(path)
    except CommandError:
        return False
    return True
