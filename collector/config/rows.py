"""Which rows of a batch a report is of: those that meet ``where``, and of these the segments that get one each."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from collector.conditions import CONDITIONS
from collector.config.value import Ours, Value, at_fields
from collector.wording import OTHER_SEGMENT, json_kind

# Each segment has a report of its own, and a line in panels.
MAX_SEGMENTS = 50
_MAX_TEXT = 200
_MAX_ITEMS = 1_000


def _comparable(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"must be a number, a text, true or false, not {json_kind(value)}")  # noqa: TRY004  (pydantic takes it)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        raise ValueError(f"must have at most {_MAX_TEXT} characters")
    return value


def _ordered(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f'must be a number, or a time as "2026-01-31", not {json_kind(value)}')  # noqa: TRY004
    return _comparable(value)


def _is_hash(value: Any) -> bool:
    from collector.formats.private import is_hash  # imported only by a config that needs it

    return isinstance(value, str) and is_hash(value)


# Not a union: that would put the names of its members into the path of a mistake.
_Comparable = Annotated[
    Any, AfterValidator(_comparable), WithJsonSchema({"type": ["number", "string", "boolean"], "maxLength": _MAX_TEXT})
]
_Ordered = Annotated[
    Any, AfterValidator(_ordered), WithJsonSchema({"type": ["number", "string"], "maxLength": _MAX_TEXT})
]
_Listed = Annotated[list[_Comparable], Field(min_length=1, max_length=_MAX_ITEMS)]


class Condition(Ours):
    """What a column's value has to meet, all of it, for a row to be taken; a missing value meets nothing."""

    gt: _Ordered = Field(default=None, description=CONDITIONS["gt"])
    gte: _Ordered = Field(default=None, description=CONDITIONS["gte"])
    lt: _Ordered = Field(default=None, description=CONDITIONS["lt"])
    lte: _Ordered = Field(default=None, description=CONDITIONS["lte"])
    eq: _Comparable = Field(default=None, description=CONDITIONS["eq"])
    not_eq: _Comparable = Field(default=None, description=CONDITIONS["not_eq"])
    is_in: _Listed = Field(default=[], description=CONDITIONS["is_in"])
    not_in: _Listed = Field(default=[], description=CONDITIONS["not_in"])

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f'says nothing; write a condition, as {{"gte": 18}}; known here: {", ".join(CONDITIONS)}')
        return self

    @property
    def fits_hashes(self) -> bool:
        """Whether hashes in place of a column's values can meet it."""
        values = [getattr(self, name) for name in ("eq", "not_eq") if name in self.model_fields_set]
        is_ordered = bool(self.model_fields_set & {"gt", "gte", "lt", "lte"})
        return not is_ordered and all(map(_is_hash, [*values, *self.is_in, *self.not_in]))


class Segments(Value):
    """Into which segments the rows of a batch are divided, by the values of a column; each gets a report of its own."""

    always_written: ClassVar[frozenset[str]] = frozenset({"column"})

    column: str = Field(min_length=1, max_length=_MAX_TEXT, description="The column that divides the rows.")
    values: _Listed | None = Field(
        default=None, description="The values that are segments; null: the reference's most frequent ones."
    )
    edges: list[float] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_SEGMENTS - 1,
        description="Instead of values, for numbers: [18, 65] makes 'below 18', '18 to 65' and '65 and more'.",
    )
    max: int = Field(
        default=20,
        ge=1,
        le=MAX_SEGMENTS,
        description="How many of the reference's values are segments; the rest is 'other'.",
    )
    min_rows: int = Field(
        default=100, ge=1, description="A segment with fewer rows, in the batch or the reference, gets no report."
    )

    @model_validator(mode="after")
    def _divides(self) -> Self:
        given = self.model_fields_set
        if self.values is not None and self.edges is not None:
            raise at_fields("give values or edges, not both", "edges")
        if "max" in given and (self.values is not None or self.edges is not None):
            raise at_fields("is only for segments that are taken from the reference; leave it out", "max")
        if self.values is not None and len(self.values) > MAX_SEGMENTS:
            raise at_fields(f"must be at most {MAX_SEGMENTS}, not {len(self.values)}", "values")
        if self.values is not None and {"", OTHER_SEGMENT} & set(self.values):
            raise at_fields(
                f"a segment can't be named '' or '{OTHER_SEGMENT}', which is what the rest is called", "values"
            )
        if not all(low < high for low, high in pairwise(self.edges or ())):
            raise at_fields("write them in order, each once, as in [18, 65]", "edges")
        if not all(map(math.isfinite, self.edges or ())):
            raise at_fields(
                "must be finite numbers; values below the first and above the last have segments, too", "edges"
            )
        return self

    @property
    def fits_hashes(self) -> bool:
        """Whether it can divide a column that has hashes in place of its values."""
        return self.edges is None and all(map(_is_hash, self.values or ()))

    @property
    def needs_reference(self) -> bool:
        """Whether its values are those of the reference."""
        return self.values is None and self.edges is None
