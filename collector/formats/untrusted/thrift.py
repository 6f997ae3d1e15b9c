"""Thrift's compact protocol (thrift/doc/specs/thrift-compact-protocol.md), as far as parquet uses it.

What Arrow's reader would take for something else is refused: it passes over fields of types that it doesn't expect,
cuts numbers to their width, reads a list's items whatever they are said to be, and mixes structs that come twice.
"""

from __future__ import annotations

from typing import Any

from collector.errors import BodyTooLarge

# A struct is a value by field number and type; what has no number, text or structs in it is None.
Struct = dict[tuple[int, int], Any]

_TRUE, _FALSE, _BYTE, _I16, I32, I64, _DOUBLE, BINARY, _LIST, _SET, _, _STRUCT, _UUID = range(1, 14)
_WIDTHS = {_BYTE: 1, _DOUBLE: 8, _UUID: 16}
_BITS = {_I16: 16, I32: 32, I64: 64}
_MAX_DEPTH = 16
# Each takes up to 64 bytes and a microsecond; a row group of 10 000 columns has half a million of them.
MAX_VALUES = 2_000_000


class Reader:
    """Reads structs from bytes, from ``position`` on; ValueError where there are none, BodyTooLarge for too many."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.position = position
        self._data = data
        self._depth = 0
        self._values = 0

    def struct(self) -> Struct:
        """Read a struct."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError("a struct is nested too deep")
        fields: Struct = {}
        number = 0
        while kind := self._byte():
            number = number + (kind >> 4) if kind >> 4 else self._integer(16)
            field = number, kind & 15
            if field in fields or number >= 2**15:
                raise ValueError("a field is there twice, or its number is none")
            fields[field] = self._value(kind & 15)
        self._depth -= 1
        return fields

    def _value(self, kind: int) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise BodyTooLarge(f"the metadata have more than {MAX_VALUES} values; write fewer, larger row groups")
        if kind in {_TRUE, _FALSE}:
            return kind == _TRUE
        if kind in _BITS:
            return self._integer(_BITS[kind])
        if kind == _STRUCT:
            return self.struct()
        if kind in {_LIST, _SET}:
            return self._list()
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind not in _WIDTHS:
            raise ValueError(f"there is no field of type {kind}")
        self._bytes(_WIDTHS[kind])
        return None

    def _list(self) -> tuple[int, list[Any]]:
        head = self._byte()
        length = head >> 4 if head >> 4 < 15 else self._varint()
        if length > len(self._data) - self.position:  # each value has a byte at least
            raise ValueError("a list ends outside")
        kind = _BYTE if head & 15 in {_TRUE, _FALSE} else head & 15
        return kind, [self._value(kind) for _ in range(length)]

    def _bytes(self, length: int) -> bytes:
        start = self.position
        self.position += length
        if self.position > len(self._data):
            raise ValueError("a value ends outside")
        return self._data[start : self.position]

    def _integer(self, bits: int) -> int:
        zigzag = self._varint()
        if zigzag >= 2**bits:
            raise ValueError(f"a number has over {bits} bits")
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
                raise ValueError("a number has over 64 bits")

    def _byte(self) -> int:
        if self.position >= len(self._data):
            raise ValueError("a value ends outside")
        self.position += 1
        return self._data[self.position - 1]


def integer(fields: Struct, number: int, kind: int) -> int:
    """Give a field that is a number, of 32 or of 64 bits; 0 where there is none."""
    value: int = fields.get((number, kind), 0)
    return value


def text(fields: Struct, number: int) -> bytes:
    """Give a field that is a text; an empty one where there is none."""
    value: bytes = fields.get((number, BINARY), b"")
    return value


def struct(fields: Struct, number: int) -> Struct:
    """Give a field that is a struct; an empty one where there is none."""
    value: Struct = fields.get((number, _STRUCT), {})
    return value


def structs(fields: Struct, number: int) -> list[Struct]:
    """Give a field that is a list of structs; an empty one where there is none."""
    values: list[Struct]
    kind, values = fields.get((number, _LIST), (_STRUCT, []))
    if kind != _STRUCT:
        raise ValueError("a list is of no structs")
    return values
