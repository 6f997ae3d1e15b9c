"""Joining: the rows of a batch that have a label, and their labels, written to parts of their own.

Keys are the same if both halves of 128 bits of their texts are: the first half finds the rows, the second is compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.disk.files import sync_file
from collector.formats.apart import Gathered, append, pieces_of
from collector.formats.merging import Merging
from collector.labels.arrays import read_numbers, read_rows, write_array
from collector.labels.exchange import Joined, JoinedPart
from collector.labels.indexing import are_among, label_numbers, rows_of
from collector.labels.numbers import key_numbers
from collector.store.parts import write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from collector.config.labels import OnDuplicate
    from collector.formats.apart import Pieces
    from collector.labels.exchange import BatchFiles, Keying, LabelFile, Wanted
    from collector.labels.numbers import Numbers

    Rows = NDArray[np.uint32]
    Flags = NDArray[np.bool_]

_AT_ONCE = 65_536  # rows of a batch that are handled together
_PART_ROWS = 500_000
_PART_BYTES = 100_000_000  # as they are in memory


class _Labels(NamedTuple):
    """Labels for which a batch has rows: both halves of their keys' numbers, and their values."""

    first: Numbers
    second: Numbers
    values: pa.Table


class _Chosen(NamedTuple):
    """The labels that count, sorted by the first half of their keys' numbers; ``row`` is the place of their values."""

    first: Numbers
    second: Numbers
    row: Rows


class _Pairs(NamedTuple):
    """Rows of a batch in their order, each with the row of its label's values, and the second half of its key."""

    row: Rows
    label: Rows
    second: Numbers


def join(batch: BatchFiles, labels: Sequence[LabelFile], keying: Keying, wanted: Wanted, target: str) -> Joined:
    """Write the rows of a batch that have a label to parts named after ``target``; the labels come in their order.

    Keys whose labels differ, if those are dropped, are written to a file of keys of their own.
    Raises KeysSpoiled, FilesDamaged.
    """
    known = read_numbers(f"{batch.keys}.sorted", keying.salt)
    found = _labels_for(known, labels, keying, wanted.columns)
    if found is None:
        return Joined([])
    chosen, replaced, disputed = _choose(found, wanted.on_duplicate)
    if len(disputed):
        write_array(f"{batch.keys}.disputed", disputed, keying.salt)
        sync_file(Path(f"{batch.keys}.disputed"))  # it can't be made again once the labels are dropped
    pairs, values = _pair(known, read_rows(f"{batch.keys}.rows", keying.salt), chosen), found.values
    del known, found, chosen
    written = _write(_joined(batch.parts, pairs, values, keying), target)
    return Joined(written, replaced, len(disputed))


def _labels_for(known: Numbers, labels: Sequence[LabelFile], keying: Keying, columns: Sequence[str]) -> _Labels | None:
    """Read the labels for which the batch has rows; None if there are none."""
    first, second, values = [], [], []
    for label in labels:
        numbers = label_numbers(label, keying)
        is_wanted = are_among(numbers, known)
        if not is_wanted.any():
            continue
        row = 0
        for table in rows_of(label.part, _AT_ONCE, [keying.column, *columns]):
            mine = is_wanted[row : row + table.num_rows]
            row += table.num_rows
            if mine.any():
                some = table.filter(pa.array(mine))
                second.append(key_numbers(some, keying.other))
                values.append(some.select([name for name in columns if name in some.column_names]))
        first.append(numbers[is_wanted])
    if not values:
        return None
    return _Labels(np.concatenate(first), np.concatenate(second), _appended(values))


def _appended(tables: list[pa.Table]) -> pa.Table:
    """Append labels; a label that has none of the columns still is a row."""
    rows = pa.array(np.arange(sum(map(len, tables)), dtype=np.uint32))
    numbered, start = [], 0
    for table in tables:
        numbered.append(table.append_column("", rows.slice(start, len(table))))
        start += len(table)
    return append(numbered).drop_columns([""]).combine_chunks() if numbered else pa.table({})


def _choose(labels: _Labels, on_duplicate: OnDuplicate) -> tuple[_Chosen, int, Numbers]:
    """Choose one label for each key by their order; return them, how many others gave way, and the disputed keys."""
    order = np.argsort(labels.first, kind="stable").astype(np.uint32)
    first, second = labels.first[order], labels.second[order]
    is_same = first[1:] == first[:-1]
    # two different keys with the same first half, which happens once in many years
    if (is_same & (second[1:] != second[:-1])).any():
        again = np.lexsort((order, second, first))
        order, first, second = order[again], first[again], second[again]
        is_same = (first[1:] == first[:-1]) & (second[1:] == second[:-1])
    begins = np.flatnonzero(np.concatenate([[True], ~is_same]))
    ends = np.append(begins[1:], len(first)) - 1
    replaced = int((ends - begins).sum())
    chosen = begins if on_duplicate == "first" else ends
    disputed = np.empty(0, np.uint64)
    if on_duplicate == "drop" and replaced:
        is_disputed = _differ(labels.values, order, begins, ends)
        disputed, chosen = first[begins[is_disputed]], chosen[~is_disputed]
    return _Chosen(first[chosen], second[chosen], order[chosen]), replaced, disputed


def _differ(values: pa.Table, order: Rows, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> Flags:
    """Tell for each key whether its labels differ; the type in which a value came doesn't matter."""
    first = np.repeat(begins, ends - begins + 1)
    differs = np.zeros(len(order), np.bool_)
    for column in Merging([values.schema]).merge(values).columns:
        codes = _codes_of(column)[order]
        differs |= codes != codes[first]
    result: Flags = np.logical_or.reduceat(differs, begins)
    return result


def _codes_of(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return a number for each value, equal for equal values; missing values are equal, too."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type):
        column = pa.chunked_array([[repr(value) for value in column.to_pylist()]], pa.large_string())
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    codes: NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False)
    return codes


def _pair(known: Numbers, rows: Rows, chosen: _Chosen) -> _Pairs:
    """Give each label to all rows that have its key."""
    found, given = [np.empty(0, np.uint32)], [np.empty(0, np.uint32)]
    for start in range(0, len(chosen.first), _AT_ONCE):
        some = chosen.first[start : start + _AT_ONCE]
        begins = known.searchsorted(some)
        counts = known.searchsorted(some, "right") - begins
        labels = np.repeat(np.arange(start, start + len(some), dtype=np.uint32), counts)
        before = np.concatenate([[0], counts.cumsum()[:-1]])
        places = np.arange(len(labels)) + np.repeat(begins - before, counts)
        found.append(rows[places])
        given.append(labels)
    row, label = np.concatenate(found), np.concatenate(given)
    order = np.argsort(row, kind="stable").astype(np.uint32)
    row, label = row[order], label[order]
    return _Pairs(row, chosen.row[label], chosen.second[label])


def _joined(parts: Sequence[str], pairs: _Pairs, values: pa.Table, keying: Keying) -> Iterator[pa.Table]:
    """Yield the rows that have a label, together with it."""
    start = 0
    for part in parts:
        for table in rows_of(part, _AT_ONCE):
            low, high = pairs.row.searchsorted([start, start + table.num_rows])
            if low < high:
                rows = table.take(pa.array(pairs.row[low:high].astype(np.int64) - start))
                labels = pairs.label[low:high]
                is_same = key_numbers(rows, keying.other) == pairs.second[low:high]
                if not is_same.all():
                    rows, labels = rows.filter(pa.array(is_same)), labels[is_same]
                yield _with_labels(rows, values.take(pa.array(labels)))
            start += table.num_rows


def _with_labels(rows: pa.Table, labels: pa.Table) -> pa.Table:
    """Put labels beside their rows: a label fills a missing value, and replaces one that is there.

    A row whose label is missing in each column has no label: it was withdrawn.
    """
    rows, labels = rows.combine_chunks(), labels.combine_chunks()
    gathered, is_labelled = Gathered(), np.zeros(len(rows), np.bool_)
    for field in rows.schema:
        if field.name not in labels.column_names:
            gathered.add(field.name, 0, _pieces(rows, field))
    for field in labels.schema:
        pieces = _pieces(labels, field)
        has_label = np.zeros(len(rows), np.bool_)
        for _, array in pieces:
            has_label |= array.is_valid().to_numpy(zero_copy_only=False) & ~_are_nan(array)
        is_labelled |= has_label
        if field.name in rows.column_names:
            pieces = _overlaid(pieces, _pieces(rows, rows.schema.field(field.name)), has_label)
        gathered.add(field.name, 0, pieces)
    joined = gathered.table(len(rows))
    return joined if is_labelled.all() else joined.filter(pa.array(is_labelled))


def _pieces(table: pa.Table, field: pa.Field) -> Pieces:
    chunks = table.column(field.name).chunks
    return pieces_of(field, chunks[0] if chunks else pa.nulls(0, field.type))


def _overlaid(over: Pieces, under: Pieces, is_over: Flags) -> Pieces:
    """Return the values of one column where ``is_over``, else those of the other."""
    places = np.arange(len(is_over))
    upper, lower = pa.array(places, mask=~is_over), pa.array(places, mask=is_over)
    return [(form, array.take(upper)) for form, array in over] + [(form, array.take(lower)) for form, array in under]


def _are_nan(array: pa.Array) -> Flags:
    if not pa.types.is_floating(array.type):
        return np.zeros(len(array), np.bool_)
    found: Flags = pc.fill_null(pc.is_nan(array), fill_value=False).to_numpy(zero_copy_only=False)
    return found


def _write(tables: Iterator[pa.Table], target: str) -> list[JoinedPart]:
    """Write tables to parts of a good size; each part is whole and on the disk before the next."""
    written: list[JoinedPart] = []
    for some in _together(tables):
        table = append(some)
        path = f"{target}-{len(written)}.parquet"
        written.append(JoinedPart(path, table.num_rows, write(table, Path(path))))
    return written


def _together(tables: Iterator[pa.Table]) -> Iterator[list[pa.Table]]:
    """Yield tables in groups, each large enough for a part."""
    some: list[pa.Table] = []
    for table in tables:
        if table.num_rows:
            some.append(table)
        if sum(map(len, some)) >= _PART_ROWS or sum(one.nbytes for one in some) >= _PART_BYTES:
            yield some
            some = []
    if some:
        yield some
