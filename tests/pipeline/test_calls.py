import os

import pytest

from collector.pipeline.calls import call, prepare


def test_a_function_is_found_by_its_name():
    assert call("math:gcd", 12, 18) == 6


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError):
        call("math:nothing")


def test_telemetry_is_off_unless_the_user_decided(monkeypatch):
    monkeypatch.setenv("DO_NOT_TRACK", "")
    prepare()
    assert os.environ["DO_NOT_TRACK"] == ""
    monkeypatch.delenv("DO_NOT_TRACK")
    prepare()
    assert os.environ["DO_NOT_TRACK"] == "1"
