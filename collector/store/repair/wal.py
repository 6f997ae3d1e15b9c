"""The log beside the journal's database (SQLite's WAL): whether it is damaged in its midst, and its mending.

SQLite accepts a log up to the first frame that isn't as it was written and forgets the rest. That is right for a write
that was cut off, but one changed byte would cost all the commits behind it. The format is that of
https://sqlite.org/fileformat2.html#walformat: a header, then frames. A frame is a page's number and content, the salts
of the header, and a checksum over all frames up to it; the last frame of a commit also says how many pages the database
then has. An example, of three commits::

    frame         1    2    3    4    5
    page          7    9    7    8    9
    pages after   0   20   20    0   20      the commits end at 2, 3 and 5

A byte of frame 3 is changed. Its checksum is wrong, so SQLite accepts frames 1 and 2 and reports no error: the last two
commits are gone without a word. We see that the last commit ends at frame 5 and that SQLite accepted 2
(``has_damaged_log``), and write the log again with checksums that fit (``mend``). Page 7 may now hold a wrong byte,
which is found as events have checksums of their own; pages 8 and 9 are as they were written. If instead frame 3 was
never written, as in a power cut, its page's number is 0 or garbage: what lies behind it doesn't fit, and SQLite rightly
forgets it.
"""

from __future__ import annotations

import struct
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from collector.store.connect import FRAME_BYTES, HEADER_BYTES, PAGE_BYTES, index_of, log_of, read_only

_HEADER = struct.Struct(">8I")  # magic, version, page size, number, two salts, two checksums
_HEAD = struct.Struct(">6I")  # page, pages after a commit (0: none), two salts, two checksums
_MAGIC = 0x377F0682  # and 1 more where checksums take words as big-endian
_VERSION = 3007000
_APPLICATION_ID = 68  # where the first page has it

# The place in a log's index, the file "-shm", of the number of frames that SQLite accepted:
# https://sqlite.org/walformat.html.
_ACCEPTED = struct.Struct("=16xI")

_Pair = tuple[int, int]


@dataclass(slots=True)
class _Frame:
    page: int
    pages: int
    salts: _Pair
    sums: _Pair
    data: bytes

    def sums_after(self, before: _Pair, order: str) -> _Pair:
        return _add(_add(before, _HEAD.pack(self.page, self.pages, 0, 0, 0, 0)[:8], order), self.data, order)


@dataclass(slots=True)
class _Header:
    order: str
    number: int
    salts: _Pair
    sums: _Pair
    is_sound: bool


@dataclass(slots=True)
class _Log:
    """The frames of a log up to its last commit."""

    header: _Header
    frames: list[_Frame]
    damaged: list[_Frame]

    @property
    def is_sound(self) -> bool:
        return self.header.is_sound and not self.damaged


def has_damaged_log(database: Path) -> bool:
    """Tell whether SQLite would ignore commits in the log because something before them is damaged.

    SQLite accepts a log up to what is damaged. It adds up the checksums of 50 MB in 0.05 s, which takes Python 1.8 s.
    """
    last = _last_commit(log_of(database))
    if not last:
        return False
    with closing(read_only(database)) as connection:
        connection.execute("PRAGMA schema_version")  # makes SQLite read the log
        index = index_of(database)
        accepted = _ACCEPTED.unpack_from(index.read_bytes())[0] if index.exists() else 0
    return bool(accepted < last)


def mend(wal: Path) -> None:
    """Write new checksums into a log, so that SQLite accepts all of its frames; others check what they hold.

    Nothing is done where a frame doesn't even name a page, as when the power failed: what is behind a hole doesn't fit.
    """
    log = _read(wal)
    if log is None or log.is_sound:
        return
    last = max(frame.pages for frame in log.frames)
    if not all(0 < frame.page <= last for frame in log.damaged):
        return
    order, salts = log.header.order, log.header.salts
    header = (_MAGIC + (order == ">"), _VERSION, PAGE_BYTES, log.header.number, *salts)
    sums = _add((0, 0), struct.pack(">6I", *header), order)
    with wal.open("wb") as file:
        file.write(_HEADER.pack(*header, *sums))
        for frame in log.frames:
            sums = frame.sums_after(sums, order)
            file.write(_HEAD.pack(frame.page, frame.pages, *salts, *sums) + frame.data)


def cut_behind(wal: Path, mark: int) -> None:
    """Cut off what a log has behind the commit that made ``mark`` the database's application id.

    SQLite knows that it isn't valid; for ``mend`` it would be commits behind damage.
    """
    with wal.open("r+b") as file:
        file.seek(HEADER_BYTES)
        while frame := file.read(FRAME_BYTES):
            page, pages = _HEAD.unpack_from(frame)[:2]
            if page == 1 and pages and frame.startswith(mark.to_bytes(4, "big"), _HEAD.size + _APPLICATION_ID):
                file.truncate(file.tell())


def _last_commit(wal: Path) -> int:
    """Return which frame of a log is its last commit, counted from 1; 0 if there is none."""
    if not wal.exists():
        return 0
    with wal.open("rb") as file:
        header = _read_header(file.read(HEADER_BYTES + _HEAD.size))
        if header is None:
            return 0
        for place in range((wal.stat().st_size - HEADER_BYTES) // FRAME_BYTES, 0, -1):
            file.seek(HEADER_BYTES + (place - 1) * FRAME_BYTES)
            _, pages, *salts_and_sums = _HEAD.unpack(file.read(_HEAD.size))
            if pages and tuple(salts_and_sums[:2]) == header.salts:
                return place
    return 0


def _read_header(body: bytes) -> _Header | None:
    """Read the head of a log; None if it has no frame, or isn't one of ours. For a damaged head, a frame tells."""
    if len(body) < HEADER_BYTES + _HEAD.size:
        return None
    magic, version, page, number, *salts_and_sums = _HEADER.unpack_from(body)
    salts, sums = (salts_and_sums[0], salts_and_sums[1]), (salts_and_sums[2], salts_and_sums[3])
    order = ">" if magic == _MAGIC + 1 else "<"
    is_known = (magic | 1, version) == (_MAGIC | 1, _VERSION)
    is_sound = is_known and _add((0, 0), body[:24], order) == sums
    if is_sound and page != PAGE_BYTES:
        return None
    if not is_sound:
        _, _, *found = _HEAD.unpack_from(body, HEADER_BYTES)
        salts = (found[0], found[1])
    return _Header(order, number, salts, sums, is_sound)


def _read(wal: Path) -> _Log | None:
    """Read a log; None if there is none, or no commit in it."""
    body = wal.read_bytes() if wal.exists() else b""
    header = _read_header(body)
    if header is None:
        return None
    starts = range(HEADER_BYTES, len(body) - FRAME_BYTES + 1, FRAME_BYTES)
    frames = [_frame(body, start) for start in starts]
    commits = [place for place, frame in enumerate(frames) if frame.pages and frame.salts == header.salts]
    if not commits:
        return None
    frames = frames[: commits[-1] + 1]
    before = [header.sums, *(frame.sums for frame in frames)]
    damaged = [
        frame
        for frame, known in zip(frames, before, strict=False)
        if frame.salts != header.salts or frame.sums_after(known, header.order) != frame.sums
    ]
    return _Log(header, frames, damaged)


def _frame(body: bytes, start: int) -> _Frame:
    page, pages, salt, other_salt, total, other_total = _HEAD.unpack_from(body, start)
    data = body[start + _HEAD.size : start + FRAME_BYTES]
    return _Frame(page, pages, (salt, other_salt), (total, other_total), data)


def _add(sums: _Pair, data: bytes, order: str) -> _Pair:
    """Continue SQLite's checksum with more data."""
    one, two = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for first, second in zip(words, words, strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
