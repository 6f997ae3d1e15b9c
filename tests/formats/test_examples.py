"""A few values, as a sentence for the operator's log has them."""

import pyarrow as pa
import pytest

from collector.formats.examples import Examples


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["a"], "1 value: 'a'"),
        (["a", None, "a", "b"], "3 values: 'a', 'b'"),
        ([1, 2, 3, 4], "4 values: 1, 2, 3"),
        (["x" * 100], f"1 value: '{'x' * 39}…"),
    ],
    ids=["one", "missing", "many", "long"],
)
def test_values_are_counted_and_three_different_ones_are_shown(values, told):
    examples = Examples()
    examples.add(pa.array(values))
    assert str(examples) == told


def test_values_that_come_in_pieces_are_of_one_sort():
    examples = Examples()
    for piece in ([1, 1], [2], [3, 4]):
        examples.add(pa.array(piece))
    assert str(examples) == "5 values: 1, 2, 3"
