"""What a config may say of the rows that a report is of, and what is wrong is told at its place."""

import pytest

from collector.conditions import CONDITIONS
from collector.config import CollectorConfig
from collector.config.rows import Condition, Segments
from collector.errors import ConfigError

BASE = {"trigger": {"type": "RowsCountTrigger", "rows_count": 5}, "report_config": {}, "project_name": "p"}


def test_where_has_the_conditions_of_tests_in_their_order():
    assert {name: field.description for name, field in Condition.model_fields.items()} == CONDITIONS


def test_what_is_written_is_what_was_said():
    said = {
        "where": {"plan": {"is_in": ["pro", 1, True]}, "age": {"gte": 18, "lt": 65.5}},
        "segments": {"column": "country", "min_rows": 50},
    }
    written = CollectorConfig.parse(BASE | said).model_dump()
    assert {name: written[name] for name in said} == said
    assert "where" not in CollectorConfig.parse(BASE).model_dump()
    assert "segments" not in CollectorConfig.parse(BASE).model_dump()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"a": {}}, "where.a: says nothing"),
        ({"a": {"is_inn": [1]}}, "where.a.is_inn: unknown field; did you mean 'is_in'?"),
        ({"a": {"gt": True}}, 'where.a.gt: must be a number, or a time as "2026-01-31", not a boolean'),
        ({"a": {"eq": None}}, "where.a.eq: must be a number, a text, true or false, not null"),
        ({"a": {"eq": float("nan")}}, "where.a.eq: must be a finite number"),
        ({"a": {"eq": "x" * 201}}, "where.a.eq: must have at most 200 characters"),
        ({"a": {"is_in": []}}, "where.a.is_in: List should have at least 1 item"),
        ({"a": {"is_in": ["x", [1]]}}, "where.a.is_in.1: must be a number, a text, true or false, not a list"),
        ({"a": 18}, "where.a: must be an object, not a number"),
        (["a"], "where: must be an object, not a list"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_condition_that_can_not_be_is_refused(where, message):
    with pytest.raises(ConfigError) as raised:
        CollectorConfig.parse(BASE | {"where": where})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "column: field required"),
        ({"values": ["de"], "edges": [1]}, "edges: give values or edges, not both"),
        ({"values": ["de"], "max": 3}, "max: is only for segments that are taken from the reference"),
        ({"values": ["de", "other"]}, "values: a segment can't be named '' or 'other'"),
        ({"values": [str(number) for number in range(51)]}, "values: must be at most 50, not 51"),
        ({"edges": [65, 18]}, "edges: write them in order"),
        ({"edges": [18, 18]}, "edges: write them in order"),
        ({"edges": [float("inf")]}, "edges: must be finite numbers"),
        ({"max": 0}, "max: must be greater than or equal to 1"),
        ({"min_rows": 0}, "min_rows: must be greater than or equal to 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_segments_that_can_not_be_are_refused(given, message):
    with pytest.raises(ConfigError) as raised:
        Segments.parse(({"column": "country"} if given else {}) | given)
    assert message in str(raised.value)


def test_only_values_that_nobody_names_come_of_the_reference():
    assert Segments(column="a").needs_reference
    assert not Segments(column="a", values=["b"]).needs_reference
    assert not Segments(column="a", edges=[1]).needs_reference
