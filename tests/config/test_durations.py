"""Durations as people write them."""

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from collector.config.durations import LONGEST, Duration, seconds_of


class Pause(BaseModel):
    seconds: Duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(90, 90), (0.5, 0.5), ("90", 90), ("15m", 900), ("1.5h", 5400), ("7d", 604_800), ("1h30m", 5400), (" 2 s ", 2)],
)
def test_seconds_and_text_are_understood(written, seconds):
    assert Pause(seconds=written).seconds == seconds


@pytest.mark.parametrize("written", ["soon", "15 minutes", "1w", "-5m", "", "m", -1, "inf", float("nan"), LONGEST + 1])
def test_what_is_no_duration_is_refused(written):
    with pytest.raises(ValidationError):
        Pause(seconds=written)


def test_a_text_that_is_none_is_told_how_one_is_written():
    with pytest.raises(ValueError, match="'15m', '12h' or '7d'"):
        seconds_of("15 minutes")


@pytest.mark.parametrize(
    ("written", "is_one"), [(90, True), ("15m", True), ("1h30m", True), ("soon", False), (-1, False)]
)
def test_editors_know_them_by_the_schema(written, is_one):
    assert Draft202012Validator(Pause.model_json_schema()).is_valid({"seconds": written}) is is_one
