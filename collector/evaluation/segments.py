"""Dividing rows into segments by the values of a column: each row is in one, or in ``other``."""

import re
import uuid
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from collector.evaluation.casts import kind_of
from collector.evaluation.matching import Columns
from collector.evaluation.wanted import NAMES
from collector.formats.as_text import number_text, to_text
from collector.formats.kinds import is_number
from collector.wording import OTHER_SEGMENT
from collector.workers.exchange import Json

# Characters of a segment's name; rows with a longer text go to the rest.
_MAX_NAME = 200
Codes = np.ndarray[Any, np.dtype[np.int16]]


class Undivided(Exception):
    """Rows that can't be divided, and why, in a sentence."""


class ByValue:
    """Segments of the rows that have one value, which is spelt as text; the rest has the code behind them."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def codes_of(self, column: pa.Array) -> Codes:
        """Return the code of each value's segment."""
        known = pc.index_in(spelled(column), value_set=pa.array(self.names, pa.large_string()))
        return _codes(known.fill_null(len(self.names)))


class ByEdge:
    """Segments of numbers between edges, each with its lower edge; rows without a number are in the rest."""

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = np.array(edges)
        spelt = list(map(number_text, map(float, edges)))
        between = [f"{low} to {high}" for low, high in pairwise(spelt)]
        self.names = [f"below {spelt[0]}", *between, f"{spelt[-1]} and more"]

    def codes_of(self, column: pa.Array) -> Codes:
        """Return the code of each number's segment."""
        numbers = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
        codes = np.searchsorted(self._edges, numbers, side="right")
        return np.where(np.isnan(numbers), len(self.names), codes).astype(np.int16)


Division: TypeAlias = ByValue | ByEdge


def division_of(segments: Json, reference: Columns | None) -> Division:
    """Return how rows are divided, which doesn't depend on a batch, so that series stay; raise Undivided."""
    if segments.get("edges") is not None:
        return ByEdge(segments["edges"])
    if segments.get("values") is not None:
        return ByValue(list(dict.fromkeys(map(_name_of, segments["values"]))))
    if reference is None:
        raise Undivided("there is no reference to take the segments from; name them in segments.values")
    column = reference(segments["column"])
    if column is None:
        raise Undivided("the reference doesn't have that column")
    return ByValue(_largest(column, segments["max"], segments["min_rows"]))


def codes_in(division: Division, columns: Columns, name: str, side: str) -> Codes:
    """Return the code of each row's segment; raise Undivided."""
    column = columns(name)
    if column is None:
        raise Undivided(f"{side} doesn't have that column")
    if isinstance(division, ByEdge) and not (is_number(column.type) or types.is_null(column.type)):
        raise Undivided(f"edges divide numbers, and {side} has {NAMES.get(str(kind_of(column.type)), 'others')} there")
    return division.codes_of(column)


def spelled(column: pa.Array) -> pa.Array:
    """Return values as a person writes them; a missing one, and an empty text, is null."""
    encoded = column if types.is_dictionary(column.type) else column.dictionary_encode()
    texts = to_text(encoded.dictionary).cast(pa.large_string())
    if types.is_temporal(encoded.dictionary.type):
        texts = pa.array([None if text is None else _time_text(text) for text in texts.to_pylist()], pa.large_string())
    return pc.if_else(pc.equal(texts, ""), None, texts).take(encoded.indices)


def snapshot_id(batch_id: str, segment: str) -> str:
    """Return the id of a segment's snapshot, the same each time that it is made."""
    return str(uuid.uuid5(uuid.UUID(batch_id), segment))


def _largest(column: pa.Array, most: int, min_rows: int) -> list[str]:
    """Name the values that occur most, if they occur often enough."""
    counts = pc.value_counts(spelled(column)).to_pylist()
    common = [(-one["counts"], one["values"]) for one in counts if one["counts"] >= min_rows]
    return [name for _, name in sorted(one for one in common if _can_be(one[1]))[:most]]


def _can_be(name: str | None) -> bool:
    return name is not None and name != OTHER_SEGMENT and len(name) <= _MAX_NAME


def _name_of(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else number_text(value)


def _time_text(text: str) -> str:
    return re.sub(r"(\.\d*?)0+(Z?)$", r"\1\2", text).replace(".Z", "Z").removesuffix(".").removesuffix(" 00:00:00")


def _codes(codes: pa.Array) -> Codes:
    made: Codes = codes.to_numpy(zero_copy_only=False).astype(np.int16)
    return made
