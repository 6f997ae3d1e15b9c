import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bodies import arrow

from collector.evaluation.part_files import read_parts
from collector.formats.apart import append
from collector.formats.frames import decode_frames
from collector.formats.sources import CSV, JSON, KEY, TEXT, TYPED, marked, marks_of_field, source_of

TYPED_BODY = ("arrow", arrow(pa.table({"a": [1]})))
EVENTS_BODY = ("arrow", arrow(pa.table({"a": [1]}).replace_schema_metadata({KEY: b"json"})))
JSON_BODY, TEXT_BODY = ("json", b'{"a": [1]}'), ("ndjson", b'{"a": "1"}')


@pytest.mark.parametrize(
    ("frames", "source"),
    [
        ([TYPED_BODY], "typed"),
        ([EVENTS_BODY], "json"),
        ([JSON_BODY], "json"),
        ([TEXT_BODY], "json"),
        ([TYPED_BODY, JSON_BODY], "json"),
        ([TYPED_BODY, EVENTS_BODY], "json"),
    ],
)
def test_a_column_is_marked_with_how_it_came_whatever_the_order_and_wherever_a_part_ends(frames, source, tmp_path):
    for order in (frames, frames[::-1]):
        assert source_of(marks_of_field(decode_frames(order).field("a"))) == source
        paths = [str(tmp_path / f"{number}.parquet") for number in range(len(order))]
        for path, frame in zip(paths, order, strict=True):
            pq.write_table(decode_frames([frame]), path)
        assert source_of(marks_of_field(read_parts(paths)[0].field("a"))) == source


@pytest.mark.parametrize(
    ("marks", "source"),
    [
        (CSV, "csv"),
        (CSV | JSON, "csv"),
        (CSV | TYPED, "csv"),
        (CSV | TEXT, "json"),
        (CSV | JSON | TEXT, "json"),
        (JSON | TYPED, "json"),
        (TYPED | TEXT, "typed"),
    ],
)
def test_what_came_in_two_ways_knows_as_little_of_its_type_as_the_one_that_knows_least(marks, source):
    assert source_of(marks) == source


def test_text_beside_csv_is_remembered_in_the_mark():
    spelled, text = marked(pa.table({"a": ["1"]}), CSV), marked(pa.table({"a": ["x"]}), JSON)
    assert marks_of_field(append([spelled, text]).field("a")) == CSV | JSON | TEXT
    assert marks_of_field(append([spelled, marked(pa.table({"a": [1]}), JSON)]).field("a")) == CSV | JSON


def test_a_mark_outlives_parquet_and_says_nothing_of_typed_columns():
    spelled, typed = marked(pa.table({"a": ["1"]}), CSV), marked(pa.table({"b": [1]}), TYPED)
    table, file = spelled.append_column(typed.field("b"), typed["b"]), io.BytesIO()
    pq.write_table(table, file)
    read = pq.read_table(io.BytesIO(file.getvalue()))
    assert {field.name: marks_of_field(field) for field in read.schema} == {"a": CSV, "b": TYPED}
    assert KEY not in (table.schema.field("b").metadata or {})
