"""Columns that legacy Evidently computes of texts: its JSON names them, and doesn't keep how they are computed."""

from typing import Any


def find_computed_column(value: Any) -> str | None:
    """Return the name of the first such column in what ``.dict()`` makes of a legacy metric or test, if there is one.

    ``TextLength().on("answer")`` is written as a ``ColumnName`` of the dataset "additional", without its descriptor.
    """
    if isinstance(value, dict):
        if value.get("type") == "evidently:base:ColumnName" and value.get("dataset") == "additional":
            return str(value.get("display_name"))
        value = list(value.values())
    inner = (find_computed_column(item) for item in value) if isinstance(value, list) else ()
    return next((name for name in inner if name is not None), None)


def not_kept(name: str) -> str:
    """Say what is wrong with such a column, and the ways out."""
    return (
        f"'{name}' is computed by a legacy text descriptor, which Evidently doesn't write into JSON; "
        "send it as a column of the events, or use a modern report with descriptors"
    )
