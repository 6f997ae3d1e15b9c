import io
from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import BodyTooLarge
from collector.formats.bounds import NO_BOUNDS, Bounds
from collector.formats.untrusted import arrow_messages
from collector.formats.untrusted.arrow_messages import check_stream

ZEROS = pa.table({"a": pa.array([0] * 100_000)})  # 800 000 bytes


def stream(table, batch_rows=None, **options):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, batch_rows)
    return sink.getvalue()


def is_within(body, max_bytes):
    try:
        check_stream(body, Bounds(max_bytes))
    except BodyTooLarge:
        return False
    return True


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_buffers_count_as_they_are_before_compression(compression):
    body = stream(ZEROS, compression=compression)
    assert [is_within(body, size) for size in (799_999, 900_000)] == [False, True]


def test_the_values_of_a_dictionary_count_too():
    texts = pa.table({"a": pa.array(["x" * 100_000]).dictionary_encode()})
    assert not is_within(stream(texts, compression="zstd"), 100_000)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": pa.nulls(2**31 - 1)}),
        pa.table({"a": pa.FixedSizeListArray.from_arrays(pa.nulls(2**31 - 1), 2**31 - 1)}),
        pa.table([pa.Array.from_buffers(pa.struct([]), 2**31 - 1, [None], children=[])], names=["a"]),
    ],
    ids=["nulls", "a list of fixed size", "a struct without fields"],
)
def test_what_has_a_length_but_no_bytes_counts_by_its_length(table):
    body = stream(table)
    assert len(body) < 1000
    assert not is_within(body, 2**31 - 2)


def test_columns_are_counted_before_the_schema_is_taken():
    body = stream(pa.table({str(number): [1] for number in range(11)}))
    check_stream(body, Bounds(max_columns=11))
    with pytest.raises(BodyTooLarge, match="11 columns, the limit is 10"):
        check_stream(body, Bounds(max_columns=10))


def test_many_tiny_batches_are_refused(monkeypatch):
    monkeypatch.setattr(arrow_messages, "MAX_ARRAYS", 100)
    check_stream(stream(ZEROS[:50], batch_rows=1), NO_BOUNDS)
    with pytest.raises(BodyTooLarge, match="send larger batches"):
        check_stream(stream(ZEROS[:51], batch_rows=1), NO_BOUNDS)


def test_a_schema_of_endless_metadata_is_refused(monkeypatch):
    monkeypatch.setattr(arrow_messages, "MAX_METADATA", 1000)
    with pytest.raises(BodyTooLarge, match="metadata"):
        check_stream(stream(ZEROS.replace_schema_metadata({"a": "x" * 1000})), NO_BOUNDS)


@given(st.data())
def test_a_changed_stream_is_broken_or_measured(data):
    """Never struct.error, IndexError or the like, which no one above would take for a bad body."""
    body = bytearray(stream(pa.table({"a": ["x", "y"], "b": [1, 2]}), compression="lz4"))
    for position in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=3)):
        body[position] = data.draw(st.integers(0, 255))
    with suppress(BodyTooLarge, ValueError, pa.ArrowException, OSError):
        check_stream(bytes(body), Bounds(10_000))
