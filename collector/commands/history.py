"""History: the rows of files, divided by the windows of their times, in memory that doesn't grow with the files.

Rows of a window may come from anywhere in the files: they are gathered in a scratch file for each window, and a window
is read again once all files have been.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from collector.client.arrow import ARROW, arrow_body
from collector.commands.csv_rows import read_header
from collector.commands.pieces import CSV, NDJSON, lines_of, read_tables
from collector.errors import BadBody, CommandError
from collector.formats.event_times import MICROSECONDS, moments_of
from collector.formats.frames import decode_frames
from collector.formats.merging import Merging
from collector.formats.sources import CSV as CSV_MARKS
from collector.formats.sources import JSON as JSON_MARKS
from collector.formats.sources import KEY, TEXT, marks_of_field
from collector.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from collector.commands.sources import Source
    from collector.config.periods import Periods
    from collector.formats.frames import Format
    from collector.formats.sources import Marks

_BLOCK_ROWS = 8192
# Bytes that are held in memory before they go to the scratch files.
_HELD_BYTES = 64 * 2**20
# The service takes 10 MB of text. A larger body goes as Arrow, marked with what it was.
MAX_TEXT_BYTES = 8 * 2**20
MAX_WINDOWS = 20_000
# For each kind of text: its format, the marks of its columns, and the name of its source in a table.
_TEXTS: dict[str, tuple[Format, Marks, str]] = {
    CSV: ("csv", CSV_MARKS, "csv"),
    NDJSON: ("ndjson", JSON_MARKS, "json"),
}

Window = tuple[int, int]


@dataclass(frozen=True)
class Body:
    """The rows of one window, as they are sent."""

    window: Window
    rows: int
    body: bytes
    media_type: str


class History:
    """What files hold, by window; ``rows`` counts them, ``untimed`` those that have no time, which are left out."""

    def __init__(self, column: str, periods: Periods, latest: float, scratch: Path) -> None:
        self.rows: Counter[Window] = Counter()
        self.untimed = 0
        self.column = column
        self._periods = periods
        self._latest = latest
        self._scratch = scratch
        self._kind: _Kind | None = None
        self._held: defaultdict[Window, list[Any]] = defaultdict(list)
        self._held_bytes = 0

    def read(self, source: Source, *, is_kept: bool) -> Iterator[None]:
        """Read a file, a block of rows at each step; raise CommandError if it can't be, or is of another kind."""
        kind = _kind_of(source)
        if self._kind is None:
            self._kind = kind
        self._kind.check_alike(kind)
        for block in kind.blocks():
            self._take(kind, block, is_kept=is_kept)
            yield
        if is_kept:
            self._flush()

    def bodies(self, windows: Iterable[Window]) -> Iterator[Body]:
        """Make the bodies of windows, one after the other."""
        assert self._kind is not None  # noqa: S101  (files were read)
        for window in windows:
            body, media_type = self._kind.body(self._path(window))
            yield Body(window, self.rows[window], body, media_type)

    def _take(self, kind: _Kind, block: Any, *, is_kept: bool) -> None:
        moments = kind.moments(block, self.column, self._latest)
        is_told = np.asarray(moments.is_valid())
        self.untimed += int((~is_told).sum())
        rows = np.flatnonzero(is_told)
        seconds = np.asarray(moments.drop_null()) / MICROSECONDS
        for window, chosen in self._periods.parted(seconds):
            self.rows[window] += len(chosen)
            if is_kept:
                piece, size = kind.pick(block, rows[chosen])
                self._held[window].append(piece)
                self._held_bytes += size
        if len(self.rows) > MAX_WINDOWS:
            raise CommandError(f"the files have more than {MAX_WINDOWS:,} periods", "take a longer --period")
        if self._held_bytes > _HELD_BYTES:
            self._flush()

    def _flush(self) -> None:
        assert self._kind is not None  # noqa: S101  (files were read)
        for window, pieces in self._held.items():
            with self._path(window).open("ab") as file:
                file.writelines(self._kind.packed(pieces))
        self._held.clear()
        self._held_bytes = 0

    def _path(self, window: Window) -> Path:
        return self._scratch / str(window[0])


def _kind_of(source: Source) -> _Kind:
    return _Typed(source) if source.format in {"parquet", "arrow"} else _Lines(source)


class _File:
    """How rows of one kind of file are read in blocks, divided, and put together again."""

    def __init__(self, source: Source) -> None:
        self.source = source

    name: str

    def check_alike(self, other: _File) -> None:
        """Raise CommandError if rows of the other file can't stand beside those of this one."""
        if self.name != other.name:
            told = f"{self.source.name} is {self.source.format}, and {other.source.name} is {other.source.format}"
            raise CommandError(told, "a batch is of one kind of file: run the command for each kind")

    def _moments_in(self, table: pa.Table, column: str, latest: float) -> pa.ChunkedArray:
        if column in table.column_names:
            return moments_of(table.schema.field(column), table.column(column), latest)
        if self.name == NDJSON:  # a row of NDJSON may lack it
            return pa.chunked_array([pa.nulls(table.num_rows, pa.int64())])
        said = f"{self.source.name} has no column '{column}'"
        raise CommandError(said, did_you_mean(column, table.column_names))


class _Typed(_File):
    """Tables with types. Those of one window are merged as the parts of a batch are."""

    name = "a table with types"

    def blocks(self) -> Iterator[pa.Table]:
        return read_tables(self.source)

    def moments(self, block: pa.Table, column: str, latest: float) -> pa.ChunkedArray:
        return self._moments_in(block, column, latest)

    def pick(self, block: pa.Table, rows: Any) -> tuple[pa.Table, int]:
        taken = block if len(rows) == block.num_rows else block.take(pa.array(rows))
        return taken, taken.nbytes

    def packed(self, pieces: Sequence[pa.Table]) -> Iterable[bytes]:
        return (arrow_body(piece) for piece in pieces)

    def body(self, path: Path) -> tuple[bytes, str]:
        tables = []
        with pa.memory_map(str(path)) as file:
            while file.tell() < file.size():
                tables.append(pa.ipc.open_stream(file).read_all())
            if all(table.schema.equals(tables[0].schema, check_metadata=True) for table in tables):
                whole = pa.concat_tables(tables)
            else:
                merging = Merging(table.schema for table in tables)
                whole = pa.concat_tables(map(merging.merge, tables))
            return arrow_body(whole.unify_dictionaries().combine_chunks()), ARROW


class _Lines(_File):
    """Lines of text, sent as they are: the service finds their types once it has the whole batch."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._read, self.name = lines_of(source)

    @cached_property
    def header(self) -> list[bytes]:
        """The line that names the columns, if there is one."""
        if self.name != CSV:
            return []
        with self.source.open() as file:
            return [read_header(file, self.source.name)]

    def check_alike(self, other: _File) -> None:
        super().check_alike(other)
        if isinstance(other, _Lines) and self.header != other.header:
            said = f"{other.source.name} has other columns than {self.source.name}, or in another order"
            raise CommandError(said, "run the command for each of them")

    def blocks(self) -> Iterator[list[bytes]]:
        with self.source.open() as file:
            if self.name == CSV:
                read_header(file, self.source.name)
            lines = iter(self._read(file, self.source.name))
            while block := list(islice(lines, _BLOCK_ROWS)):
                yield block

    def moments(self, block: list[bytes], column: str, latest: float) -> pa.ChunkedArray:
        try:
            table = self._decoded(b"\n".join([*self.header, *block]))
        except BadBody as error:
            raise CommandError(f"{self.source.name}: {error}") from error
        if table.num_rows != len(block):
            raise CommandError(f"{self.source.name} can't be told apart into rows", "write it as parquet")
        return self._moments_in(table, column, latest)

    def pick(self, block: list[bytes], rows: Any) -> tuple[list[bytes], int]:
        taken = block if len(rows) == len(block) else [block[row] for row in rows]
        return taken, sum(map(len, taken))

    def packed(self, pieces: Sequence[list[bytes]]) -> Iterable[bytes]:
        return (line + b"\n" for piece in pieces for line in piece)

    def body(self, path: Path) -> tuple[bytes, str]:
        body = b"\n".join([*self.header, path.read_bytes()])
        return self._as_arrow(body) if len(body) > MAX_TEXT_BYTES else (body, self.name)

    def _as_arrow(self, body: bytes) -> tuple[bytes, str]:
        """Write a body that is too large for text as Arrow, unless Arrow would lose marks of its columns."""
        _, marks, source = _TEXTS[self.name]
        table = self._decoded(body)
        if any(pa.types.is_struct(field.type) or marks_of_field(field) - TEXT != marks for field in table.schema):
            return body, self.name
        # a quoted value is text, and Arrow wouldn't tell it
        if self.name == CSV and any(marks_of_field(field) & TEXT for field in table.schema):
            return body, self.name
        plain = pa.table(dict(zip(table.column_names, table.columns, strict=True)), metadata={KEY: source})
        return arrow_body(plain.combine_chunks()), ARROW

    def _decoded(self, body: bytes) -> pa.Table:
        return decode_frames([(_TEXTS[self.name][0], body)])


_Kind = _Typed | _Lines
