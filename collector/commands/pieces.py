"""Pieces: the rows of a source, cut into one piece for each request, always at the same places."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from collector.client.arrow import ARROW, Rows, arrow_body
from collector.commands.csv_rows import MAX_ROW_BYTES, read_header, read_rows
from collector.errors import BadBody, CommandError
from collector.formats.json_body import loads, read_columns
from collector.wording import first_line

if TYPE_CHECKING:
    from collector.commands.sources import Source

# Well under the service's limits, also those for JSON; large enough that the cost of a request doesn't matter.
MAX_BYTES = 4 * 2**20
NDJSON = "application/x-ndjson"
CSV = "text/csv"
_READ_ROWS = 8192


@dataclass(frozen=True)
class Piece:
    """Rows for one request; the first of them is row ``start`` of the source, from 1."""

    start: int
    rows: int
    body: bytes
    media_type: str

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.body)

    def halves(self) -> tuple[Piece, Piece]:
        """Return the first half of its rows, and the others."""
        half = self.rows // 2
        first, second = _HALVES[self.media_type](self.body, half)
        return (
            Piece(self.start, half, first, self.media_type),
            Piece(self.start + half, self.rows - half, second, self.media_type),
        )

    def place_of(self, detail: str) -> str:
        """Say of which rows the service speaks when it refuses this piece; the header of CSV is its row 1."""
        pattern, first = {NDJSON: (r"\bline (\d+)\b", 1), CSV: (r"\bRow #(\d+)\b", 2)}.get(self.media_type, ("$^", 0))
        found = re.search(pattern, detail)
        if found is not None or self.rows == 1:
            return f"row {self.start + (int(found[1]) - first if found else 0)}"
        return f"rows {self.start} to {self.start + self.rows - 1}"


def read_pieces(source: Source, rows: int, first: int = 1) -> Iterator[Piece]:
    """Read a source in pieces of ``rows`` rows, beginning with row ``first``; raise CommandError, naming the row."""
    if source.format in _LINES:
        yield from _pieces_of_lines(source, rows, first)
        return
    for start, table in _cut(_from_row(read_tables(source), first), rows, first):
        yield from _pieces_of_table(table.unify_dictionaries().combine_chunks(), start)


def read_tables(source: Source) -> Iterator[pa.Table]:
    """Read a source whose rows have types; raise CommandError if it isn't what it is said to be."""
    read = {"parquet": _parquet, "arrow": _arrow}.get(source.format)
    if read is None:
        raise CommandError(f"{source.name} is {source.format}", "write it as CSV or parquet")
    try:
        yield from read(source)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CommandError(f"{source.name} can't be read as {source.format}: {first_line(error)}") from error


def _parquet(source: Source) -> Iterator[pa.Table]:
    with source.open() as file, pq.ParquetFile(file, buffer_size=2**20, pre_buffer=False) as parquet:
        source.rows = parquet.metadata.num_rows
        for batch in parquet.iter_batches(_READ_ROWS):
            yield pa.Table.from_batches([batch]).replace_schema_metadata(parquet.schema_arrow.metadata)


def _arrow(source: Source) -> Iterator[pa.Table]:
    """Read either form of Arrow: the file, which lists its batches at its end, or the stream."""
    with source.open() as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        if is_file:
            reader = pa.ipc.open_file(file)
            for number in range(reader.num_record_batches):
                yield pa.Table.from_batches([reader.get_batch(number)])
        else:
            for batch in pa.ipc.open_stream(file):
                yield pa.Table.from_batches([batch])


def _from_row(tables: Iterable[pa.Table], first: int) -> Iterator[pa.Table]:
    skipped = first - 1
    for table in tables:
        if skipped < table.num_rows:
            yield table.slice(skipped)
        skipped = max(skipped - table.num_rows, 0)


def _cut(tables: Iterable[pa.Table], rows: int, start: int) -> Iterator[tuple[int, pa.Table]]:
    """Cut tables into tables of ``rows`` rows; each comes with the number of its first row."""
    held: list[pa.Table] = []
    count = 0
    for table in tables:
        held.append(table)
        count += table.num_rows
        if count < rows:
            continue
        whole = pa.concat_tables(held)
        while count >= rows:
            yield start, whole.slice(0, rows)
            whole, start, count = whole.slice(rows), start + rows, count - rows
        held = [whole]
    if count:
        yield start, pa.concat_tables(held)


def _pieces_of_table(table: pa.Table, start: int) -> Iterator[Piece]:
    """Halve a table that is too large, unless halves are no smaller, as with a dictionary that both need."""
    half = (table.num_rows + 1) // 2
    if table.num_rows > 1 and table.nbytes > MAX_BYTES and table.slice(0, half).nbytes < 0.9 * table.nbytes:
        yield from _pieces_of_table(table.slice(0, half), start)
        yield from _pieces_of_table(table.slice(half), start + half)
    else:
        yield Piece(start, table.num_rows, arrow_body(table), ARROW)


def _pieces_of_lines(source: Source, rows: int, first: int) -> Iterator[Piece]:
    """Gather lines as they are. The service checks what they hold, and finds the types of CSV once it has the batch."""
    read, media_type = _LINES[source.format]
    with source.open() as file:
        header = [read_header(file, source.name)] if media_type == CSV else []
        lines: list[bytes] = []
        size, start = 0, first
        for number, line in enumerate(read(file, source.name), 1):
            if number < first:
                continue
            if lines and (len(lines) == rows or size + len(line) > MAX_BYTES):
                yield Piece(start, len(lines), b"\n".join(header + lines), media_type)
                lines, size, start = [], 0, number
            lines.append(line)
            size += len(line) + 1
        if lines:
            yield Piece(start, len(lines), b"\n".join(header + lines), media_type)


def lines_of(source: Source) -> tuple[Callable[[BinaryIO, str], Iterator[bytes]], str]:
    """Return what reads the rows of a source as lines, behind a header if it is CSV, and their media type."""
    return _LINES[source.format]


def _read_lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    while line := file.readline(MAX_ROW_BYTES):
        if len(line) == MAX_ROW_BYTES:
            raise CommandError(f"{name}: a line has {MAX_ROW_BYTES} bytes or more", "NDJSON has one object a line")
        if kept := line.removeprefix(BOM_UTF8).strip():
            yield kept


def _read_json(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Read JSON in any shape that the service takes, NDJSON too, as lines of one record each."""
    body = file.read()
    try:
        columns = read_columns(body)
    except BadBody as error:
        if not _is_object(body.removeprefix(BOM_UTF8).lstrip().partition(b"\n")[0]):
            raise CommandError(f"{name}: {error}") from error
        yield from _read_lines(BytesIO(body), name)
        return
    for row in zip(*columns.values(), strict=True):
        yield orjson.dumps(dict(zip(columns, row, strict=True)))


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(loads(line), dict)
    except BadBody:
        return False


_LINES: dict[str, tuple[Callable[[BinaryIO, str], Iterator[bytes]], str]] = {
    "csv": (read_rows, CSV),
    "ndjson": (_read_lines, NDJSON),
    "json": (_read_json, NDJSON),
}


def _halves_of_arrow(body: bytes, _: int) -> tuple[bytes, bytes]:
    first, second = Rows(pa.ipc.open_stream(body).read_all()).halves()
    return first.body(), second.body()


def _halves_of_lines(body: bytes, half: int) -> tuple[bytes, bytes]:
    lines = body.split(b"\n")
    return b"\n".join(lines[:half]), b"\n".join(lines[half:])


def _halves_of_csv(body: bytes, half: int) -> tuple[bytes, bytes]:
    file = BytesIO(body)
    header, rows = read_header(file, "it"), list(read_rows(file, "it"))
    return b"\n".join([header, *rows[:half]]), b"\n".join([header, *rows[half:]])


_HALVES = {ARROW: _halves_of_arrow, NDJSON: _halves_of_lines, CSV: _halves_of_csv}
