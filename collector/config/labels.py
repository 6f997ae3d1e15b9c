"""Labels: what becomes known of events later, the key that joins it to them, and the report of both."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from collector.config.durations import Wait
from collector.config.report import MAX_ITEMS, ReportConfig
from collector.config.value import ColumnName, Value, at_fields

# The name of the labels' report, beside "main", and of the labels' stream of bodies, beside that of events.
MAIN, LABELS = REPORTS = "main", "labels"
DEFAULT_WAIT = 7 * 86_400
_MAX_COLUMNS = 100
OnDuplicate = Literal["last", "first", "drop"]


class Labels(Value):
    """The labels that POST /{id}/labels brings later, and the second report of each batch, on its rows with labels."""

    always_written: ClassVar[frozenset[str]] = frozenset({"key", "columns", "wait", "report_config"})

    key: ColumnName = Field(description="The column, in events and in labels, by which a label finds its event.")
    columns: tuple[ColumnName, ...] = Field(
        min_length=1, max_length=_MAX_COLUMNS, description="The columns that labels bring; others are left out."
    )
    report_config: ReportConfig = Field(description="The contents of the snapshot of the rows that have labels.")
    data_definition: dict[str, Any] | None = Field(
        default=None, max_length=MAX_ITEMS, description="Fields of evidently.DataDefinition, for this report."
    )
    wait: Wait = Field(
        default=DEFAULT_WAIT, description="How long a batch waits for its labels, and a label for its event."
    )
    min_share: float = Field(
        default=1.0, gt=0, le=1, description="When this share of a batch's rows has labels, it waits no longer."
    )
    on_duplicate: OnDuplicate = Field(
        default="last", description="Which label counts if a key has several; drop: none, if they differ."
    )

    @model_validator(mode="after")
    def _key_is_no_label(self) -> Self:
        if self.key in self.columns:
            raise at_fields(f"names '{self.key}', which is the key and not a label; take it out", "columns")
        if len(set(self.columns)) < len(self.columns):
            raise at_fields("names a column twice", "columns")
        return self
