"""Recovery: a broken journal is set aside, and a new one takes its place with all that can be read of it.

If the process dies in between, the next start does it again, from the file that was set aside. A file beside the
journal, the mark, has the name of that file while the recovery isn't done::

    journal.sqlite3  its mark        what a start then does
    broken           -               finds it broken: links it to damaged/journal-T.sqlite3, writes that as mark
    broken           "journal-T..."  reads damaged/journal-T.sqlite3 into a new journal-fresh.tmp, and renames that
    fresh            "journal-T..."  the process died after the rename: does the same again, with the same result
    fresh            -               opens it

The broken file is read from a copy, since SQLite writes to a file that it opens, and moves its log into it. The first
page of a database says where each table begins. If it is broken, the first page of a new journal takes its place: all
journals of this format make their tables in one order, so that each table begins on the same page.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from collector.disk.files import link_or_copy, sync_directory, write_whole
from collector.store.connect import INDEX, LOG, PAGE_BYTES, make_journal
from collector.store.repair.salvage import salvage
from collector.store.repair.wal import mend
from collector.store.schema import FORMAT_VERSION, columns_of, known_columns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from collector.store.data_dir import DataDir
    from collector.store.repair.salvage import Salvaged

_log = structlog.get_logger()

# The fields of a database's first page that differ from a new one's: https://sqlite.org/fileformat2.html.
_VERSIONS = slice(18, 20)  # 1 for a database without a log, 2 for one with a log
# differs from the counter that vouches for the number of pages: so that number is taken from the file's size
_CHANGES = slice(24, 28)
_FREE = slice(32, 40)


def recover(data_dir: DataDir, reason: str) -> None:
    """Put a new journal in place of a broken or missing one, and log what it recovered."""
    _log.error("the journal is broken; what is sound in it is being recovered", reason=reason)
    broken = _set_aside(data_dir)
    with _replacing(data_dir, broken) as fresh, closing(make_journal(fresh)) as new, new:
        if broken is None:
            done = salvage(None, new, data_dir)
        else:
            with _Reading(broken, fresh) as old:
                done = salvage(old, new, data_dir)
        _tell(done)


def rescue(data_dir: DataDir, reason: str, live: sqlite3.Connection) -> None:
    """Put a new journal in place of one whose files were changed from outside while they were open.

    ``live`` is the connection that wrote to them: what was removed it still holds open, and what was cut off is in its
    memory as far as it was used lately. It must not be used for anything else any more.
    """
    _log.error("the journal was changed from outside; what memory and disk still hold is being saved", reason=reason)
    with _replacing(data_dir, _set_aside(data_dir)) as fresh, closing(make_journal(fresh)) as new, new:
        _tell(salvage(live, new, data_dir))


@contextmanager
def _replacing(data_dir: DataDir, broken: Path | None) -> Iterator[Path]:
    """Yield the path for a new journal, which takes the place of the broken one at the end."""
    fresh = data_dir.path / "journal-fresh.tmp"
    fresh.unlink(missing_ok=True)
    yield fresh
    _put_in_place(data_dir, fresh)
    if broken is not None:
        _log.error("the broken journal was set aside", broken=str(broken))


def _tell(done: Salvaged) -> None:
    _log.error("a new journal was made of what was sound", **asdict(done))


def _set_aside(data_dir: DataDir) -> Path | None:
    """Put the broken files in ``damaged``, too, under a name of their own; None if there is no journal at all."""
    mark = data_dir.journal_mark
    name = mark.read_text(encoding="utf-8") if mark.exists() else ""
    if name and data_dir.damaged(name).exists():
        return data_dir.damaged(name)
    if not data_dir.journal.exists():
        return None
    broken = data_dir.damaged(f"journal-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.sqlite3")
    for suffix in ("", LOG):
        source = _beside(data_dir.journal, suffix)
        if source.exists() and (source.stat().st_size or not suffix):  # one that only looks leaves an empty log
            link_or_copy(source, _beside(broken, suffix))
    sync_directory(broken.parent)
    write_whole(mark, broken.name.encode())
    return broken


def _put_in_place(data_dir: DataDir, fresh: Path) -> None:
    for suffix in (LOG, INDEX):  # SQLite would read them as those of the new journal
        _beside(data_dir.journal, suffix).unlink(missing_ok=True)
    fresh.replace(data_dir.journal)
    sync_directory(data_dir.path)
    data_dir.journal_mark.unlink(missing_ok=True)


class _Reading:
    """A connection to a copy of a broken journal, whose first page is mended so that its tables are found."""

    def __init__(self, broken: Path, template: Path) -> None:
        self._copy = template.with_name("journal-broken.tmp")
        self._broken = broken
        self._template = template

    def __enter__(self) -> sqlite3.Connection:
        self._remove()
        for suffix in ("", LOG):
            if _beside(self._broken, suffix).exists():
                shutil.copyfile(_beside(self._broken, suffix), _beside(self._copy, suffix))
        mend(_beside(self._copy, LOG))
        if not _has_tables(self._copy):
            self._mend_head()
        self._connection = sqlite3.connect(self._copy)
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._remove()

    def _mend_head(self) -> None:
        """Take the first page from a new journal: the tables of all journals of this format begin at the same pages."""
        head = bytearray(self._template.read_bytes()[:PAGE_BYTES])
        has_log = _beside(self._copy, LOG).exists()
        head[_VERSIONS] = bytes([2, 2]) if has_log else bytes([1, 1])
        head[_CHANGES] = bytes([255] * 4)
        head[_FREE] = bytes(8)
        with self._copy.open("r+b") as file:
            file.write(head)

    def _remove(self) -> None:
        for suffix in ("", LOG, INDEX):
            _beside(self._copy, suffix).unlink(missing_ok=True)


def _has_tables(copy: Path) -> bool:
    """Tell whether the tables of a journal can be listed."""
    try:
        with closing(sqlite3.connect(copy)) as connection:
            return columns_of(connection) in map(known_columns, range(1, FORMAT_VERSION + 1))
    except (sqlite3.Error, UnicodeDecodeError):  # the error's text itself can't be decoded
        return False


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
