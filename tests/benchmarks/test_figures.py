"""Goals, ratios, and how they are shown, on figures made up here."""

import importlib
import io
import json
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from .__main__ import GROUPS
from .events import frame, json_body
from .figures import Row, at_least, at_most, together
from .plot import growth_svg
from .readme import how_fast
from .table import cells, goal_as_text, make_table, told


def row(goal=None, unit="rows/s", **samples):
    made = Row("group", "name", unit, goal, "what is best")
    made.ours, made.original, made.limit = (samples.get(name, []) for name in ("ours", "original", "limit"))
    return made


def test_the_ratio_is_the_median_of_the_rounds_ratios():
    """A machine that slows down in a round slows both: 1, 3 and 2 times, though the medians' ratio would be 3."""
    assert row(ours=[10.0, 30.0, 200.0], original=[10.0, 10.0, 100.0]).ratio == 2


@pytest.mark.parametrize(
    ("goal", "is_met"),
    [
        (at_least(3, "original"), True),
        (at_least(3.5, "original"), False),
        (at_most(0.5, "limit"), True),
        (at_most(0.4, "limit"), False),
        (at_most(30), True),
        (at_most(29), False),
        (at_least(30), True),
        (None, None),
    ],
)
def test_a_goal_is_met_or_missed(goal, is_met):
    assert row(goal, ours=[30.0], original=[10.0], limit=[60.0]).is_met is is_met


def test_a_goal_without_the_others_figures_is_neither_met_nor_missed():
    assert row(at_least(3, "original"), ours=[30.0]).is_met is None


def test_a_row_survives_json():
    before = row(at_least(3, "original"), ours=[30.0], original=[10.0])
    assert Row.from_json(json.loads(json.dumps(before.as_json()))) == before


def test_the_rows_of_a_group_stand_together():
    rows = [Row(group, name, "s") for group, name in (("b", "1"), ("a", "2"), ("b", "3"))]
    assert [one.name for one in together(rows)] == ["1", "3", "2"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (41_234.0, "POSTs/s", "41 200 POSTs/s"),
        (999.7, "MB", "1 000 MB"),
        (12.345, "s", "12.3 s"),
        (0.0123, "s", "12.3 ms"),
        (0.0000123, "s", "12.3 µs"),
        (None, "s", ""),
    ],
)
def test_figures_are_told_in_three_digits(value, unit, text):
    assert told(value, unit) == text


def test_goals_are_told_with_what_they_are_compared_with():
    assert goal_as_text(at_least(2.5, "original"), "rows/s") == "≥ 2.5x original"
    assert goal_as_text(at_most(0.005), "s") == "≤ 5 ms"


def test_the_table_has_a_line_for_each_row():
    rows = [
        row(at_least(3, "original"), ours=[30.0], original=[10.0]),
        row(at_most(2, "limit"), ours=[3.0], limit=[1.0]),
    ]
    console = Console(file=io.StringIO(), width=160)
    console.print(make_table(rows))
    shown = console.file.getvalue()
    assert all(cell in shown for one in rows for cell in cells(one))
    assert ("met" in shown, "missed" in shown) == (True, True)
    assert "limit: what is best" in shown


def test_the_readmes_section_marks_what_is_missed():
    machine = {"cpus": 2, "processor": "a processor", "python": "3.11", "evidently": "0.7"}
    rows = [row(at_most(2), ours=[1.0]), row(at_most(2), ours=[3.0], limit=[1.0])]
    section = how_fast({"machine": machine, "rounds": 3, "rows": [one.as_json() for one in rows]})
    assert "1 of 2 goals are met" in section
    assert "| group: name | 3 rows/s |  |  | 1 rows/s | ≤ 2 rows/s | **missed** |" in section
    assert section.count("- group: limit: what is best") == 1


@pytest.mark.parametrize("name", GROUPS)
def test_each_group_can_be_measured(name):
    assert callable(importlib.import_module(f".{name}", __package__).measure)


def test_the_plot_is_a_picture_with_a_curve_for_each_figure():
    points = [{"collectors": n, "start": 1.0, "megabytes": 60.0 + n, "idle": 0.0, "lateness": 0.01} for n in (1, 10)]
    picture = ET.fromstring(growth_svg({"collectors": points}))  # made two lines above
    assert len(picture.findall("{http://www.w3.org/2000/svg}path")) == 2 * 4


def test_events_are_as_large_as_those_that_the_goals_speak_of():
    """Single rows of 617 bytes, 4.9 MB for 10 000: a goal holds for such rows."""
    assert frame(10).shape == (10, 20)
    assert len(json_body(1)) == pytest.approx(617, rel=0.02)
    assert len(json_body(10_000)) == pytest.approx(4_900_000, rel=0.04)
