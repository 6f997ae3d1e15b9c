"""References without a file: of which of its own rows a collector's reference is made."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from collector.config.value import Ours, at_fields

MAX_ROWS = 10_000_000
MAX_BATCHES = 1_000
# With fewer rows in the reference, none of Evidently's methods can tell drift from chance.
_LEAST_ROWS = 100


class ReferenceFrom(Ours):
    """Which rows of its own a collector is compared with, while nobody has given it a reference."""

    first_rows: int | None = Field(
        default=None, ge=1, le=MAX_ROWS, description="How many rows, the first ones, become the reference for good."
    )
    previous: int | None = Field(
        default=None,
        ge=1,
        le=MAX_BATCHES,
        description="Instead of first_rows: with the rows of how many batches before it a batch is compared.",
    )
    min_rows: int | None = Field(
        default=None,
        ge=1,
        le=MAX_ROWS,
        description="How many rows a reference has at least; null: first_rows, or 100 with previous.",
    )

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.first_rows is None) == (self.previous is None):
            raise ValueError('write one of the two: {"first_rows": 10000} or {"previous": 7}')
        if self.first_rows is not None and self.least_rows > self.first_rows:
            raise at_fields(f"is more than first_rows, {self.first_rows}: there would never be a reference", "min_rows")
        return self

    @property
    def least_rows(self) -> int:
        """How many rows a reference has at least."""
        return self.min_rows or self.first_rows or _LEAST_ROWS

    @property
    def words(self) -> str:
        """Say which rows they are; two that say the same make the same reference."""
        if self.first_rows is not None:
            return f"the first {self.first_rows} rows"
        return "the previous batch" if self.previous == 1 else f"the previous {self.previous} batches"
