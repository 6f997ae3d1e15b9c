"""Many small JSON bodies read at once: a service that posts single rows leaves ten thousands of them to a part.

What the first looks like is made a type, and the others are decoded as that, so that nothing loops in Python over them:
it would take longer than parsing them.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, groupby, islice, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import orjson

from collector.formats.json_body import UNDECODED, has_spaced_name, read_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collector.formats.json_body import Columns

_SMALL = 4096  # bytes
_TOGETHER = 128  # bodies read together; more don't fit the processor's cache
_FEW = 32  # where one body has another shape, so few are read one by one
# Other integers are floats to orjson, which reads all that isn't read here.
_PLAIN = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float | str | bool | None


def read_together(bodies: Iterable[bytes]) -> Iterator[Columns]:
    """Read bodies of columns or of records, in their order; those of one row and the same columns become one.

    Raises BadBody where read_columns does.
    """
    for is_small, run in groupby(bodies, lambda body: len(body) <= _SMALL):
        if not is_small:
            yield from map(read_columns, run)
            continue
        while some := list(islice(run, _TOGETHER)):
            yield from _read(some)


def _read(bodies: list[bytes]) -> Iterator[Columns]:
    rows = _rows_of(bodies)
    if rows is not None:
        yield rows
    elif len(bodies) <= _FEW:
        yield from map(read_columns, bodies)
    else:
        for start in range(0, len(bodies), _FEW):
            yield from _read(bodies[start : start + _FEW])


class _Shape(NamedTuple):
    """The shape of a body of one row. ``key`` is the row's name in each column, if there is one."""

    names: tuple[str, ...]
    is_record: bool  # each column is a list
    is_list: bool  # each column
    key: str | None

    def values_of(self, column: tuple[Any, ...]) -> Iterable[Any]:
        """Return the values of a column, taken out of the object or list that holds each."""
        if self.is_list:
            return chain.from_iterable(column)
        return column if self.key is None else map(attrgetter("value"), column)


def _rows_of(bodies: list[bytes]) -> Columns | None:
    """Read bodies of one row each, of plain values, with the same columns and shape; None if any is otherwise."""
    shape = _shape_of(bodies[0])
    if shape is None or not _have_each_once(bodies, len(shape.names) * (1 if shape.key is None else 2)):
        return None
    try:
        decoded = map(_decoder(shape).decode, bodies)
        rows = chain.from_iterable(decoded) if shape.is_record else decoded
        columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
        return {name: list(shape.values_of(column)) for name, column in zip(shape.names, columns, strict=True)}
    except UNDECODED:
        return None


def _shape_of(body: bytes) -> _Shape | None:
    """Return the shape of a body; None if it isn't one row of plain values."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:  # or the body has NaN
        return None
    is_record = isinstance(data, list) and len(data) == 1
    row = data[0] if is_record else data
    if not isinstance(row, dict) or not row:
        return None
    first = next(iter(row.values()))
    is_nested = isinstance(first, dict | list)
    if is_nested and (is_record or len(first) != 1):
        return None
    key = next(iter(first)) if isinstance(first, dict) else None
    text = "".join([*row, key or ""])
    if '"' in text or "\\" in text or not text.isprintable():  # msgspec has no type with such names
        return None
    return _Shape(tuple(row), is_record, is_nested and key is None, key)


@lru_cache(64)
def _decoder(shape: _Shape) -> msgspec.json.Decoder[Any]:
    """Return what decodes bodies of this shape and refuses all others."""
    value: Any = tuple[_PLAIN] if shape.is_list else _PLAIN
    if shape.key is not None:
        value = _struct({shape.key: ("value", value)})
    row: Any = _struct({name: (f"column{number}", value) for number, name in enumerate(shape.names)})
    return msgspec.json.Decoder(tuple[row] if shape.is_record else row)


def _struct(fields: dict[str, tuple[str, Any]]) -> type[msgspec.Struct]:
    """Make a type of objects that have exactly these names."""
    named = [(field, kind, msgspec.field(name=name)) for name, (field, kind) in fields.items()]
    return msgspec.defstruct("Named", named, gc=False, forbid_unknown_fields=True)


def _have_each_once(bodies: list[bytes], names: int) -> bool:
    """Tell whether each body has ``names`` names, each once; False if unsure."""
    if set(map(bytes.count, bodies, repeat(b":"))) == {names}:
        return True
    return set(map(bytes.count, bodies, repeat(b'":'))) == {names} and not any(map(has_spaced_name, bodies))
