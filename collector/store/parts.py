"""Parts: parquet files of rows, written from the journal's frames in a process of its own.

Runs in a light worker process: decoding holds the GIL, and a POST's latency must not depend on it.
"""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from io import BytesIO
from itertools import chain
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, TypeVar

from collector.disk.checksums import body_checksum, frame_checksum, frame_checksums, stored_checksum
from collector.disk.files import write_whole
from collector.disk.refusals import is_damage
from collector.errors import BadBody, FilesDamaged
from collector.formats.frames import decode_frames
from collector.formats.sources import MARKED, ORIGIN
from collector.store.connect import read_only
from collector.store.data_dir import DataDir
from collector.store.windowed import shares_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from collector.formats.frames import Format
    from collector.formats.private import Private
    from collector.formats.stored import StoredBody
    from collector.store.windowed import Windows


T = TypeVar("T")
_Row = tuple[float, int, "Format", int, Any, int | None]  # when a frame came, and the fields of Kept
_TOGETHER = 128  # frames; more don't fit the processor's cache
# Bytes of different values that a column's dictionary may have. Further values are written plainly, which saves time
# and room if most differ.
_MAX_DICTIONARY_BYTES = 32 * 1024
_NO_METADATA: Mapping[bytes, str] = MappingProxyType({})
# What decoding and pyarrow raise for rows that parquet can't hold. OSError isn't among them: it is the disk's.
UNWRITABLE = (BadBody, ValueError, TypeError, NotImplementedError, ArithmeticError, KeyError)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a part's rows come from: the collector, the numbers of its first and last frame, when the first came."""

    collector: str
    first: int
    last: int
    opened: float


@dataclass(frozen=True, slots=True)
class WindowOrigin(Origin):
    """The same for a part of one window of event time; other parts of its ``run`` have other rows of its frames."""

    run: str = ""
    window: float | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The part that a run of frames became; frames that can't be read went to the files ``damaged``.

    With windows of event time there is one part for each window, which starts at ``window``; ``late`` of its rows
    belong to earlier windows.
    """

    rows: int
    size: int
    damaged: tuple[str, ...] = ()
    path: str = ""
    window: float | None = None
    late: int = 0


# not frozen: making one would take three times as long, which counts with 10 000 frames of one row
@dataclass(slots=True)
class Kept:
    """A frame as the journal has it."""

    collector: str
    seq: int
    format: Format
    rows: int
    body: Any  # bytes, unless it is damaged
    checksum: int | None
    place: str | None = None  # where the body is, if that is in a file

    @property
    def is_sound(self) -> bool:
        """Whether it is as it came; frames of the journal's first format have no checksum to tell by."""
        if not isinstance(self.body, bytes):
            return False
        of = (self.collector, self.format, self.rows)
        if self.place is not None:
            return self.checksum == stored_checksum(*of, body_checksum(self.body))
        return self.checksum in {None, frame_checksum(*of, self.body)}

    def loaded(self, data_dir: DataDir) -> Kept:
        """Return the frame with its body read, if that is in a file; if it can't be read, the frame stays as it is."""
        if not isinstance(self.body, str):
            return self
        try:
            return replace(self, body=data_dir.body(self.body).read(), place=self.body)
        except (OSError, ValueError):
            return self


def warm_up() -> None:
    """Import what write_part needs."""
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401


def write_part(directory: str, collector: str, first: int, last: int, path: str) -> Written:
    """Write the frames in a data directory's journal from ``first`` to ``last`` of a collector to a parquet file.

    Frames that are damaged or can't be decoded are written to ``damaged`` in the data directory, each to a file of its
    own, and the rest to the part; without any rest there is no part.
    """
    run = (collector, first, last)

    def write_whole_run(sound: _Sound) -> Written:
        if sound.table is None:
            return Written(0, 0, sound.damaged)
        origin = {ORIGIN: json.dumps(asdict(Origin(*run, sound.opened)))}
        return Written(sound.table.num_rows, write(sound.table, Path(path), origin), sound.damaged)

    return _write_sound(DataDir(Path(directory)), run, write_whole_run)


def write_windows(directory: str, run: tuple[str, int, int], path: str, windows: Windows) -> list[Written]:
    """Do the same with a part for each window of event time; their paths are like the one that is given.

    ``run`` has the collector, and the numbers of the first and the last frame.
    """
    target = Path(path)

    def write_each(sound: _Sound) -> list[Written]:
        if sound.table is None:
            return [Written(0, 0, sound.damaged)]
        done = []
        for number, share in enumerate(shares_of(sound.table, sound.came, windows)):
            part = target.with_name(f"{target.stem}.{number}.parquet")
            origin = WindowOrigin(*run, sound.opened, target.stem, share.start)
            size = write(share.table, part, {ORIGIN: json.dumps(asdict(origin))})
            damaged = () if number else sound.damaged
            done.append(Written(share.table.num_rows, size, damaged, str(part), share.start, share.late))
        return done

    return _write_sound(DataDir(Path(directory)), run, write_each)


def write_reference(format_: Format, body: bytes | StoredBody, path: str) -> tuple[int, int]:
    """Write the rows of a body, wherever it is, to a parquet file; return rows and bytes."""
    table = decode_frames([(format_, body if isinstance(body, bytes) else body.read())])
    return table.num_rows, write(table, Path(path))


def make_reference(parts: list[str], rows: int, path: str, private: Private | None) -> None:
    """Write the first ``rows`` rows of parts to a parquet file; raise FilesDamaged with all that can't be read."""
    from collector.formats.part_tables import Unreadable, read_parts  # what they need is nothing for the daemon
    from collector.formats.private import apply

    try:
        table, merging = read_parts(parts)
    except Unreadable as error:
        raise FilesDamaged(error.paths) from error
    whole = table.drop_columns(list(merging.failed)).slice(0, rows)
    write(apply(whole, private), Path(path))  # rows may have come before the config named private columns


def write(table: pa.Table, target: Path, metadata: Mapping[bytes, str] = _NO_METADATA) -> int:
    """Put a table at a path, whole and on the disk, or not at all; return its bytes."""
    write_whole(target, lambda file: _encode(table, file, metadata))
    return target.stat().st_size


def read_origin(path: Path) -> tuple[Origin, int] | None:
    """Read from a part what it was made of, and its number of rows; None if it can't be read or doesn't say."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(path)
        read = json.loads((footer.metadata or {})[ORIGIN])
        return (WindowOrigin(**read) if "window" in read else Origin(**read)), footer.num_rows
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError):
        return None


def read_rows(path: Path) -> int | None:
    """Read of a part how many rows it has; None if it can't be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return None


def set_aside_frame(frame: Kept, data_dir: DataDir) -> Path:
    """Write the body of a damaged frame to a file of its own; return its path."""
    path = data_dir.damaged_frame(frame.collector, frame.seq, frame.format)
    body = frame.body if isinstance(frame.body, bytes) else str(frame.body).encode()
    write_whole(path, body)
    return path


@dataclass(slots=True)
class _Sound:
    """The rows of a run that can be read, if any: when the first came, and how many came at which time."""

    table: pa.Table | None
    damaged: tuple[str, ...]
    came: list[tuple[float, int]]

    @property
    def opened(self) -> float:
        return min((at for at, _ in self.came), default=math.inf)


def _write_sound(data_dir: DataDir, run: tuple[str, int, int], put: Callable[[_Sound], T]) -> T:
    """Have the rows of a run written. If they don't fit one table, leave out the frames that are unfit alone."""
    with _open(data_dir) as db:
        try:
            return put(_read_sound(db, data_dir, run, frozenset()))
        except UNWRITABLE:
            rows = chain.from_iterable(_read_frames(db, run))
            frames = (Kept(run[0], *row).loaded(data_dir) for _, *row in rows)
            unfit = frozenset(frame.seq for frame in frames if frame.is_sound and not _is_fit(frame))
            if not unfit:
                raise
            return put(_read_sound(db, data_dir, run, unfit))


def _read_sound(db: sqlite3.Connection, data_dir: DataDir, run: tuple[str, int, int], unfit: frozenset[int]) -> _Sound:
    damaged: list[str] = []
    came: list[tuple[float, int]] = []

    def sound() -> Iterator[tuple[Format, bytes]]:
        for rows in _read_frames(db, run):
            if not unfit and _are_sound(run[0], rows):
                came.extend(map(itemgetter(0, 3), rows))
                yield from map(itemgetter(2, 4), rows)
                continue
            for received, *row in rows:
                frame = Kept(run[0], *row).loaded(data_dir)
                if frame.is_sound and frame.seq not in unfit:
                    came.append((received, frame.rows))
                    yield frame.format, frame.body
                else:
                    damaged.append(str(set_aside_frame(frame, data_dir)))

    frames = sound()
    first = next(frames, None)
    table = None if first is None else decode_frames(chain([first], frames))
    return _Sound(table, tuple(damaged), came)


def _are_sound(collector: str, rows: list[_Row]) -> bool:
    """Tell whether frames are undamaged, and alike in format and rows, with all bodies in the journal."""
    _, _, formats, counts, bodies, checksums = zip(*rows, strict=True)
    heads = set(zip(formats, counts, strict=True))
    return (
        len(heads) == 1
        and set(map(type, bodies)) == {bytes}
        and frame_checksums(collector, *heads.pop(), bodies) == list(checksums)
    )


def _encode(table: pa.Table, file: IO[bytes], metadata: Mapping[bytes, str]) -> None:
    import pyarrow.parquet as pq

    from collector.formats.categories import metadata_of  # the daemon doesn't need this import

    table = table.replace_schema_metadata({**metadata_of(table), MARKED: "1", **metadata})
    pq.write_table(
        table, file, compression="zstd", write_page_checksum=True, dictionary_pagesize_limit=_MAX_DICTIONARY_BYTES
    )


def _is_fit(frame: Kept) -> bool:
    """Tell whether a frame makes a part by itself."""
    try:
        _encode(decode_frames([(frame.format, frame.body)]), BytesIO(), _NO_METADATA)
    except UNWRITABLE:
        return False
    return True


@contextmanager
def _open(data_dir: DataDir) -> Iterator[sqlite3.Connection]:
    """Open the journal for reading; if it turns out to be broken, mark it so that the daemon knows."""
    with closing(read_only(data_dir.journal)) as db:
        db.text_factory = _text
        try:
            yield db
        except sqlite3.Error as error:
            if is_damage(error):
                data_dir.journal_mark.touch(0o600)
            raise


def _read_frames(db: sqlite3.Connection, run: tuple[str, int, int]) -> Iterator[list[_Row]]:
    """Yield the frames of a run in order, some at a time."""
    # By a list of numbers. By the index alone, SQLite would sort the bodies, which takes as long as all the rest.
    found = db.execute(
        "SELECT received, seq, format, rows, body, checksum FROM frame WHERE seq IN "
        "(SELECT seq FROM frame WHERE collector = ? AND seq BETWEEN ? AND ?) ORDER BY seq",
        run,
    )
    while rows := found.fetchmany(_TOGETHER):
        yield rows


@lru_cache(16)  # the same few formats come 10 000 times
def _text(found: bytes) -> str:
    return found.decode(errors="replace")  # the frame's checksum finds damage
