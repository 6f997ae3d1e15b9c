"""Words that messages share."""

import pytest

from collector.wording import did_you_mean, first_line, json_kind, nearest


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        (True, "a boolean"),
        ("x", "a string"),
        (1, "a number"),
        (1.5, "a number"),
        ({}, "an object"),
        ([], "a list"),
        (b"", "bytes"),
    ],
)
def test_each_kind_of_json_has_its_name(value, said):
    assert json_kind(value) == said


def test_a_slip_of_the_pen_is_asked_about_and_all_else_gets_the_list():
    assert did_you_mean("metircs", ["metrics", "tests"]) == "did you mean 'metrics'?"
    assert did_you_mean("x", ["metrics", "tests"]) == "known here: metrics, tests"
    assert (nearest("metircs", {"metrics": 1}), nearest("x", ["metrics"])) == ("metrics", None)


def test_a_name_of_any_length_is_compared_in_no_time():
    assert nearest("metrics" * 1_000_000, ["metrics"] * 1_000) is None


def test_only_the_first_line_of_an_error_is_told():
    assert first_line(ValueError("no table\ndetail\n")) == "no table"
