import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.views.words import short


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
