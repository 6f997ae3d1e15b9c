"""Private columns: which columns of a collector's events, labels and reference are never kept as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from collector.config.environment import filled, is_from_environment
from collector.config.masking import MASK
from collector.config.value import MAX_COLUMNS, ColumnName, Ours, Text, at_fields

if TYPE_CHECKING:
    from collector.formats.private import Private


class PrivateColumns(Ours):
    """What is done to columns before anything of them reaches the disk."""

    keep: tuple[ColumnName, ...] | None = Field(
        default=None, max_length=MAX_COLUMNS, description="The only columns that are kept; null: all."
    )
    drop: tuple[ColumnName, ...] = Field(
        default=(), max_length=MAX_COLUMNS, description="Columns that are dropped; not allowed beside keep."
    )
    hash: dict[ColumnName, Text] = Field(
        default={},
        repr=False,
        max_length=MAX_COLUMNS,
        description="Columns of which a keyed hash is kept, each with its salt, or ${NAME} to take it from the "
        "environment.",
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.keep is None and not self.drop and not self.hash:
            raise at_fields('names no column; write keep, drop or hash, as in {"drop": ["name"]}', "keep")
        if self.keep is not None and self.drop:
            raise at_fields(
                "isn't allowed beside keep, as what isn't kept is dropped anyway; leave one of the two out", "drop"
            )
        for name in self.hash:
            if self.drops(name):
                raise at_fields(f"hashes '{name}', which isn't kept; take it out here, or keep it", "hash")
        return self

    def drops(self, name: str) -> bool:
        """Tell whether a column is dropped."""
        return name in self.drop if self.keep is None else name not in self.keep

    def filled(self) -> Private:
        """Return the columns to drop and hash, with the salts filled in; raise ConfigError for missing variables."""
        salts = {name: filled(salt, "columns", "hash", name) for name, salt in self.hash.items()}
        return {"keep": None if self.keep is None else list(self.keep), "drop": list(self.drop), "hash": salts}

    def masked(self) -> Self:
        """Return it as it may be shown: with the names of variables, and without other salts."""
        shown = {name: salt if is_from_environment(salt) else MASK for name, salt in self.hash.items()}
        return self.model_copy(update={"hash": shown})
