"""Giving a column of a batch the type that it has in the reference, where nothing is lost by it.

Events come as JSON, which has no times and no categories. A cast either keeps every value or isn't made.
"""

from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from collector.evaluation.pandas_columns import text

_EXACT_IN_FLOAT = 2**53
_BOOLEANS = {"true": True, "false": False, "True": True, "False": False}
_EPOCH_UNITS: tuple[Literal["s", "ms", "us", "ns"], ...] = ("s", "ms", "us", "ns")
_NEAR = pd.DateOffset(years=10)
_NAMES = {"time": "times", "integer": "integers", "float": "numbers", "boolean": "booleans", "text": "text"}


def cast_to(current: "pd.Series[Any]", reference: "pd.Series[Any]") -> "pd.Series[Any] | None":
    """Return ``current`` in the type of ``reference``, itself if it has it already, None if a value would be lost."""
    if isinstance(reference.dtype, pd.CategoricalDtype):
        return _to_category(current, reference)
    if isinstance(current.dtype, pd.CategoricalDtype):
        current = current.astype(current.cat.categories.dtype)
    have, want = kind_of(current), kind_of(reference)
    if have == want:
        return current
    convert = _CASTS.get((have, want))
    return convert(current, reference) if convert else None


def kind_of(column: "pd.Series[Any]") -> str:
    """Name a column's kind, of those that ``plain`` makes."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return kind_of(pd.Series(column.cat.categories))
    return {"M": "time", "i": "integer", "f": "float", "b": "boolean"}.get(column.dtype.kind, "text")


def name_of(column: "pd.Series[Any]") -> str:
    """Name what a column holds, for a sentence."""
    return "categories" if isinstance(column.dtype, pd.CategoricalDtype) else _NAMES[kind_of(column)]


def _to_category(current: "pd.Series[Any]", reference: "pd.Series[Any]") -> "pd.Series[Any] | None":
    # Own categories, not the reference's: a value unknown there would be lost, and an unused one counted as zero.
    values = cast_to(current, pd.Series(reference.cat.categories))
    return None if values is None else values.astype("category")


def _whole(column: "pd.Series[Any]", parsed: "pd.Series[Any]") -> "pd.Series[Any] | None":
    return parsed if parsed.notna().sum() == column.notna().sum() else None


def _text_to_time(column: "pd.Series[Any]", _: Any) -> "pd.Series[Any] | None":
    # Naive and zoned texts may stand side by side; naive ones are taken as UTC, as everything here.
    parsed = pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce")
    return _whole(column, parsed.dt.tz_localize(None).astype("datetime64[us]"))


def _text_to_integer(column: "pd.Series[Any]", _: Any) -> "pd.Series[Any] | None":
    # 007 is a code and no number, and 1_000 isn't meant.
    if not column.dropna().astype(str).str.fullmatch(r"-?(?:0|[1-9]\d{0,17})").all():
        return None
    return column.astype("int64") if column.notna().all() else pd.to_numeric(column).astype("float64")


def _text_to_float(column: "pd.Series[Any]", _: Any) -> "pd.Series[Any] | None":
    return _whole(column, pd.to_numeric(column, errors="coerce").astype("float64"))


def _text_to_boolean(column: "pd.Series[Any]", _: Any) -> "pd.Series[Any] | None":
    mapped = column.map(_BOOLEANS)
    return _whole(column, mapped.astype("bool" if mapped.notna().all() else "category"))


def _float_to_integer(column: "pd.Series[Any]", _: Any) -> "pd.Series[Any] | None":
    present = column.dropna()
    if not (np.isfinite(present).all() and (present % 1 == 0).all() and (present.abs() <= _EXACT_IN_FLOAT).all()):
        return None
    # With a value missing, numpy has no integers: the numbers are whole and stay floats.
    return column.astype("int64") if column.notna().all() else column


def _integer_to_float(column: "pd.Series[Any]", _: Any) -> "pd.Series[Any] | None":
    return column.astype("float64") if (column.abs() <= _EXACT_IN_FLOAT).all() else None


def _number_to_boolean(column: "pd.Series[Any]", _: Any) -> "pd.Series[Any] | None":
    if not column.dropna().isin([0, 1]).all():
        return None
    return cast(
        "pd.Series[Any]", column.map({0: False, 1: True}).astype("bool" if column.notna().all() else "category")
    )


def _boolean_to_number(column: "pd.Series[Any]", reference: "pd.Series[Any]") -> "pd.Series[Any]":
    return column.astype("float64" if column.isna().any() else reference.dtype)


def _integer_to_text(column: "pd.Series[Any]", _: Any) -> "pd.Series[Any]":
    return text(column.astype(str))


def _number_to_time(column: "pd.Series[Any]", reference: "pd.Series[Any]") -> "pd.Series[Any] | None":
    """Take numbers as an epoch if they lie near the reference's times in exactly one unit (of s, ms, us, ns)."""
    present = column.dropna()
    if present.empty or not (np.isfinite(present).all() and (present % 1 == 0).all()):
        return None
    earliest, latest = reference.min() - _NEAR, reference.max() + _NEAR
    first, last = present.min(), present.max()
    fitting = [unit for unit in _EPOCH_UNITS if earliest <= _instant(first, unit) and _instant(last, unit) <= latest]
    if len(fitting) != 1:
        return None
    # numpy, not pd.to_datetime: there is no detour over floating-point nanoseconds.
    instants = column.fillna(0).to_numpy("int64").astype(f"datetime64[{fitting[0]}]").astype("datetime64[us]")
    return pd.Series(instants, index=column.index).where(column.notna(), pd.NaT)


def _instant(number: float, unit: Literal["s", "ms", "us", "ns"]) -> Any:
    try:
        return pd.Timestamp(int(number), unit=unit)
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        return pd.NaT  # compares False with everything


_CASTS: dict[tuple[str, str], Any] = {
    ("text", "time"): _text_to_time,
    ("text", "integer"): _text_to_integer,
    ("text", "float"): _text_to_float,
    ("text", "boolean"): _text_to_boolean,
    ("float", "integer"): _float_to_integer,
    ("integer", "float"): _integer_to_float,
    ("integer", "boolean"): _number_to_boolean,
    ("float", "boolean"): _number_to_boolean,
    ("boolean", "integer"): _boolean_to_number,
    ("boolean", "float"): _boolean_to_number,
    ("integer", "text"): _integer_to_text,
    ("integer", "time"): _number_to_time,
    ("float", "time"): _number_to_time,
}
