"""Parquet files: what they unfold to, told from the headers of their pages before any is decompressed.

The footer says it too, but may lie. The headers are structs of Thrift's compact protocol
(thrift/doc/specs/thrift-compact-protocol.md), of parquet.thrift's PageHeader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collector.errors import BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow.parquet as pq

    from collector.store.bounds import Bounds

# A footer is parsed whole before anything of it can be refused; that of 10 000 columns has 2 MB a row group.
MAX_FOOTER = 2**25
# Each takes some microseconds to look at; writers make them of a megabyte.
MAX_PAGES = 100_000

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "BYTE_ARRAY": 4}
_UNCOMPRESSED_SIZE, _COMPRESSED_SIZE, _DATA_PAGE, _DATA_PAGE_V2 = 2, 3, 5, 8
_NUM_VALUES = 1


def check_footer(body: bytes) -> None:
    """Raise BodyTooLarge if the footer is too large to be parsed."""
    size = int.from_bytes(body[-8:-4], "little")
    if len(body) >= size > MAX_FOOTER:
        raise BodyTooLarge(f"the footer has {size} bytes, the limit is {MAX_FOOTER}; write fewer, larger row groups")


def check_pages(body: bytes, metadata: pq.FileMetaData, bounds: Bounds) -> int:
    """Give the bytes that a file unfolds to, texts that are told once in a dictionary counted once.

    Raises BodyTooLarge if they are more than is allowed, ValueError for broken headers.
    """
    size = pages = 0
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            values = page_bytes = 0
            for page_size, page_values in _pages(body, metadata.row_group(group).column(number)):
                pages += 1
                page_bytes += page_size
                values += page_values
                _check_pages(pages)
                bounds.check_bytes(size + page_bytes)
            size += max(page_bytes, values * _width(metadata.schema.column(number)))
            bounds.check_bytes(size)
    return size


def _check_pages(pages: int) -> None:
    if pages > MAX_PAGES:
        raise BodyTooLarge(f"the body has more than {MAX_PAGES} pages; write fewer, larger ones")


def _width(column: Any) -> int:
    if column.physical_type == "FIXED_LEN_BYTE_ARRAY":
        return int(column.length)
    return _WIDTHS.get(column.physical_type, 8)


def _pages(body: bytes, chunk: Any) -> Iterator[tuple[int, int]]:
    """Give each page's size after decompression, and its number of values."""
    if chunk.num_values <= 0:  # no page of it is read, and its offsets may be none
        return
    starts = [chunk.data_page_offset]
    if chunk.dictionary_page_offset:
        starts.append(chunk.dictionary_page_offset)
    position = min(starts)
    end = position + chunk.total_compressed_size
    if not 0 <= position <= end <= len(body):
        raise ValueError("a column lies outside of the file")
    while position < end:
        reader = _Reader(body, position)
        header = reader.struct()
        unfolded, compressed = _number(header, _UNCOMPRESSED_SIZE), _number(header, _COMPRESSED_SIZE)
        if compressed < 0 or unfolded < 0:
            raise ValueError("a page has less than no bytes")
        yield unfolded, max(_number(header.get(kind), _NUM_VALUES) for kind in (_DATA_PAGE, _DATA_PAGE_V2))
        position = reader.position + compressed


def _number(fields: Any, number: int) -> int:
    """Give a field that is a number; 0 where there is none, as in the headers of other kinds of pages."""
    value = fields.get(number) if isinstance(fields, dict) else None
    return value if isinstance(value, int) else 0


class _Reader:
    """Reads Thrift's compact protocol; ValueError where the bytes are none."""

    _MAX_DEPTH = 8

    def __init__(self, data: bytes, position: int) -> None:
        self.position = position
        self._data = data
        self._depth = 0

    def struct(self) -> dict[int, Any]:
        """Read a struct: its fields by their numbers."""
        self._depth += 1
        if self._depth > self._MAX_DEPTH:
            raise ValueError("the header of a page is nested too deep")
        fields: dict[int, Any] = {}
        number = 0
        while kind := self._byte():
            number = number + (kind >> 4) if kind >> 4 else self._integer()
            fields[number] = self._value(kind & 15)
        self._depth -= 1
        return fields

    def _value(self, kind: int) -> Any:
        if kind in {1, 2}:
            return kind == 1
        if kind in {4, 5, 6}:
            return self._integer()
        if kind == 12:
            return self.struct()
        return self._skip(kind)

    def _skip(self, kind: int) -> None:
        """Pass over what no page's header says anything to us in."""
        if kind not in {3, 7, 8}:
            raise ValueError(f"the header of a page has a field of type {kind}")
        length = {3: 1, 7: 8}.get(kind) or self._varint()
        self.position += length

    def _integer(self) -> int:
        zigzag = self._varint()
        return (zigzag >> 1) ^ -(zigzag & 1)

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number
            if shift > 63:
                raise ValueError("the header of a page has a number of over 64 bits")

    def _byte(self) -> int:
        if self.position >= len(self._data):
            raise ValueError("the header of a page ends outside of the file")
        self.position += 1
        return self._data[self.position - 1]
