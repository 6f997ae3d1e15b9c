import io
from contextlib import suppress
from functools import reduce

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BodyTooLarge
from collector.store import parquet_pages
from collector.store.bounds import NO_BOUNDS, Bounds
from collector.store.parquet_pages import measure

ROWS = 100_000


def parquet(column, **options):
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": column}), sink, **options)
    return sink.getvalue()


def measured(body, bounds=NO_BOUNDS):
    return measure(body, bounds).size


@pytest.mark.parametrize(
    ("column", "size"),
    [
        (pa.array([0] * ROWS), 8 * ROWS),
        (pa.nulls(ROWS, pa.float32()), 4 * ROWS),
        (pa.array([b"1234567890"] * ROWS, pa.binary(10)), 10 * ROWS),
        (pa.array([[0] * ROWS]), 8 * ROWS),
        (pa.array([None] * (ROWS - 1) + [[0]]), 8 * ROWS),
    ],
    ids=["of one value", "of nulls", "of fixed size", "in one row", "of lists that are null"],
)
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"data_page_version": "2.0"}], ids=str)
def test_values_count_as_wide_as_they_will_be(column, size, options):
    body = parquet(column, compression="zstd", **options)
    assert len(body) < size / 10
    assert size <= measured(body) < 1.2 * size
    with pytest.raises(BodyTooLarge):
        measured(body, Bounds(size - 1))


def test_a_text_that_stands_once_counts_once():
    assert 100_000 < measured(parquet(pa.array(["x" * 100_000] * 1000))) < 120_000


def test_many_pages_are_refused(monkeypatch):
    monkeypatch.setattr(parquet_pages, "MAX_PAGES", 10)
    with pytest.raises(BodyTooLarge, match="more than 10 pages"):
        measured(parquet(pa.array(range(ROWS)), use_dictionary=False, data_page_size=1000))


def test_a_footer_too_large_to_be_parsed_is_refused(monkeypatch):
    body = parquet(pa.array([1]))
    assert measured(body)
    monkeypatch.setattr(parquet_pages, "MAX_FOOTER", 10)
    with pytest.raises(BodyTooLarge, match="the footer has"):
        measured(body)


@settings(deadline=None)
@given(st.data())
def test_a_changed_file_is_broken_or_measured(data):
    """Never TypeError, IndexError or the like, which no one above would take for a bad body."""
    body = bytearray(parquet(pa.array([{"a": "x"}, {"a": "y"}])))
    for position in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=3)):
        body[position] = data.draw(st.integers(0, 255))
    with suppress(BodyTooLarge, ValueError):
        measured(bytes(body), Bounds(10_000))


def test_leaves_are_those_that_arrow_finds():
    columns = {
        "a.b": ["x"],
        "s": [{"x": 1, "y": [{"z": b"z"}]}],
        "m": pa.array([[("k", 1)]], pa.map_("string", "int8")),
    }
    body = io.BytesIO()
    pq.write_table(pa.table(columns), body)
    schema = pq.ParquetFile(body).schema
    leaves = measure(body.getvalue(), NO_BOUNDS).leaves
    assert [leaf.path for leaf in leaves] == [schema.column(number).path for number in range(len(schema))]
    assert [leaf.is_text for leaf in leaves] == [True, False, True, True, False]


def test_columns_nested_without_end_are_refused():
    type_ = reduce(lambda inner, _: pa.struct([("a", inner)]), range(200), pa.int64())
    with pytest.raises(ValueError, match="more than 100 levels deep"):
        measured(parquet(pa.nulls(1, type_)))
