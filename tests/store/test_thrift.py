import pytest

from collector.errors import BodyTooLarge
from collector.store import thrift
from collector.store.thrift import Reader, integer, struct, structs


def test_a_struct_is_its_fields_by_number():
    """1: -3 as i32, 2: true, 17: false (its number in full), 18: 'hi', 19: a double."""
    body = bytes([0x15, 5, 0x11, 0x02, 34, 0x18, 2]) + b"hi" + bytes([0x17]) + bytes(8) + b"\0"
    reader = Reader(body)
    assert reader.struct() == {1: -3, 2: True, 17: False, 18: b"hi", 19: None}
    assert reader.position == len(body)


def test_lists_hold_what_they_say():
    """1: [1, 2] as i64, 2: [{1: 1}], 3: [true, false]."""
    body = bytes([0x19, 0x26, 2, 4, 0x19, 0x1C, 0x15, 2, 0, 0x19, 0x21, 1, 2, 0])
    fields = Reader(body).struct()
    assert (fields[1], structs(fields, 2)) == ([1, 2], [{1: 1}])
    assert len(fields[3]) == 2


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
    ],
    ids=["nothing", "half a field", "text past the end", "a list past the end", "a map", "a long number", "depth"],
)
def test_what_is_no_struct_is_refused(body):
    with pytest.raises(ValueError, match=r"outside|no field|64 bits|too deep"):
        Reader(body).struct()


def test_values_are_read_up_to_a_limit(monkeypatch):
    """1: [{}, {}, ...]: a byte each, and 64 in memory."""
    monkeypatch.setattr(thrift, "MAX_VALUES", 11)
    assert Reader(b"\x19\xac" + bytes(11)).struct() == {1: [{}] * 10}
    with pytest.raises(BodyTooLarge, match="more than 11 values"):
        Reader(b"\x19\xbc" + bytes(12)).struct()


def test_a_field_that_is_not_what_it_should_be_is_none():
    fields = {1: b"text", 2: [1], 3: 7}
    assert (integer(fields, 1), struct(fields, 1), structs(fields, 2), structs(fields, 3)) == (0, {}, [], [])
    assert integer(None, 1) == 0
