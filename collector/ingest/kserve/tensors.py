"""Tensors: what V2 of the inference protocol sends, read as columns; the first dimension is of rows.

By its shape a tensor of [3, 2] is 3 rows of 2 columns, its values row by row; one of [3] or [3, 1] is one column, and
one of [3, 2, 4] is 8. The datatype says what its values are::

    BOOL                    true and false
    INT8 to UINT64          integers
    FP16, BF16, FP32, FP64  floats, also where JSON writes 1 for 1.0; null and NaN are missing values
    BYTES                   texts
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from collector.errors import BadBody

Values = list[Any]
MAX_DIMENSIONS = 16
# The codes of ``struct`` for tensors that come as little-endian bytes rather than JSON.
_CODES = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
_FLOATS = frozenset({"FP16", "BF16", "FP32", "FP64"})
_DATATYPES = frozenset({*_CODES, "BF16", "BYTES"})
_RANGES = {f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)}
_RANGES |= {f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)}
# Numbers that JSON can't spell, and that come as words.
_WORDS = frozenset({"NaN", "Infinity", "-Infinity"})
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Group:
    """Columns under one name, which aren't read before they are wanted.

    ``is_own``: the payload names them so; ``is_field``: they are a field of objects, and not each of them needs it.
    """

    name: str
    rows: int
    width: int
    read: Callable[[], list[Values]]
    is_own: bool = True
    is_field: bool = False


def by_columns(values: Values, width: int) -> list[Values]:
    """Return the columns of values that stand row by row."""
    return [values[start::width] for start in range(width)]


def read_tensors(found: object, what: str, raw: bytes | None) -> list[Group]:
    """Read the tensors of a request or a response, ``what`` says which; ``raw`` is what follows its JSON.

    Raises BadBody, saying which tensor can't be read and why. Without ``raw``, all have to be in the JSON.
    """
    if not isinstance(found, list):
        raise BadBody(f"the {what}'s tensors aren't a list")
    groups, rest = [], raw or b""
    for number, one in enumerate(found):
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str) or not name:
            raise BadBody(f"tensor {number} of the {what} has no name; V2 has name, shape, datatype and data in each")
        tensor = _Tensor(one, name)
        if tensor.raw_size is None:
            groups.append(Group(name, tensor.rows, tensor.width, tensor.columns))
            continue
        if raw is None:
            raise no_length()
        if tensor.raw_size > len(rest):
            raise BadBody(f"{tensor} has {tensor.raw_size} bytes behind the JSON, but only {len(rest)} are left there")
        piece, rest = rest[: tensor.raw_size], rest[tensor.raw_size :]
        groups.append(Group(name, tensor.rows, tensor.width, partial(tensor.raw_columns, piece)))
    if rest:
        raise BadBody(f"the last {len(rest)} bytes behind the JSON belong to no tensor of the {what}")
    return groups


def no_length() -> BadBody:
    """Say what is missing where tensors are sent as bytes."""
    return BadBody(
        "it has binary tensors, and nothing says where its JSON ends: send Inference-Header-Content-Length "
        "(KServe: list that header in the logger's metadataHeaders; it is known of requests only), or have clients "
        'send tensors as JSON ("binary_data": false)'
    )


class _Tensor:
    def __init__(self, one: dict[str, Any], name: str) -> None:
        self._name = name
        self._data = one.get("data")
        shape, self._datatype = one.get("shape"), one.get("datatype")
        if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
            raise BadBody(f"{self} has no shape; write a list of integers, as [rows, columns]")
        if len(shape) > MAX_DIMENSIONS:
            raise BadBody(f"{self} has {len(shape)} dimensions, and at most {MAX_DIMENSIONS} are accepted")
        if self._datatype not in _DATATYPES:
            raise BadBody(f"{self} has no known datatype; known are {', '.join(sorted(_DATATYPES))}")
        self._shape = shape or [1]
        self.rows, self.width = self._shape[0], math.prod(self._shape[1:])
        parameters = one.get("parameters")
        size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
        self.raw_size = size if type(size) is int and size >= 0 and self._data is None else None

    def __str__(self) -> str:
        return f"the tensor '{self._name[:200]}'"

    def columns(self) -> list[Values]:
        """Read the tensor's values from JSON."""
        if not isinstance(self._data, list):
            raise BadBody(f"{self} has no list of data")
        flat = self._data
        if flat and isinstance(flat[0], list):
            flat = self._flattened(flat, self._shape)
        return self._checked(self._as_datatype(flat))

    def raw_columns(self, piece: bytes) -> list[Values]:
        """Read the tensor's values from bytes."""
        if self._datatype == "BYTES":
            return self._checked(self._texts(piece))
        code = "H" if self._datatype == "BF16" else _CODES[str(self._datatype)]
        size = struct.calcsize(f"<{code}")
        if len(piece) % size:
            raise BadBody(f"{self} has {len(piece)} bytes, which can't be divided by {size}, the size of a value")
        values = list(struct.unpack(f"<{len(piece) // size}{code}", piece))
        if self._datatype == "BF16":  # BF16 is the upper half of an FP32
            values = list(
                struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}I", *(v << 16 for v in values)))
            )
        return self._checked(values)

    def _checked(self, values: Values) -> list[Values]:
        cells = self.rows * self.width
        if len(values) != cells:
            raise BadBody(f"{self} has {len(values)} values, but its shape {self._shape} needs {cells}")
        return by_columns(values, self.width)

    def _flattened(self, data: Any, shape: list[int]) -> Values:
        if not isinstance(data, list) or len(data) != shape[0]:
            raise BadBody(f"{self} has lists that aren't as long as its shape {self._shape} says")
        if len(shape) == 1:
            return data
        return [value for inner in data for value in self._flattened(inner, shape[1:])]

    def _as_datatype(self, values: Values) -> Values:
        kinds = set(map(type, values)) - {type(None)}
        if self._datatype in _FLOATS:
            return values if kinds <= {float} else [self._float(place, value) for place, value in enumerate(values)]
        if self._datatype == "BOOL":
            return [self._bool(place, value) for place, value in enumerate(values)]
        if self._datatype == "BYTES":
            wrong = (place for place, value in enumerate(values) if not isinstance(value, str | None))
            if (place := next(wrong, None)) is not None:
                raise self._misfit(place)
            return values
        least, most = _RANGES[str(self._datatype)]
        if kinds <= {int} and all(value is None or least <= value <= most for value in values):
            return values
        return [self._integer(place, value, least, most) for place, value in enumerate(values)]

    def _float(self, place: int, value: Any) -> float | None:
        if value is None or type(value) in {int, float} or (isinstance(value, str) and value in _WORDS):
            return None if value is None else float(value)
        raise self._misfit(place)

    def _bool(self, place: int, value: Any) -> bool | None:
        if value is None or type(value) is bool:
            return value
        if type(value) is int and value in {0, 1}:
            return bool(value)
        raise self._misfit(place)

    def _integer(self, place: int, value: Any, least: int, most: int) -> int | None:
        number = int(value) if type(value) is float and value.is_integer() else value
        if number is not None and (type(number) is not int or not least <= number <= most):
            raise self._misfit(place)
        return number

    def _misfit(self, place: int) -> BadBody:
        return BadBody(f"{self} has the datatype {self._datatype}, but its value {place} isn't one")

    def _texts(self, piece: bytes) -> Values:
        """Read texts; each stands behind its length in four bytes."""
        texts: Values = []
        place = 0
        while place < len(piece):
            end = place + _LENGTH.size
            length = _LENGTH.unpack_from(piece, place)[0] if end <= len(piece) else 0
            place, end = end, end + length
            if end > len(piece):
                raise BadBody(f"{self} is cut off within its text {len(texts)}")
            try:
                texts.append(piece[place:end].decode())
            except UnicodeDecodeError as error:
                raise BadBody(
                    f"{self} has bytes in value {len(texts)} that aren't text in UTF-8; name the others in features"
                ) from error
            place = end
        return texts
