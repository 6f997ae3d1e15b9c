import pytest

from collector.errors import BodyTooLarge
from collector.formats.untrusted import thrift
from collector.formats.untrusted.thrift import I32, I64, Reader, integer, struct, structs, text


def test_a_struct_is_its_fields_by_number():
    """1: -3 as i32, 2: true, 17: false (its number in full), 18: 'hi', 19: a double."""
    body = bytes([0x15, 5, 0x11, 0x02, 34, 0x18, 2]) + b"hi" + bytes([0x17]) + bytes(8) + b"\0"
    reader = Reader(body)
    fields = reader.struct()
    assert {number: value for (number, _), value in fields.items()} == {1: -3, 2: True, 17: False, 18: b"hi", 19: None}
    assert (integer(fields, 1, I32), text(fields, 18)) == (-3, b"hi")
    assert reader.position == len(body)


def test_lists_hold_what_they_say():
    """1: [1, 2] as i64, 2: [{1: 1}], 3: [true, false], 4: 7."""
    body = bytes([0x19, 0x26, 2, 4, 0x19, 0x1C, 0x15, 2, 0, 0x19, 0x21, 1, 2, 0x15, 14, 0])
    fields = Reader(body).struct()
    [inner] = structs(fields, 2)
    assert (integer(inner, 1, I32), integer(fields, 4, I32)) == (1, 7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x15",
        b"\x18\x7fhi",
        b"\x19\xf6\xff\xff\xff\xff\x0f",
        b"\x1b\x00",
        b"\x15" + b"\xff" * 20,
        b"\x1c" * 100,
        b"\x15\x02\x05\x02\x04\x00",
        b"\x05\x8a\x80\x08\x02\x00",
        b"\x05\xfe\xff\x03\x02\x15\x02\x00",
        b"\x15\x8a\x80\x80\x80\x10\x00",
    ],
    ids=[
        "nothing", "half a field", "text past the end", "a list past the end", "a map", "a long number", "depth",
        "a field twice", "65541 as a field's number, which is 5 in 16 bits", "32767 and one more as a field's number",
        "2**31 + 5 in 32 bits",
    ],
)  # fmt: skip
def test_what_is_no_struct_or_another_to_other_readers_is_refused(body):
    with pytest.raises(ValueError, match=r"outside|no field|16 bits|32 bits|64 bits|too deep|is there twice"):
        Reader(body).struct()


def test_values_are_read_up_to_a_limit(monkeypatch):
    """1: [{}, {}, ...]: a byte each, and 64 in memory."""
    monkeypatch.setattr(thrift, "MAX_VALUES", 11)
    assert structs(Reader(b"\x19\xac" + bytes(11)).struct(), 1) == [{}] * 10
    with pytest.raises(BodyTooLarge, match="more than 11 values"):
        Reader(b"\x19\xbc" + bytes(12)).struct()


def test_a_field_of_another_type_than_expected_is_not_there():
    """1: 5 as i32, beside 1: 7 as i64."""
    fields = Reader(b"\x15\x0a\x06\x02\x0e\x00").struct()
    assert (integer(fields, 1, I32), integer(fields, 1, I64)) == (5, 7)
    assert (text(fields, 1), struct(fields, 1), structs(fields, 1)) == (b"", {}, [])


def test_a_list_of_another_type_than_structs_is_refused():
    """Arrow would read structs of it, of bytes that are something else to us."""
    with pytest.raises(ValueError, match="of no structs"):
        structs(Reader(b"\x19\x16\x02\x00").struct(), 1)
