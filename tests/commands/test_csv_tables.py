"""CSV in blocks against CSV in one piece."""

import io

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.commands import csv_tables
from collector.commands.csv_tables import read_csv
from collector.errors import CommandError
from collector.formats.typed_body import read_table

# Of each type that Arrow finds, and what lies between two of them.
VALUES = [
    *("", '""', "7", "007", "0", "1", "-3", "9999999999999999999", "true", "False", "nan", "NULL", "1.5", "1e9"),
    *("2020-01-01", "10:00:00", "2020-01-01 10:00:00", "2020-01-01T10:00:00.5", "2020-01-01T10:00:00Z"),
    *("2020-01-01T10:00:00.5+02:00", "text", 'five " inch', '"quoted"', '"two\nlines, one value"', '"a ""b"" c"', "é"),
]
rows = st.lists(st.tuples(st.sampled_from(VALUES), st.sampled_from(VALUES), st.just("0")), min_size=1, max_size=12)


@pytest.fixture
def read(monkeypatch):
    """Read CSV in blocks of so many bytes."""

    def read(body, block=2**22):
        monkeypatch.setattr(csv_tables, "BLOCK_BYTES", block)
        return list(read_csv(lambda: io.BytesIO(body), "events.csv"))

    return read


@settings(max_examples=400, deadline=None)
@given(rows, st.integers(8, 60))
@example([("0", "x", "0"), ("true", "x", "0")], 12)  # 0 is an integer, until another value makes it a boolean
@example([("5", "x", "0"), ("true", "x", "0")], 12)
def test_blocks_have_the_types_and_values_that_the_whole_has(rows, block):
    body = b"a,b,c\n" + "".join(",".join(row) + "\n" for row in rows).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_tables, "BLOCK_BYTES", block)
        tables = list(read_csv(lambda: io.BytesIO(body), "events.csv"))
    assert pa.concat_tables(tables).equals(read_table("csv", body).combine_chunks())


@pytest.mark.parametrize("body", [b"a,b\r\n1,x\r\n2,y", b"\xef\xbb\xbfa,b\n1,x\n2,y\n", b'\n"a","b"\n1,x\n\n2,y\n\n'])
def test_line_ends_marks_and_blank_lines_are_as_for_arrow(read, body):
    assert pa.concat_tables(read(body, 8)).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_a_file_of_one_block_is_read_twice_and_no_more():
    opened = []

    def open_file():
        opened.append(io.BytesIO(b"a\n1\n2\n"))
        return opened[-1]

    assert [table.num_rows for table in read_csv(open_file, "events.csv")] == [2]
    assert len(opened) == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"a,b\n1,2\n3,4\n5\n6,7\n", "events.csv, row 3: Expected 2 columns, got 1: 5"),
        (b"a,b\n1,2\n3,4,5\n", "events.csv, row 2: Expected 2 columns, got 3: 3,4,5"),
        (b'a,b\n1,"2\n3,4\n', "events.csv: a quote is opened in one of the last rows and never closed"),
        (b"a,a\n1,2\n", "events.csv: the column 'a' is there twice"),
        (b"", "events.csv: the file is empty"),
        (b'"a\n1\n', "events.csv: the header has an open quote"),
    ],
)
@pytest.mark.parametrize("block", [8, 2**22])
def test_a_mistake_is_told_with_its_row(read, body, says, block):
    with pytest.raises(CommandError) as caught:
        read(body, block)
    assert says in str(caught.value)


def test_a_row_without_end_takes_no_more_than_its_limit_of_memory(read, monkeypatch):
    monkeypatch.setattr(csv_tables, "MAX_ROW_BYTES", 100)
    with pytest.raises(CommandError, match="a row has more than 100 bytes"):
        read(b'a\n"' + b"x\n" * 1000, 50)
