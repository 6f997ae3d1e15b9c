"""Words that messages share."""

import pytest

from collector.wording import counted, did_you_mean, first_line, json_kind, lasting, nearest


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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (86400 * 9, "9d")],
)
def test_a_length_of_time_has_one_unit(seconds, text):
    assert lasting(seconds) == text


def test_one_is_no_plural():
    assert [counted(1, "batch"), counted(2, "batch"), counted(0, "snapshot")] == ["1 batch", "2 batches", "0 snapshots"]
