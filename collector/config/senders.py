"""Senders: model servers that log requests and responses as CloudEvents, and how those become events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from collector.config.durations import Wait
from collector.config.value import MAX_COLUMNS, ColumnName, Ours, Value, at_fields

# The column that holds the id of a request, by which labels find it.
REQUEST_ID = "request_id"


class KServe(Ours):
    """Requests and responses that KServe or Seldon logs: which become events, and what their columns are called."""

    features: tuple[ColumnName, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_COLUMNS,
        description="The columns of a request: names for them in their order, or the ones to take; null: all.",
    )
    prediction: ColumnName | tuple[ColumnName, ...] | None = Field(
        default=None, description="The column of a response, or its columns, as in features; null: its own names."
    )
    pair: Literal["all", "request", "response"] = Field(
        default="all", description="An event is a request with its response, or one of the two alone."
    )
    wait: Wait = Field(
        default=60, description="How long a request waits for its response, and a response for its request."
    )

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield the columns that it names, each after the field that names it."""
        for name in self.features or ():
            yield "features", name
        for name in (self.prediction,) if isinstance(self.prediction, str) else self.prediction or ():
            yield "prediction", name

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        known = {REQUEST_ID}
        for field, name in self.names():
            if name == REQUEST_ID:
                raise at_fields(f"names '{name}', which is the column of the request's id; choose another", field)
            if name in known:
                raise at_fields(f"names '{name}', which is named twice; each column needs a name of its own", field)
            known.add(name)
        return self


class Input(Value):
    """What a collector takes beside tables: CloudEvents of a model server."""

    always_written: ClassVar[frozenset[str]] = frozenset({"kserve"})

    kserve: KServe = Field(description="Requests and responses that KServe or Seldon logs.")
