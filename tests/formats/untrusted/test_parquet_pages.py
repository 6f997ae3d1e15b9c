import io
from contextlib import nullcontext, suppress
from functools import reduce

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BodyTooLarge
from collector.formats.bounds import NO_BOUNDS, Bounds
from collector.formats.untrusted import parquet_pages
from collector.formats.untrusted.parquet_pages import measure

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


def test_a_field_that_arrow_passes_over_hides_nothing():
    """That a column has no values, told in 32 bits where Arrow takes 64: put at the end of each struct in turn."""
    body = parquet(pa.array(range(ROWS)), use_dictionary=False)
    size, end = int.from_bytes(body[-8:-4], "little"), len(body) - 8
    passed = 0
    for position in (place for place in range(end - size, end) if body[place] == 0):
        changed = body[:position] + b"\x05\x0a\x00" + body[position:end] + (size + 3).to_bytes(4, "little") + b"PAR1"
        with suppress(ValueError, OSError, pa.ArrowException):
            size_of_all = measured(changed)
            if pq.read_table(io.BytesIO(changed)).num_rows == ROWS:
                assert size_of_all >= 8 * ROWS
                passed += 1
    assert passed


@pytest.mark.parametrize(
    ("writer", "is_sound"),
    [
        (b"parquet-mr version 1.12.2 (build 77e30c8093386ec52c3cfa6c34b7ef3321322c94)", True),
        (b"parquet-mr version 1.10.1-databricks-0009 (build abc)", True),
        (b"parquet-cpp-arrow version 26.0.0", True),
        (b"parquet-mr version 1.2.8", False),
        (b"Parquet-MR version 1.2.8 parquet-mr version 1.12.2", False),
        (b"parquet-mr", False),
        (b"parquet-mr version 1.9", False),
    ],
)
def test_writers_that_told_the_sizes_of_columns_wrong_are_refused(writer, is_sound):
    """A binary text in Thrift is its length and its bytes; Arrow's own name is put in the place of another."""
    body = parquet(pa.array([1]))
    own = pq.read_metadata(io.BytesIO(body)).created_by.encode()
    size = int.from_bytes(body[-8:-4], "little") + len(writer) - len(own)
    other = body.replace(bytes([len(own)]) + own, bytes([len(writer)]) + writer)
    with nullcontext() if is_sound else pytest.raises(ValueError, match="parquet-mr before"):
        assert measured(other[:-8] + size.to_bytes(4, "little") + other[-4:])
