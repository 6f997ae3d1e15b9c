"""CSV files of any size as tables whose types are those that Arrow finds when it has the whole file at once."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from collector.errors import CommandError
from collector.formats.typed_body import parse_csv
from collector.wording import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    Types = dict[str, pa.DataType]
    _Open = Callable[[], AbstractContextManager[BinaryIO]]

BLOCK_BYTES = 4 * 2**20
MAX_ROW_BYTES = 64 * 2**20

# The order in which Arrow tries types: a column has the first that fits all its values.
_ORDER = [
    pa.null(),
    pa.int64(),
    pa.bool_(),
    pa.date32(),
    pa.time32("s"),
    pa.timestamp("s"),
    pa.timestamp("ns"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("ns", "UTC"),
    pa.float64(),
    pa.string(),
    pa.binary(),
]
_BOM = b"\xef\xbb\xbf"
# A quote opens a value only where one begins; within, it is doubled. One that is never closed goes to the end.
_QUOTED = re.compile(rb'(?:\A|(?<=[,\r\n]))"[^"]*(?:""[^"]*)*("|\Z)')
_COLUMN = re.compile(r"In CSV column #(\d+): ")
_ROW = re.compile(r"(?:In CSV column #\d+: )?Row #(\d+): ")


def read_csv(open_file: _Open, name: str) -> Iterator[pa.Table]:
    """Read the rows of a CSV file, block by block; it is opened twice or more, first to find the types.

    Raises CommandError, naming the row, for what isn't like the header or a quote that stays open.
    """
    types = _find_types(open_file, name)
    start = 1
    for block in _blocks(open_file, name):
        with _naming_rows(name, start):
            table = parse_csv(block, types)
        yield table
        start += table.num_rows


def _find_types(open_file: _Open, name: str) -> Types:
    """Find each column's type; one that a late value asks for has to fit the early ones too, so they are tried."""
    types: Types = {}
    is_settled = False
    while not is_settled:
        is_settled = True
        start = 1
        for block in _blocks(open_file, name):
            with _naming_rows(name, start):
                fitting, rows = _fit(block, types)
            is_settled = is_settled and (start == 1 or fitting == types)
            types = fitting
            start += rows
    return types


def _fit(block: bytes, types: Types) -> tuple[Types, int]:
    """Give the first types, from those that are given on, that fit all values of a block; and count its rows."""
    if not types:
        table = parse_csv(block)
        _check_names(table.schema.names)
        return _types_of(table), table.num_rows
    while True:
        try:
            return types, parse_csv(block, types).num_rows
        except pa.ArrowInvalid as error:
            found = _COLUMN.match(str(error))
            if found is None:
                raise
            types = _wider(types, _types_of(parse_csv(block)), list(types)[int(found[1])])


def _wider(types: Types, found: Types, failed: str) -> Types:
    wider = {name: max(types[name], found[name], key=_ORDER.index) for name in types}
    if wider[failed] == types[failed]:
        wider[failed] = _ORDER[_ORDER.index(types[failed]) + 1]
    return wider


def _types_of(table: pa.Table) -> Types:
    return dict(zip(table.schema.names, table.schema.types, strict=True))


def _check_names(names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise pa.ArrowInvalid(f"the column '{twice}' is there twice; each column needs a name of its own")


@contextmanager
def _naming_rows(name: str, start: int) -> Iterator[None]:
    """Say in which row of the file something is wrong; Arrow counts those of the block, its header as row 1."""
    try:
        yield
    except pa.ArrowInvalid as error:
        said = first_line(error).removeprefix("CSV parse error: ")
        row = _ROW.match(said)
        where = name if row is None else f"{name}, row {start + int(row[1]) - 2}"
        raise CommandError(f"{where}: {_ROW.sub('', said)}") from error


def _blocks(open_file: _Open, name: str) -> Iterator[bytes]:
    """Cut a file where rows end; each block is led by the header."""
    with open_file() as file:
        header, rest = _read_header(file, name), b""
        while read := file.read(BLOCK_BYTES):
            end = _masked(rest).rfind(b"\n") + 1
            if end:
                yield header + rest[:end]
            rest = rest[end:] + read
            if len(rest) > MAX_ROW_BYTES:
                hint = "is a quote opened and never closed?"
                raise CommandError(f"{name}: a row has more than {MAX_ROW_BYTES} bytes", hint)
        if _is_open(rest):
            raise CommandError(f"{name}: a quote is opened in one of the last rows and never closed")
        if rest.strip():
            yield header + rest


def _read_header(file: BinaryIO, name: str) -> bytes:
    header = b""
    while line := file.readline(MAX_ROW_BYTES):
        header = (header + line).removeprefix(_BOM).lstrip(b"\r\n")
        if header and not _is_open(header):
            return header
    raise CommandError(f"{name}: the file is empty" if not header else f"{name}: the header has an open quote")


def _masked(rows: bytes) -> bytes:
    """Give the rows with filler in the place of quoted values, so that only the ends of rows look like such."""
    return _QUOTED.sub(lambda found: b"x" * len(found[0]), rows) if b'"' in rows else rows


def _is_open(rows: bytes) -> bool:
    return any(not found[1] for found in _QUOTED.finditer(rows))
