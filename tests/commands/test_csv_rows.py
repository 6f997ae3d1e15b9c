"""CSV cut where rows end, wherever blocks do."""

import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.commands import csv_rows
from collector.commands.csv_rows import read_header, read_rows
from collector.errors import CommandError
from collector.formats.typed_body import read_table

VALUES = ["", '""', "7", "007", "1.5", "text", 'five " inch', '"quoted"', '"two\nlines, one value"', '"a ""b"" c"', "é"]
rows = st.lists(st.tuples(st.sampled_from(VALUES), st.sampled_from(VALUES), st.just("0")), min_size=1, max_size=12)


def read(body, block=2**22):
    """Cut CSV, read in blocks of so many bytes, into its header and its rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_rows, "BLOCK_BYTES", block)
        file = io.BytesIO(body)
        return [read_header(file, "events.csv"), *read_rows(file, "events.csv")]


@settings(max_examples=200, deadline=None)
@given(rows, st.integers(1, 60))
@example([('"two\nlines, one value"', "", "0")], 1)
def test_rows_are_as_arrow_has_them_wherever_a_block_ends(rows, block):
    body = b"a,b,c\n" + "".join(",".join(row) + "\n" for row in rows).encode()
    header, *cut = read(body, block)
    assert b"\n".join([header, *cut, b""]) == body
    assert [read_table("csv", header + b"\n" + row).num_rows for row in cut] == [1] * len(rows)


@pytest.mark.parametrize("body", [b"a,b\r\n1,x\r\n2,y", b"\xef\xbb\xbfa,b\n1,x\n2,y\n", b'\n"a","b"\n1,x\n\n2,y\n\n'])
def test_line_ends_marks_and_blank_lines_are_as_for_arrow(body):
    assert read_table("csv", b"\n".join(read(body, 8))).to_pydict() == {"a": ["1", "2"], "b": ["x", "y"]}
    assert len(read(body, 8)) == 3


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'a,b\n1,"2\n3,4\n', "events.csv: a quote is opened in one of the last rows and never closed"),
        (b"", "events.csv: the file is empty"),
        (b'"a\n1\n', "events.csv: the header has an open quote"),
    ],
)
@pytest.mark.parametrize("block", [8, 2**22])
def test_what_can_not_be_cut_is_told(body, says, block):
    with pytest.raises(CommandError) as caught:
        read(body, block)
    assert says in str(caught.value)


def test_a_row_without_end_takes_no_more_than_its_limit_of_memory(monkeypatch):
    monkeypatch.setattr(csv_rows, "MAX_ROW_BYTES", 100)
    with pytest.raises(CommandError, match="a row has more than 100 bytes"):
        read(b'a\n"' + b"x\n" * 1000, 50)
