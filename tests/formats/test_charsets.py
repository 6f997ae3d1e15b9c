import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import BadBody
from collector.formats.charsets import charset_of, to_utf_8


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/csv", ""),
        ("text/csv; charset=utf-8", ""),
        ('text/csv; header=present; Charset="UTF8"', ""),
        ("application/json;charset=us-ascii", ""),
        ("text/csv; charset=Latin1", "iso8859-1"),
        ("text/csv; charset=windows-1252; header=absent", "cp1252"),
    ],
)
def test_a_content_type_names_a_charset(content_type, charset):
    assert charset_of(content_type) == charset


@given(st.text(), st.sampled_from(["utf-16", "utf-8-sig", "gb18030"]), st.integers(1, 5))
def test_text_is_the_same_wherever_its_pieces_end(text, charset, size):
    body, recode = text.encode(charset, "replace"), to_utf_8(charset)
    pieces = [recode(body[start : start + size], False) for start in range(0, len(body), size)]
    assert (b"".join(pieces) + recode(b"", True)).decode() == body.decode(charset)


def test_the_byte_is_told_that_is_none_of_the_charset():
    recode = to_utf_8("cp1252")
    recode(b"0123456789", False)
    with pytest.raises(BadBody, match=r"the body isn't cp1252, as its Content-Type says \(byte 12: "):
        recode(b"ab\x81", True)
