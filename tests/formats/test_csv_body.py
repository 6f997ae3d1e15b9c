"""CSV as text: which values are missing, and which columns are quoted."""

import pytest

from collector.errors import BadBody
from collector.formats.apart import append
from collector.formats.frames import check_frame, decode_frames
from collector.formats.sources import CSV, TEXT, marks_of_field
from collector.formats.spellings import typed_by_spelling
from collector.formats.typed_body import read_table

SPELT, QUOTED = CSV, CSV | TEXT


@pytest.mark.parametrize(
    ("body", "columns", "marks"),
    [
        (b"zip,age\n02139,41\n,37\n", {"zip": ["02139", None], "age": ["41", "37"]}, [SPELT, SPELT]),
        (b'zip,age\n"02139",41\n10001,37\n', {"zip": ["02139", "10001"], "age": ["41", "37"]}, [QUOTED, SPELT]),
        (b'"zip","age"\n"02139","41"\n"","37"\n', {"zip": ["02139", None], "age": ["41", "37"]}, [SPELT, SPELT]),
        (b'"zip","age"\n"x",41\n"y",""\n', {"zip": ["x", "y"], "age": ["41", None]}, [QUOTED, SPELT]),
        (b'a,b\n"",1\n"x",2\n', {"a": ["", "x"], "b": ["1", "2"]}, [QUOTED, SPELT]),
        (b'a,b\n5" pipe,"5"" pipe"\n', {"a": ['5" pipe'], "b": ['5" pipe']}, [SPELT, QUOTED]),
        (b'\xef\xbb\xbf"a",b\r\n"1\n2",3\r\n\r\n', {"a": ["1\n2"], "b": ["3"]}, [QUOTED, SPELT]),
        (b"a,b\nNA,NULL\n", {"a": ["NA"], "b": ["NULL"]}, [SPELT, SPELT]),
        (b"a,b\n", {"a": [], "b": []}, [SPELT, SPELT]),
        (b"a,b", {"a": [], "b": []}, [SPELT, SPELT]),
        (b'a,b\n,""\n', {"a": [None], "b": [None]}, [SPELT, SPELT]),
    ],
)
def test_values_are_text_and_quoted_columns_are_marked(body, columns, marks):
    table = read_table("csv", body)
    assert table.to_pydict() == columns
    assert [marks_of_field(field) for field in table.schema] == marks


def test_a_column_is_as_quoted_in_one_body_as_in_all():
    """So a code that one body has quoted stays text, whichever comes first."""
    bodies = [("csv", b'zip,n\n"02139",1\n'), ("csv", b"zip,n\n10001,2\n")]
    for order in (bodies, bodies[::-1]):
        paired = typed_by_spelling(read_table("csv", b"zip,n\n10001,2\n"))
        assert paired.to_pydict() == {"zip": [10001], "n": [2]}
        whole = append(decode_frames([body]) for body in order)
        assert {field.name: marks_of_field(field) for field in whole.schema} == {"zip": QUOTED, "n": SPELT}


def test_a_table_of_csv_has_the_types_that_all_of_its_values_spell():
    body = b'n,x,b,at,zip,q,e\n1,1.5,true,2026-01-01,02139,"7",\n2,N/A,false,2026-01-02,10001,"8",\n'
    table = typed_by_spelling(read_table("csv", body))
    kinds = ["int64", "string", "bool", "timestamp[us]", "string", "string", "null"]
    assert list(map(str, table.schema.types)) == kinds


@pytest.mark.parametrize("body", ['a\n"caf\xe9"\n', "a,b\nx,caf\xe9\n"])
def test_what_is_no_utf_8_is_told_by_its_byte_and_how_to_say_so(body):
    with pytest.raises(BadBody, match=r"0xE9 isn't UTF-8 \(byte \d\); send UTF-8, or name the charset"):
        check_frame("csv", body.encode("latin-1"))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'[{"a": 1}]', "application/json"),
        (b'{"a": 1}\n{"a": 2}\n', "application/x-ndjson"),
        (b'{"a": [1, 2]}\n', "application/json"),
    ],
)
def test_json_is_no_csv(body, told):
    """As CSV its first line would be a header: answered 201 with no row kept."""
    with pytest.raises(BadBody, match=f"send (it|them) with Content-Type: {told}"):
        check_frame("csv", body)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"age;income\n41;5\n37;\n", "semicolons"),
        (b'"age";"income"\r\n"41";"1,5"\r\n\r\n', "semicolons"),
        (b"age;income\n41;1,5\n", "semicolons"),
        (b"sep=;\nage;income\n", "semicolons"),
        (b"age\tincome\n41\t5", "tabs"),
        (b"age|income\n41|5\n", "bars"),
    ],
)
def test_csv_with_another_separator_is_refused_and_not_taken_for_one_column(body, name):
    """It was answered 201, and each report was of one column of text."""
    with pytest.raises(BadBody, match=f"separated by {name}: separate them by commas"):
        check_frame("csv", body)


@pytest.mark.parametrize("body", [b"a;b\nx\n", b"tags\nx;y\nz\n", b"a;b,c\nx;y,1\n", b"a;b\n"])
def test_semicolons_that_separate_no_columns_are_text(body):
    assert check_frame("csv", body).rows == body.count(b"\n") - 1
