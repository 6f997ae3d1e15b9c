"""Arrow streams: what they unfold to, told from the metadata of their messages before anything is decompressed.

The metadata are flatbuffers (https://flatbuffers.dev/internals), of the tables in Arrow's format/Message.fbs.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from collector.errors import BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from collector.formats.bounds import Bounds

# Each column of each record batch takes up to a kilobyte in memory, whatever is in it.
MAX_ARRAYS = 200_000
# Of a schema; 10 000 columns with what pandas says of each of them are 5 MB.
MAX_METADATA = 2**25

_SCHEMA, _DICTIONARY_BATCH, _RECORD_BATCH = 1, 2, 3
_UNCOMPRESSED = -1


def check_stream(body: bytes | pa.Buffer, bounds: Bounds) -> None:
    """Raise BodyTooLarge if a stream unfolds to more than is allowed; ValueError or ArrowInvalid for a broken one."""
    import pyarrow as pa

    arrays = size = 0
    for message in pa.ipc.MessageReader.open_stream(pa.BufferReader(body)):
        try:
            new_arrays, new_size = _measure(message, bounds)
        except struct.error as error:
            raise ValueError(f"the metadata of a message are broken: {error}") from error
        arrays += new_arrays
        size += new_size
        bounds.check_bytes(size)
        if arrays > MAX_ARRAYS:
            raise BodyTooLarge(
                f"the body has more than {MAX_ARRAYS} columns, counted in each record batch; send larger batches"
            )


def _measure(message: pa.Message, bounds: Bounds) -> tuple[int, int]:
    """Count the arrays of a message, and the bytes that they take."""
    if message.metadata.size > MAX_METADATA:
        raise BodyTooLarge(f"the metadata of a message have more than {MAX_METADATA} bytes")
    table = _Table.root(message.metadata.to_pybytes())
    kind, header = table.byte(1), table.table(2)
    if header is None:
        return 0, 0
    if kind == _SCHEMA:
        bounds.check_columns(len(header.tables(1)))
    batch = header.table(1) if kind == _DICTIONARY_BATCH else header if kind == _RECORD_BATCH else None
    return (0, 0) if batch is None else _measure_batch(batch, memoryview(message.body))


def _measure_batch(batch: _Table, body: memoryview) -> tuple[int, int]:
    lengths = [length for length, _ in batch.pairs(1)]
    is_compressed = batch.table(3) is not None
    size = sum(_unfolded(body, *buffer) if is_compressed else buffer[1] for buffer in batch.pairs(2))
    return 1 + len(lengths), max(size, sum(lengths))  # nulls and structs without fields have a length, and no bytes


def _unfolded(body: memoryview, offset: int, length: int) -> int:
    """Give the size of a compressed buffer, which begins with its size before compression."""
    if length == 0:
        return 0
    size = _read("<q", body, offset)
    return length if size == _UNCOMPRESSED else max(0, size)


class _Table:
    """A flatbuffers table: fields by number, which a vtable says the place of; struct.error if that is outside."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    @classmethod
    def root(cls, data: bytes) -> _Table:
        """Give the outermost table."""
        return cls(data, _read("<I", data, 0))

    def byte(self, field: int) -> int:
        """Give a field that is a byte; 0 if it is absent."""
        place = self._place(field)
        return 0 if place is None else _read("<B", self._data, place)

    def table(self, field: int) -> _Table | None:
        """Give a field that is a table."""
        place = self._place(field)
        return None if place is None else _Table(self._data, place + _read("<I", self._data, place))

    def tables(self, field: int) -> range:
        """Give the places of a vector of tables."""
        return self._vector(field, 4)

    def pairs(self, field: int) -> Iterator[tuple[int, int]]:
        """Give a vector of structs of two 64-bit numbers."""
        return (struct.unpack_from("<qq", self._data, place) for place in self._vector(field, 16))

    def _vector(self, field: int, width: int) -> range:
        place = self._place(field)
        if place is None:
            return range(0)
        place += _read("<I", self._data, place)
        start, end = place + 4, place + 4 + width * _read("<I", self._data, place)
        if end > len(self._data):
            raise struct.error("a vector ends outside")
        return range(start, end, width)

    def _place(self, field: int) -> int | None:
        vtable = self._position - _read("<i", self._data, self._position)
        if 4 + 2 * field >= _read("<H", self._data, vtable):
            return None
        offset = _read("<H", self._data, vtable + 4 + 2 * field)
        return self._position + offset if offset else None


def _read(form: str, data: bytes | memoryview, place: int) -> int:
    if place < 0:  # struct would count from the end
        raise struct.error("a field lies outside")
    number: int = struct.unpack_from(form, data, place)[0]
    return number
