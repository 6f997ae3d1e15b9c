"""Which rows meet conditions, for each kind of column, and what is said of those that can't be held against one."""

import pandas as pd
import pyarrow as pa
import pytest

from collector.conditions import CONDITIONS
from collector.evaluation.matching import Incomparable, columns_of_frame, columns_of_table, rows_matching

TABLE = pa.table(
    {
        "age": pa.array([17, 18, 65, None]),
        "small": pa.array([1, 2, 3, 4], pa.uint8()),
        "score": [0.5, float("nan"), 2.0, None],
        "price": pa.array(["1.50", "2.50", None, "3.00"]).cast(pa.decimal128(5, 2)),
        "plan": ["pro", "free", None, "team"],
        "kind": pa.array(["a", "b", None, "a"]).dictionary_encode(),
        "paid": [True, False, None, True],
        "at": pa.array([1767225600, 1767312000, None, 1767398400], pa.timestamp("s")),  # the first of 2026, and on
        "zoned": pa.array([1767225600, 1767312000, None, 1767398400], pa.timestamp("s", "Europe/Berlin")),
        "nothing": pa.nulls(4),
        "tags": [["x"], ["y"], None, []],
    }
)
MEETING = [
    ("age", "gt", 18, [2]),
    ("age", "gte", 18, [1, 2]),
    ("age", "lt", 18, [0]),
    ("age", "lte", 18.5, [0, 1]),
    ("age", "eq", 65, [2]),
    ("age", "not_eq", 65, [0, 1]),
    ("age", "is_in", [17, 65.0, 17.5, 10**30], [0, 2]),
    ("age", "not_in", [17], [1, 2]),
    ("age", "lt", 10**30, [0, 1, 2]),
    ("small", "gte", 3, [2, 3]),
    ("score", "gte", 0, [0, 2]),
    ("score", "not_in", [2], [0]),
    ("price", "gt", 1.5, [1, 3]),
    ("plan", "eq", "pro", [0]),
    ("plan", "not_eq", "pro", [1, 3]),
    ("plan", "is_in", ["pro", "team"], [0, 3]),
    ("plan", "not_in", ["pro", "team"], [1]),
    ("kind", "eq", "a", [0, 3]),
    ("kind", "not_in", ["a"], [1]),
    ("paid", "eq", True, [0, 3]),
    ("paid", "is_in", [False], [1]),
    ("at", "gte", "2026-01-02", [1, 3]),
    ("at", "lt", "2026-01-02T01:00:00+02:00", [0]),
    ("at", "is_in", ["2026-01-03T00:00:00Z"], [3]),
    ("zoned", "eq", "2026-01-01", [0]),
    ("tags", "eq", '["x"]', [0]),  # JSON text by the time that it is asked
    ("nothing", "eq", 3, []),
    ("absent", "not_eq", 3, []),
]


def met(where, frame=TABLE):
    columns = columns_of_table(frame) if isinstance(frame, pa.Table) else columns_of_frame(frame)
    return rows_matching(where, columns, len(frame)).nonzero()[0].tolist()


@pytest.mark.parametrize(("column", "condition", "value", "rows"), MEETING, ids=[f"{m[0]}-{m[1]}" for m in MEETING])
def test_a_condition_is_met_by_values_and_never_by_a_missing_one(column, condition, value, rows):
    assert met({column: {condition: value}}) == rows


def test_each_condition_is_tried_here():
    assert {condition for _, condition, _, _ in MEETING} == set(CONDITIONS)


@pytest.mark.filterwarnings("ignore")
def test_a_frame_is_matched_as_the_table_that_it_was():
    from collector.evaluation.pandas_columns import to_frame

    frame, _ = to_frame(TABLE)
    for column, condition, value, rows in MEETING:
        assert met({column: {condition: value}}, frame) == rows, (column, condition)


def test_a_row_has_to_meet_all_conditions():
    assert met({"age": {"gte": 18, "lt": 65}, "plan": {"eq": "free"}}) == [1]
    assert met({}) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("column", "condition", "value", "message"),
    [
        ("age", "eq", "18", "column 'age' holds numbers, and '18' isn't one of them; write a number"),
        ("age", "eq", True, "column 'age' holds numbers, and True isn't one of them; write a number"),
        ("plan", "eq", 3, "column 'plan' holds text, and 3 isn't one of them; write a text"),
        ("plan", "gt", "a", "column 'plan' holds text, without an order; write eq or is_in, or give a reference"),
        ("paid", "gt", 0, "column 'paid' holds booleans, without an order; write eq or is_in"),
        ("paid", "eq", "true", "column 'paid' holds booleans, and 'true' isn't one of them; write true or false"),
        ("at", "gt", 3, "column 'at' holds times, and 3 isn't one of them; write a time, as in"),
        ("at", "gt", "yesterday", "column 'at' holds times, and 'yesterday' isn't one; write a time, as in"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value),
)
def test_what_can_not_be_compared_is_told_with_what_to_write(column, condition, value, message):
    with pytest.raises(Incomparable) as raised:
        met({column: {condition: value}})
    assert message in str(raised.value)
    assert raised.value.path == ["where", column, condition]


def test_the_place_of_a_wrong_value_in_a_list_is_told():
    with pytest.raises(Incomparable) as raised:
        met({"plan": {"is_in": ["pro", 3]}}, pd.DataFrame({"plan": ["pro"]}))
    assert raised.value.path == ["where", "plan", "is_in", 1]
