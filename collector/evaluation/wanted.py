"""The types that a reference's columns have, as what a batch's columns are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from collector.formats.spellings import BOOLEANS

if TYPE_CHECKING:
    from collector.formats.spellings import Kind

NAMES = {
    "text": "text",
    "integer": "integers",
    "float": "numbers",
    "boolean": "booleans",
    "time": "times",
    "list": "lists",
}
_NEAR = 3653 * 24 * 3600 * 10**6  # ten years in microseconds
_KINDS: dict[str, Kind] = {"M": "time", "i": "integer", "f": "float", "b": "boolean"}
_TYPES = {
    "text": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "boolean": pa.bool_(),
    "list": pa.list_(pa.string()),
}


@dataclass(frozen=True)
class Wanted:
    """The kind of a reference's column, and what of its values tells how others of that kind are written."""

    kind: Kind
    is_category: bool
    values: pd.Series[Any]

    @classmethod
    def of(cls, column: pd.Series[Any]) -> Wanted | None:
        """Tell what a column has; None if it has no value to tell it by."""
        is_category = isinstance(column.dtype, pd.CategoricalDtype)
        values = pd.Series(column.cat.categories) if is_category else column
        present = values.dropna()
        if present.empty:
            return None
        kind = "list" if isinstance(present.iloc[0], list) else _KINDS.get(values.dtype.kind, "text")
        return cls(kind, is_category, values)

    @property
    def name(self) -> str:
        """What it holds, for a sentence."""
        return f"categories of {NAMES[self.kind]}" if self.is_category else NAMES[self.kind]

    @property
    def type(self) -> pa.DataType:
        """The Arrow type that becomes the reference's own in pandas."""
        plain = pa.timestamp(self.unit) if self.kind == "time" else _TYPES[self.kind]
        return pa.dictionary(pa.int32(), plain) if self.is_category else plain

    @property
    def unit(self) -> str:
        """The unit of its times."""
        return str(np.datetime_data(np.dtype(str(self.values.dtype)))[0])

    @cached_property
    def years_around(self) -> tuple[int, int]:
        """The microseconds ten years before the first and after the last of its times."""
        times = self.values.dropna().to_numpy().astype("datetime64[us]").astype("int64")
        return int(times.min()) - _NEAR, int(times.max()) + _NEAR

    @cached_property
    def booleans(self) -> dict[bool, str]:
        """How its text writes true and false; as JSON does where it has neither."""
        spelt = [text for text in BOOLEANS if text in self._texts]
        return {True: "true", False: "false"} | {BOOLEANS[text]: text for text in _alike(spelt)}

    @cached_property
    def has_booleans_only(self) -> bool:
        """Whether its text is all true and false."""
        return self._texts <= BOOLEANS.keys()

    @cached_property
    def has_integers_only(self) -> bool:
        """Whether its text is all digits."""
        return all(text.removeprefix("-").isdecimal() for text in self._texts)

    @cached_property
    def _texts(self) -> set[str]:
        return set(self.values.dropna().unique())


def _alike(spelt: list[str]) -> list[str]:
    """Return the spellings of true and false in the case of the first one."""
    cases = (str.lower, str.capitalize, str.upper)
    case = next((case for case in cases if spelt and case(spelt[0]) == spelt[0]), str.lower)
    return [case("true"), case("false")]
