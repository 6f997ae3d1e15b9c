"""Thrift's compact protocol (thrift/doc/specs/thrift-compact-protocol.md), as far as parquet uses it."""

from __future__ import annotations

from typing import Any

from collector.errors import BodyTooLarge

# A struct is a value by field number; what has no number, text or structs in it is None.
Struct = dict[int, Any]

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _, _STRUCT, _UUID = range(1, 14)
_WIDTHS = {_BYTE: 1, _DOUBLE: 8, _UUID: 16}
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
            number = number + (kind >> 4) if kind >> 4 else self._integer()
            fields[number] = self._value(kind & 15)
        self._depth -= 1
        return fields

    def _value(self, kind: int) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise BodyTooLarge(f"the metadata have more than {MAX_VALUES} values; write fewer, larger row groups")
        if kind in {_TRUE, _FALSE}:
            return kind == _TRUE
        if kind in {_I16, _I32, _I64}:
            return self._integer()
        if kind == _STRUCT:
            return self.struct()
        if kind in {_LIST, _SET}:
            return self._list()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind not in _WIDTHS:
            raise ValueError(f"there is no field of type {kind}")
        self._bytes(_WIDTHS[kind])
        return None

    def _list(self) -> list[Any]:
        head = self._byte()
        length = head >> 4 if head >> 4 < 15 else self._varint()
        if length > len(self._data) - self.position:  # each value has a byte at least
            raise ValueError("a list ends outside")
        kind = _BYTE if head & 15 in {_TRUE, _FALSE} else head & 15
        return [self._value(kind) for _ in range(length)]

    def _bytes(self, length: int) -> bytes:
        start = self.position
        self.position += length
        if self.position > len(self._data):
            raise ValueError("a value ends outside")
        return self._data[start : self.position]

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
                raise ValueError("a number has over 64 bits")

    def _byte(self) -> int:
        if self.position >= len(self._data):
            raise ValueError("a value ends outside")
        self.position += 1
        return self._data[self.position - 1]


def integer(fields: Any, number: int) -> int:
    """Give a field that is a number; 0 where there is none."""
    value = fields.get(number) if isinstance(fields, dict) else None
    return value if isinstance(value, int) else 0


def structs(fields: Any, number: int) -> list[Struct]:
    """Give a field that is a list of structs."""
    values = fields.get(number) if isinstance(fields, dict) else None
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def struct(fields: Any, number: int) -> Struct:
    """Give a field that is a struct; an empty one where there is none."""
    value = fields.get(number) if isinstance(fields, dict) else None
    return value if isinstance(value, dict) else {}
