"""Bodies read together, against the same bodies read one by one."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadBody
from collector.formats import json_rows
from collector.formats.json_body import read_columns
from collector.formats.json_rows import read_together
from collector.formats.json_tables import table_of

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=2), SCALARS, max_size=2)
SHAPES = {
    "keyed": lambda row: {name: {"0": value} for name, value in row.items()},
    "lists": lambda row: {name: [value] for name, value in row.items()},
    "records": lambda row: [row],
    "two records": lambda row: [row, row],
    "bare": lambda row: row,
}


def read(reader, bodies):
    try:
        table = table_of(reader(bodies))
    except BadBody as error:
        return str(error)
    return table.schema, table.to_pylist() if table.num_columns else []


def one_by_one(bodies):
    return map(read_columns, bodies)


@settings(deadline=None)
@given(st.data())
def test_bodies_read_together_are_what_they_are_one_by_one(data):
    names = st.sampled_from(data.draw(st.sampled_from([["a", "b"], ['"', "\\", "\0", "é", "a b"]])))
    values = data.draw(st.sampled_from([SCALARS, VALUES]))
    rows = data.draw(st.lists(st.dictionaries(names, values, min_size=1), min_size=1, max_size=6))
    shapes = data.draw(st.lists(st.sampled_from(list(SHAPES)), min_size=len(rows), max_size=len(rows)))
    bodies = [json.dumps(SHAPES[shape](row)).encode() for shape, row in zip(shapes, rows, strict=True)]
    assert repr(read(read_together, bodies)) == repr(read(one_by_one, bodies))


@pytest.mark.parametrize("shape", ["keyed", "lists", "records"])
def test_rows_of_the_same_columns_are_read_at_once_in_their_order(shape):
    rows = [{"a": number, "b": f"x{number}", "c": None if number % 2 else 0.5} for number in range(300)]
    bodies = [json.dumps(SHAPES[shape](row)).encode() for row in rows]
    read = list(read_together(bodies))
    assert [len(columns["a"]) for columns in read] == [128, 128, 44]
    assert table_of(read).to_pylist() == rows


@pytest.mark.parametrize(
    "odd",
    [
        b'{"a": {"0": 1}}, {"a": {"0": 2}}',
        b'{"a": {"0": 1}',
        b'{"a": {"0": 1, "0": 2}}',
        b'{"a": {"0": 1}, "a": {"0": 2}}',
        b'{"a" : {"0": 1}}',
        b'{"a": {"0": NaN}}',
        b'{"a": {"0": [1]}}',
        b'{"a": {"0": "\\":"}}',
        b'{"a": {"0": 1, "1": 2}}',
        b'{"a": {"1": 3}}',
        b'{"b": {"0": 1}}',
        b'{"a": {}}',
        b'{"a": {"0": 1}, "b": {"0": 2}}',
        b'{"a": {"0": 1}, "b": 2}',
        b'{"a": {"0": {"0": 1}}}',
        rb'{"\u0061": {"\u0030": 1}}',
        b'{"a": {"0": -0}}',
        b'{"a": {"0": 1e400}}',
        b'{"a": {"0": 9223372036854775808}}',
        b'{"a": {"0": 18446744073709551616}}',
        b'{"a": {"0": -9223372036854775809}}',
        rb'{"a": {"0": "\ud83d"}}',
        b'[{"a": 1}]',
        b'{"a": [1]}',
        b'{"a": 1}',
        b' {"a": {"0": 1}}',
        b'{"a": {"0": "\xff"}}',
        b"{}",
        b"[]",
        b"5",
        b"",
    ],
    ids=repr,
)
def test_a_body_unlike_the_others_is_read_or_refused_as_it_is_alone(odd):
    bodies = [b'{"a": {"0": 1}}', odd, b'{"a": {"0": 2}}']
    assert repr(read(read_together, bodies)) == repr(read(one_by_one, bodies))


def test_one_that_is_unlike_them_costs_others_no_more_than_those_beside_it():
    bodies = [b'{"a": 1}'] * 130
    bodies[40] = b'{"b": 1}'
    assert [len(next(iter(columns.values()))) for columns in read_together(bodies)] == [32, *[1] * 32, 32, 32, 2]


def test_halves_of_two_bodies_do_not_make_one():
    bodies = [b'{"a":{"0":1}', b'"a":{"0":1}}', b'{"a":{"0":1}},{"a":{"0":2}}']
    assert read(read_together, bodies) == read(one_by_one, bodies)
    assert "malformed" in read(read_together, bodies)


def test_large_bodies_are_read_one_by_one(monkeypatch):
    """Many of them together would be too large for memory."""
    monkeypatch.setattr(json_rows, "_rows_of", lambda bodies: pytest.fail(f"{len(bodies)} together"))
    large = json.dumps({"a": ["x" * 5000]}).encode()
    assert [list(columns["a"]) for columns in read_together([large, large])] == [["x" * 5000]] * 2
