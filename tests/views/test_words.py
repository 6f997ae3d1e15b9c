import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.views.words import counted, lasting, short


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.42, "0.4"),
        (3, "3"),
        (9.97, "10"),
        (9999, "9999"),
        (9999.9, "10k"),
        (12_345, "12.3k"),
        (123_456, "123k"),
        (999_960, "1M"),
        (4_500_000, "4.5M"),
        (7e9, "7G"),
    ],
)
def test_numbers_are_short(number, text):
    assert short(number) == text


@given(st.floats(0, 9e14))
def test_no_number_is_longer_than_its_column(number):
    assert len(short(number)) <= 5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (86400 * 9, "9d")],
)
def test_a_length_of_time_has_one_unit(seconds, text):
    assert lasting(seconds) == text


def test_one_is_no_plural():
    assert [counted(1, "batch"), counted(2, "batch"), counted(0, "snapshot")] == ["1 batch", "2 batches", "0 snapshots"]
